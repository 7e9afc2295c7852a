#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

struct SharedResponseOptions {
    int max_iter = 100;
    double tol =
        1e-6;  ///< relative change of the objective, twice running; 0 runs max_iter iterations
    double diagonal = 0.0;  ///< added to the diagonal of X_i^T S before its polar factor
    bool extrapolate =
        false;  ///< try points beyond the last step, keep those that lower the objective
    bool sequential =
        false;  ///< make the start by aligning each network to the sum of those before
    int n_threads = 1;
};

struct SharedResponseFit {
    std::vector<Eigen::MatrixXd> weights;   ///< (n_units_i, k), orthonormal columns
    std::vector<double> objective_history;  ///< the start's, then one value an iteration
    bool converged = false;
    bool on_examples = false;  ///< whether the iterations read the examples or their cross-products
};

/// Deterministic shared response model (Lu et al. 2018, Equation 1):
/// min sum_i |X_i - S W_i^T|^2 over S and W_i with W_i^T W_i = I, by alternating
/// W_i = polar(X_i^T S) and S = mean_i X_i W_i.
///
/// networks: of the same examples, each with n_units >= k; means are removed on reading.
/// start: one (n_units_i, k) matrix with orthonormal columns for each network; where the data leave
/// a direction undetermined the weights follow it. response: S of the last weights, (n_examples,
/// k), row-major, overwritten; must not alias the networks. The iterations work on the
/// cross-products X_i^T X_j or on the examples, whichever is less work; the products are kept only
/// while they take no more room than the activations in double, or 64 MiB. Same bits for every
/// n_threads.
SharedResponseFit fit_shared_response(const std::vector<NetworkView>& networks,
                                      std::vector<Eigen::MatrixXd> start, double* response,
                                      const SharedResponseOptions& options, const StopToken& stop);

/// The weights that place one more network into a given shared response: polar(X^T S).
/// response: (n_examples, k), row-major. anchor: (n_units, k), orthonormal columns.
Eigen::MatrixXd align_to_response(const NetworkView& network, const double* response,
                                  const Eigen::MatrixXd& anchor, double diagonal,
                                  const StopToken& stop);

}  // namespace convergent
