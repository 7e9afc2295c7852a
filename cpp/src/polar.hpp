#pragma once

#include <Eigen/Core>

#include "convergent/stop_token.hpp"

namespace convergent {

/// The orthonormal polar factor of a, (n, k) with n >= k: the W with W^T W = I that maximises
/// tr(W^T a).
///
/// Directions that a leaves undetermined (singular values below about 1e-13 of the norm) follow
/// `anchor`, which has a's shape and orthonormal columns. W is orthonormal to 1e-14 times k
/// whatever the rank of a.
///
/// Scaled Newton steps on the triangular factor bound its singular values (Higham 1986), Halley
/// steps finish: the error grows with the condition number of a, not with its square as through the
/// eigenvectors of a^T a.
Eigen::MatrixXd polar_factor(const Eigen::MatrixXd& a, const Eigen::MatrixXd& anchor,
                             const StopToken& stop);

}  // namespace convergent
