#pragma once

#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "response_sum.hpp"
#include "single_copies.hpp"

namespace convergent {

/// What one reading of all examples gives in single precision, of the activations about their means
/// times `copies.factor`.
struct SinglePass {
    SingleCopies copies;        ///< the copies themselves only on demand
    WeightsOf<float> products;  ///< X_i^T R with R = sum_i X_i W_i
    double norm = 0.0;          ///< |R|^2
};

/// Reads each example once, where it lies, with centres and factor of `drawn` or, where these do
/// not suit all, a second time with better ones. Same bits for every n_threads.
SinglePass pass_in_single(const std::vector<NetworkView>& networks, const WeightsOf<float>& weights,
                          const SingleCopies& drawn, bool keep_copies, int n_threads,
                          const StopToken& stop);

}  // namespace convergent
