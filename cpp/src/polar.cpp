#include "polar.hpp"

#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <cmath>

namespace convergent {
namespace {

using Eigen::MatrixXd;

constexpr double kSingular = 1e13;   // condition numbers above leave directions undetermined
constexpr double kUnscaled = 1e-2;   // relative steps below need no scaling any more
constexpr double kFinalStep = 1e-7;  // the step after such a one is below rounding
constexpr int kMaxSteps = 40;

/// Newton's iteration X <- (z X + X^-T / z) / 2 for a square matrix, in place. Returns false, with
/// x unspecified, if x is singular to working precision or if the iteration does not settle.
bool newton_polar(MatrixXd& x, const StopToken& stop) {
    const double norm = x.norm();
    if (!(norm > 0.0) || !std::isfinite(norm)) return false;
    x /= norm;
    double relative_step = 1.0;
    for (int step = 0; step < kMaxSteps; ++step) {
        stop.check();
        const MatrixXd inverse = x.partialPivLu().inverse();
        const double inverse_norm = inverse.norm();
        if (!std::isfinite(inverse_norm)) return false;
        if (step == 0 && inverse_norm > kSingular) return false;
        const double scale = relative_step < kUnscaled ? 1.0 : std::sqrt(inverse_norm / x.norm());
        const MatrixXd next = 0.5 * scale * x + (0.5 / scale) * inverse.transpose();
        relative_step = (next - x).norm() / next.norm();
        x = next;
        if (relative_step < kFinalStep) {
            const MatrixXd gram = x.transpose() * x;
            x = 1.5 * x - 0.5 * (x * gram);  // Newton-Schulz: rounding of the inverse mended
            return true;
        }
    }
    return false;
}

/// Orthonormal polar factor of a square matrix of any rank.
MatrixXd complete_polar(const MatrixXd& a) {
    const Eigen::JacobiSVD<MatrixXd> svd(a, Eigen::ComputeFullU | Eigen::ComputeFullV);
    return svd.matrixU() * svd.matrixV().transpose();
}

/// Polar factor through a = Q R. With `complete`, by singular values, so that any rank will do.
bool factor(const MatrixXd& a, bool complete, const StopToken& stop, MatrixXd& w) {
    const Eigen::Index n = a.rows(), k = a.cols();
    if (n == k && !complete) {
        w = a;
        return newton_polar(w, stop);
    }
    const Eigen::HouseholderQR<MatrixXd> qr(a);
    MatrixXd square = qr.matrixQR().topRows(k).template triangularView<Eigen::Upper>();
    if (complete) {
        square = complete_polar(square);
    } else if (!newton_polar(square, stop)) {
        return false;
    }
    w = MatrixXd::Zero(n, k);
    w.topRows(k) = square;
    w.applyOnTheLeft(qr.householderQ());
    return true;
}

}  // namespace

MatrixXd polar_factor(const MatrixXd& a, const MatrixXd& anchor, const StopToken& stop) {
    const double norm = a.norm();
    if (norm == 0.0) return anchor;
    MatrixXd w;
    if (factor(a, false, stop, w)) return w;
    const MatrixXd anchored = a + (norm / kSingular) * anchor;
    if (factor(anchored, false, stop, w)) return w;
    factor(a, true, stop, w);
    return w;
}

}  // namespace convergent
