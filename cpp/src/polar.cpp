#include "polar.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

namespace convergent {
namespace {

using Eigen::MatrixXd;

constexpr double kSingular = 1e13;  // condition numbers above leave directions undetermined
constexpr double kHalley = 50.0;  // condition numbers below are safe for Cholesky in Halley's steps
constexpr int kMaxSteps = 30;

/// An upper bound of the spectral norm.
double norm_bound(const MatrixXd& x) {
    const double sums = std::sqrt(x.cwiseAbs().colwise().sum().maxCoeff() *
                                  x.cwiseAbs().rowwise().sum().maxCoeff());
    return std::min(sums, x.norm());
}

/// Scaled Newton steps X <- (z X + X^-T / z) / 2 until the singular values lie in [1, kHalley], in
/// place. Returns false, with x unspecified, if x is singular to working precision.
bool newton_steps(MatrixXd& x, const StopToken& stop) {
    const double norm = x.norm();
    if (!(norm > 0.0) || !std::isfinite(norm)) return false;
    x /= norm;
    for (int step = 0; step < kMaxSteps; ++step) {
        stop.check();
        const MatrixXd inverse = x.partialPivLu().inverse();
        const double inverse_norm = inverse.norm();
        if (!(inverse_norm < kSingular)) return false;
        const double scale = std::sqrt(inverse_norm / x.norm());
        x = 0.5 * scale * x + (0.5 / scale) * inverse.transpose();
        if (norm_bound(x) <= kHalley)
            return true;  // whatever they were, singular values are now at least 1
    }
    return false;
}

/// Dynamically weighted Halley steps X <- X (a I + b X^T X) (I + c X^T X)^-1 (Nakatsukasa, Bai and
/// Gygi 2010, Equations 3.5 and 5.5) for a matrix whose singular values are at least 1, in place.
bool halley_steps(MatrixXd& x, const StopToken& stop) {
    const double largest = norm_bound(x);
    x /= largest;
    double smallest = std::min(1.0 / largest, 1.0);
    MatrixXd gram(x.rows(), x.cols());
    for (bool last = false; !last;) {
        stop.check();
        last = 1.0 - smallest < 1e-5;  // cubic: the step from here is the one to rounding
        const double square = smallest * smallest;
        const double d = std::cbrt(4.0 * (1.0 - square) / (square * square));
        const double root = std::sqrt(1.0 + d);
        const double a =
            root + 0.5 * std::sqrt(8.0 - 4.0 * d + 8.0 * (2.0 - square) / (square * root));
        const double b = (a - 1.0) * (a - 1.0) / 4.0;
        const double c = a + b - 1.0;
        gram.setIdentity();
        gram.selfadjointView<Eigen::Lower>().rankUpdate(x.transpose(), c);
        const Eigen::LLT<Eigen::Ref<MatrixXd>> factor(gram);
        if (factor.info() != Eigen::Success) return false;
        MatrixXd solved = x;
        factor.matrixL().transpose().solveInPlace<Eigen::OnTheRight>(solved);
        factor.matrixL().solveInPlace<Eigen::OnTheRight>(solved);
        x = (b / c) * x + (a - b / c) * solved;
        smallest = std::min(smallest * (a + b * square) / (1.0 + c * square), 1.0);
    }
    return true;
}

bool square_polar(MatrixXd& x, const StopToken& stop) {
    return newton_steps(x, stop) && halley_steps(x, stop);
}

/// Orthonormal polar factor of a square matrix of any rank.
MatrixXd complete_polar(const MatrixXd& a) {
    // Square, so the one-sided iteration needs no QR step before it (and less of Eigen is
    // compiled).
    const Eigen::JacobiSVD<MatrixXd, Eigen::NoQRPreconditioner> svd(
        a, Eigen::ComputeFullU | Eigen::ComputeFullV);
    return svd.matrixU() * svd.matrixV().transpose();
}

/// Polar factor through a = Q R. With `complete`, by singular values, so that any rank will do.
bool factor(const MatrixXd& a, bool complete, const StopToken& stop, MatrixXd& w) {
    const Eigen::Index n = a.rows(), k = a.cols();
    if (n == k && !complete) {
        w = a;
        return square_polar(w, stop);
    }
    const Eigen::HouseholderQR<MatrixXd> qr(a);
    MatrixXd square = qr.matrixQR().topRows(k).template triangularView<Eigen::Upper>();
    if (complete) {
        square = complete_polar(square);
    } else if (!square_polar(square, stop)) {
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
