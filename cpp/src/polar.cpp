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
constexpr double kLastStep = 1.0 - 1e-5;  // cubic: the step from here is the one to rounding
constexpr double kConverged = 1.0 - 1e-12;
constexpr double kFloorInDouble = 1e-5;
constexpr double kProximal = 1e-7;  // weight of the anchor in a quick polar factor
constexpr double kLessLeast = 20.0;
constexpr double kSafeInSingle = 1e-3;  // least singular value for steps in single precision

template <class Scalar>
using Square = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

/// An upper bound of the spectral norm.
template <class Scalar>
double norm_bound(const Square<Scalar>& x) {
    const double sums = std::sqrt(static_cast<double>(x.cwiseAbs().colwise().sum().maxCoeff()) *
                                  static_cast<double>(x.cwiseAbs().rowwise().sum().maxCoeff()));
    return std::min(sums, static_cast<double>(x.norm()));
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
/// Gygi 2010, Equations 3.5 and 5.5), in place, for a matrix whose singular values lie between
/// `smallest` and 1, until `smallest` is at least `enough`; returns where it ends.
template <class Scalar>
double halley_steps(Square<Scalar>& x, double smallest, double enough, const StopToken& stop) {
    Square<Scalar> gram(x.rows(), x.cols()), solved;
    while (smallest < enough) {
        stop.check();
        const double square = smallest * smallest;
        const double d = std::cbrt(4.0 * (1.0 - square) / (square * square));
        const double root = std::sqrt(1.0 + d);
        const double a =
            root + 0.5 * std::sqrt(8.0 - 4.0 * d + 8.0 * (2.0 - square) / (square * root));
        const double b = (a - 1.0) * (a - 1.0) / 4.0;
        const double c = a + b - 1.0;
        gram.setIdentity();
        gram.template selfadjointView<Eigen::Lower>().rankUpdate(x.transpose(),
                                                                 static_cast<Scalar>(c));
        const Eigen::LLT<Eigen::Ref<Square<Scalar>>> factor(gram);
        if (factor.info() != Eigen::Success) return 0.0;
        solved = x;
        factor.matrixL().transpose().template solveInPlace<Eigen::OnTheRight>(solved);
        factor.matrixL().template solveInPlace<Eigen::OnTheRight>(solved);
        x = static_cast<Scalar>(b / c) * x + static_cast<Scalar>(a - b / c) * solved;
        smallest = std::min(smallest * (a + b * square) / (1.0 + c * square), 1.0);
    }
    return smallest;
}

/// The same to the end, for singular values of at least 1 and no upper bound.
bool finish(MatrixXd& x, const StopToken& stop) {
    const double largest = norm_bound(x);
    x /= largest;
    const double reached = halley_steps(x, std::min(1.0 / largest, kLastStep), kConverged, stop);
    return reached >= kConverged;
}

bool square_polar(MatrixXd& x, const StopToken& stop) {
    return newton_steps(x, stop) && finish(x, stop);
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

namespace {

/// Halley's steps on a matrix of norm 1, the first ones in double where the condition asks for it.
/// Returns whether the columns of x are orthonormal at the end.
template <class Scalar>
bool quick_square(Square<Scalar>& x, double least, const StopToken& stop) {
    const double largest = norm_bound(x);
    x /= static_cast<Scalar>(largest);
    double smallest = std::min(least / largest, kLastStep);
    if (sizeof(Scalar) < sizeof(double) && smallest < kSafeInSingle / 2.0) {
        MatrixXd wide = x.template cast<double>();
        smallest = halley_steps(wide, smallest, kSafeInSingle, stop);
        x = wide.template cast<Scalar>();
    }
    if (smallest == 0.0 || halley_steps(x, smallest, kConverged, stop) == 0.0) return false;
    Square<Scalar> rest = -Square<Scalar>::Identity(x.rows(), x.cols());
    rest.template selfadjointView<Eigen::Lower>().rankUpdate(x.transpose());
    rest.template triangularView<Eigen::StrictlyUpper>().setZero();
    const double rounding = static_cast<double>(Eigen::NumTraits<Scalar>::epsilon());
    return static_cast<double>(rest.norm()) < 10.0 * rounding * static_cast<double>(x.rows() + 10);
}

}  // namespace

template <class Scalar>
auto QuickPolar<Scalar>::operator()(const Matrix& a, const Matrix& anchor, const StopToken& stop)
    -> Matrix {
    const Scalar norm = a.norm();
    if (!(norm > Scalar(0))) return anchor;
    const Eigen::Index n = a.rows(), k = a.cols();
    constexpr bool is_single = sizeof(Scalar) < sizeof(double);
    Matrix start = a / norm;
    if (is_single) start += static_cast<Scalar>(kProximal) * anchor;
    const double floor = is_single ? kProximal : kFloorInDouble;
    const Eigen::HouseholderQR<Matrix> qr(n == k ? Matrix(0, 0) : start);
    const Matrix square =
        n == k ? start : Matrix(qr.matrixQR().topRows(k).template triangularView<Eigen::Upper>());
    for (; least_ >= floor; least_ /= kLessLeast) {
        Matrix x = square;
        if (!quick_square(x, least_, stop)) continue;
        if (n == k) return x;
        Matrix w = Matrix::Zero(n, k);
        w.topRows(k) = x;
        w.applyOnTheLeft(qr.householderQ());
        return w;
    }
    return polar_factor(start.template cast<double>(), anchor.template cast<double>(), stop)
        .template cast<Scalar>();
}

template class QuickPolar<float>;
template class QuickPolar<double>;

}  // namespace convergent
