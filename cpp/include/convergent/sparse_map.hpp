#pragma once

#include <Eigen/Core>

#include "convergent/stop_token.hpp"

namespace convergent {

/// What `sparse_map` writes, row-major, for every penalty and target.
struct SparseMapOutput {
    double* weights;  ///< (n_alphas, n_y, n_x)
    double* losses;   ///< (n_alphas, n_y): half of the mean squared error
    double* gaps;     ///< (n_alphas, n_y): duality gap over 1/2, the loss of predicting nothing
};

/// LASSO of every target on all predictors, from correlations (Li et al. 2016, Section 4):
/// minimises 1/2 (1 - 2 w.c + w.C.w) + alpha |w|_1 for each column c of c_xy.
///
/// c_xx: (n_x, n_x), symmetric, diagonal 1, or 0 for dead units, whose rows are 0 in both matrices.
/// c_xy: (n_x, n_y). alphas: (n_alphas), all positive. Nothing may alias the outputs.
///
/// Coordinate descent through the powers of 1/2 above each alpha finds about which predictors are
/// active; an active set method ends exactly: predictors enter one at a time, the most violating
/// first, with exact steps between changes of the active set (feature-sign search, Lee et al. 2007)
/// by an updated Cholesky factor. So zeros are zeros, active predictors are linearly independent,
/// and the number of steps is finite. Results depend neither on the other alphas nor on n_threads.
///
/// Where rounding hides the optimum (an indefinite c_xx, or an alpha below 1e-6 with units that are
/// almost dependent) the weights of least gap that were found are given; the gap says so.
void sparse_map(const Eigen::Ref<const Eigen::MatrixXd>& c_xx,
                const Eigen::Ref<const Eigen::MatrixXd>& c_xy,
                const Eigen::Ref<const Eigen::VectorXd>& alphas, int n_threads,
                const StopToken& stop, const SparseMapOutput& out);

/// What the published maps are instead: 4,501 steps of gradient descent on the mean squared error
/// of all targets, 1 / n_y times what `sparse_map` has, and penalty |W|_1: rate .001, halved every
/// 1,500 steps, momentum .98, subgradient penalty sign(W).
///
/// c_xx, c_xy: as above. weights: (n_x, n_y), the start, overwritten by the end. Targets do not
/// depend on each other; same bits for every n_threads.
void paper_descent(const Eigen::Ref<const Eigen::MatrixXd>& c_xx,
                   const Eigen::Ref<const Eigen::MatrixXd>& c_xy, double penalty, int n_threads,
                   const StopToken& stop, Eigen::Ref<Eigen::MatrixXd> weights);

}  // namespace convergent
