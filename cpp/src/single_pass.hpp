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
    SingleCopies copies;  ///< the copies themselves only on demand
    WeightsOf<float> weights;
};

/// Reads each example once, where it lies, with centres and factor of `drawn` or, where these do
/// not suit all, a second time with better ones. The examples come in a few rounds, each with some
/// from everywhere: a round's response R = sum_i X_i W_i is that of the latest weights, of a few of
/// the networks for each block; weights are then polar factors of the sum of X_i^T R over the
/// rounds so far. Weights from few examples, in which these may be overfitted, so become about what
/// an iteration on all would make of weights that already come from most. Same bits for every
/// n_threads.
SinglePass pass_in_single(const std::vector<NetworkView>& networks, const WeightsOf<float>& weights,
                          const SingleCopies& drawn, bool keep_copies, int n_threads,
                          const StopToken& stop);

}  // namespace convergent
