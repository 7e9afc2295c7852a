#pragma once

#include <Eigen/Core>
#include <optional>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

/// Where the iterations begin.
enum class ResponseStart {
    kGiven,       ///< at weights of the caller
    kSequential,  ///< each network aligned to the sum of those before
    kSpectral,    ///< at the leading directions of all networks together
};

/// A start, and orthonormal weights (n_units_i, k) for each network: to begin at, or for the
/// directions that the data leave undetermined. Those of the first network of a sequence need only
/// be independent.
struct ResponseStarts {
    ResponseStart kind;
    std::vector<Eigen::MatrixXd> weights;
};

struct SharedResponseOptions {
    int max_iter = 100;
    double tol =
        1e-6;  ///< relative change of the objective, twice running; 0 runs max_iter iterations
    double diagonal = 0.0;  ///< added to the diagonal of X_i^T S before its polar factor
    /// Sweeps, network after network, with steps beyond the last one that are kept when they rise;
    /// otherwise the plain alternation over all networks at once.
    bool accelerate = false;
    /// Whether sweeps begin in single precision and end in double; nothing lets the size decide.
    std::optional<bool> single;
    int n_threads = 1;
};

struct SharedResponseFit {
    std::vector<Eigen::MatrixXd> weights;   ///< (n_units_i, k), orthonormal columns
    std::vector<double> objective_history;  ///< the start's, then one value an iteration
    bool converged = false;
    bool on_examples = false;  ///< whether the iterations read the examples or their cross-products
    std::size_t start = 0;     ///< which start was best
    std::vector<Eigen::VectorXd> means;  ///< of the units, with `center`
};

/// Deterministic shared response model (Lu et al. 2018, Equation 1):
/// min sum_i |X_i - S W_i^T|^2 over S and W_i with W_i^T W_i = I, by W_i = polar(X_i^T S) and
/// S = mean_i X_i W_i.
///
/// networks: of the same examples, each with n_units >= k, without means; with `center` the means
/// of the units are removed. starts: at least one; of several, the one is followed that is lowest
/// after a few sweeps (only with options.accelerate). response: S of the last weights, (n_examples,
/// k), row-major, overwritten; must not alias the networks. The iterations work on the
/// cross-products X_i^T X_j or on the examples, whichever is less work; the products are kept only
/// while they take no more room than the activations in double, or 64 MiB. Sweeps on the examples
/// in single precision copy these. Same bits for every n_threads.
SharedResponseFit fit_shared_response(std::vector<NetworkView> networks, bool center,
                                      const std::vector<ResponseStarts>& starts, double* response,
                                      const SharedResponseOptions& options, const StopToken& stop);

/// The same from the cross-products of the units of all networks side by side, (n, n), symmetric,
/// about the origin of the model; widths: units of each network.
SharedResponseFit fit_shared_response(const Eigen::MatrixXd& products,
                                      const std::vector<Eigen::Index>& widths,
                                      const std::vector<ResponseStarts>& starts,
                                      const SharedResponseOptions& options, const StopToken& stop);

/// The weights that place one more network into a given shared response: polar(X^T S).
/// response: (n_examples, k), row-major. anchor: (n_units, k), orthonormal columns.
Eigen::MatrixXd align_to_response(const NetworkView& network, const double* response,
                                  const Eigen::MatrixXd& anchor, double diagonal,
                                  const StopToken& stop);

}  // namespace convergent
