#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

struct ProbabilisticResponseOptions {
    int max_iter = 100;
    double tol = 1e-6;  ///< relative change of the log-likelihood, twice running; 0 runs max_iter
    double diagonal = 0.0;  ///< added to the diagonal of X_i^T S before its polar factor
    /// Noise variances and the covariance begin at 1, and the response returned is the one that the
    /// last weights were made from; otherwise they begin at the data's mean square, and it follows
    /// from the last weights.
    bool unit_start = false;
    int n_threads = 1;
};

struct ProbabilisticResponseFit {
    std::vector<Eigen::MatrixXd> weights;  ///< (n_units_i, k), orthonormal columns
    std::vector<double> noise;             ///< variance of the noise of each network
    Eigen::MatrixXd covariance;            ///< of the shared response, (k, k)
    std::vector<double> log_likelihood;    ///< in nats: the start's, then one value an iteration
    bool converged = false;
};

/// Probabilistic shared response model by expectation and maximisation (Chen et al. 2015,
/// Section 3): x_i = W_i s + noise of variance rho_i^2, s of covariance Sigma, W_i^T W_i = I.
///
/// networks: of the same examples, each with n_units >= k; means are removed on reading.
/// squares: for each network the sum of squares that the noise is measured by. start: orthonormal
/// weights. response: posterior mean of s, (n_examples, k), row-major, overwritten. Noise variances
/// are at least 1e-10 of the largest mean square. Same bits for every n_threads.
ProbabilisticResponseFit fit_probabilistic_response(const std::vector<NetworkView>& networks,
                                                    const std::vector<double>& squares,
                                                    std::vector<Eigen::MatrixXd> start,
                                                    double* response,
                                                    const ProbabilisticResponseOptions& options,
                                                    const StopToken& stop);

/// The same from the cross-products of all units, (n, n), of so many examples.
ProbabilisticResponseFit fit_probabilistic_response(
    const Eigen::MatrixXd& products, const std::vector<Eigen::Index>& widths, double n_examples,
    const std::vector<double>& squares, std::vector<Eigen::MatrixXd> start,
    const ProbabilisticResponseOptions& options, const StopToken& stop);

}  // namespace convergent
