#pragma once

#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "response_sum.hpp"

namespace convergent {

/// Activations in single precision, times a factor that makes them of ordinary size.
struct SingleCopies {
    Copies<float> networks;
    double factor = 1.0;
    double squares = 0.0;  ///< sum of squares of the activations, in double, without the factor
};

/// Reads each network once, or twice where few examples say little about the size of all. Where
/// `squares` is not finite, the copies are worthless.
SingleCopies copy_in_single(const std::vector<NetworkView>& networks, int n_threads,
                            const StopToken& stop);

/// The same of one example of every `group` neighbours, drawn with a fixed seed: neither an order
/// of the examples nor a period in it leaves anything out. `squares` is that of these.
SingleCopies draw_in_single(const std::vector<NetworkView>& networks, Eigen::Index group,
                            int n_threads, const StopToken& stop);

}  // namespace convergent
