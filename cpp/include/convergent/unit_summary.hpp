#pragma once

#include <Eigen/Core>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

/// Range and mean of every unit of a network, each (n_units).
struct UnitSummary {
    Eigen::ArrayXd low;
    Eigen::ArrayXd high;
    Eigen::ArrayXd mean;
    Eigen::ArrayXd rest;  ///< what rounding took from the mean: it is mean + rest
};

/// Summarises the units of a network as they are read, that is scaled and less the means that the
/// view has.
///
/// Means are summed as differences from the first example: that of a constant unit is exact, and a
/// common offset costs no digits. They have the same bits for any memory order and every n_threads.
/// Throws std::invalid_argument when there are no examples.
UnitSummary summarise_units(const NetworkView& network, int n_threads, const StopToken& stop);

}  // namespace convergent
