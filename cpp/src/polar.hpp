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

/// Polar factors for one network after another step of the same iteration: by Halley's steps alone,
/// a few times faster, while the matrices are well conditioned.
///
/// In double anything worse than about 1e5 goes to polar_factor. In single precision, which only
/// prepares what double ends, a is taken as a plus 1e-7 of its norm times `anchor`, and directions
/// of small singular values are less accurate (a thousandth below 1e-3 of the norm). The result is
/// orthonormal to rounding times k. Same bits for every n_threads.
template <class Scalar>
class QuickPolar {
 public:
    using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
    Matrix operator()(const Matrix& a, const Matrix& anchor, int n_threads, const StopToken& stop);
    /// The same for a square matrix that only begins an iteration, in about half of the time:
    /// directions of singular values below 1e-4 of a bound of the norm come out shorter than 1, and
    /// do not follow the anchor.
    Matrix rough(const Matrix& a, const Matrix& anchor, int n_threads, const StopToken& stop);

 private:
    /// A bound of the singular values that held last, over the norm; 0 once none did.
    double least_ = sizeof(Scalar) < sizeof(double) ? 1e-7 : 1e-5;
};

extern template class QuickPolar<float>;
extern template class QuickPolar<double>;

}  // namespace convergent
