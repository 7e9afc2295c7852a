#pragma once

#include <Eigen/Core>

#include "convergent/stop_token.hpp"

namespace convergent {

/// The Cholesky factor of a Gram matrix whose units were scaled to norm 1, dead units left out.
struct ScaledCholesky {
    bool positive_definite = false;  ///< when false, nothing but `norms` is to be used
    Eigen::MatrixXd triangle;        ///< upper triangular, (n_alive, n_alive)
    Eigen::VectorXd norms;           ///< (n_units), 0 for dead units
    double inverse_norm = 0.0;       ///< estimate (from below) of the 1-norm of the inverse
};

/// Factors a Gram matrix, (n_units, n_units), of which the upper triangle is read. A unit is dead
/// when its diagonal is zero. Squares outside of (1e-280, 1e280) count as not positive definite:
/// sums of such lose units or overflow. Costs n_units^3 / 3 operations; same bits for every
/// n_threads.
///
/// The factor is the exact one of units that were changed by about the rounding of the Gram matrix
/// divided by the root of its least eigenvalue, of which 1 / inverse_norm tells the size.
ScaledCholesky scaled_cholesky(const Eigen::Ref<const Eigen::MatrixXd>& gram, int n_threads,
                               const StopToken& stop);

/// Units beside a basis: given the triangle R of a network's units and their products `cross` with
/// other units of norm 1, (n_units, n_others), which is overwritten by the others' coefficients
/// R^-T cross in the orthonormal basis. residuals: (n_others), 1 - |coefficients|^2. weights:
/// (n_others), the norm of each one's coefficients on the units themselves.
void project_on_triangle(const Eigen::Ref<const Eigen::MatrixXd>& triangle, int n_threads,
                         const StopToken& stop, Eigen::Ref<Eigen::MatrixXd> cross,
                         Eigen::Ref<Eigen::VectorXd> residuals,
                         Eigen::Ref<Eigen::VectorXd> weights);

}  // namespace convergent
