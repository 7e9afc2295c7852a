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
/// Correlations of no data, c_xx being indefinite: a target may stop early, or at weights that no
/// data can have, which are then set to 0. Its gap says how far it got.
void sparse_map(const Eigen::Ref<const Eigen::MatrixXd>& c_xx,
                const Eigen::Ref<const Eigen::MatrixXd>& c_xy,
                const Eigen::Ref<const Eigen::VectorXd>& alphas, int n_threads,
                const StopToken& stop, const SparseMapOutput& out);

}  // namespace convergent
