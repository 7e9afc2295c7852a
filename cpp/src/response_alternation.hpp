#pragma once

#include "convergent/shared_response.hpp"
#include "response_sum.hpp"

namespace convergent {

/// Changes of the objective below this share of the total sum of squares are noise.
constexpr double kResponseRounding = 1e-14;

/// The plain alternation over all networks at once, W_i = polar(X_i^T S) and S = mean_i X_i W_i,
/// from fit.weights; fills fit.
void alternate(ResponseSum<double>& sum, const SharedResponseOptions& options, double total,
               const StopToken& stop, SharedResponseFit& fit);

}  // namespace convergent
