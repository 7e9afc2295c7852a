#include "polar.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "halley_steps.hpp"
#include "narrow_products.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kSingular = 1e13;  // condition numbers above leave directions undetermined
constexpr double kHalley = 50.0;  // condition numbers below are safe for Cholesky in Halley's steps
constexpr int kMaxSteps = 30;
constexpr double kProximal = 1e-7;  // weight of the anchor in a quick polar factor
/// Bounds of the singular values below this are not tried.
template <class Scalar>
constexpr double kFloor = std::is_same_v<Scalar, float> ? kProximal : 1e-5;
constexpr double kLessLeast = 20.0;
constexpr double kRegular = 1e-5;  // least of the diagonal of a factor from a Gram matrix
constexpr double kSafety = 16.0;   // between a bound of the singular values and their estimate
constexpr double kNearInSingle = 0.995;  // from here the last step leaves only rounding
constexpr double kFarFromSkew = 0.3;     // of X^T X - I, from which last steps do not help
constexpr int kLastSteps = 2;
constexpr double kRough = 1e-4;         // least singular value that a rough factor is right for
constexpr double kSafeInSingle = 1e-3;  // least singular value for steps in single precision
/// Norm of a right factor up to which a product with a matrix of norm 1 loses little more than the
/// rounding of its result.
constexpr double kMild = 512.0;

/// An upper bound of the spectral norm.
template <class Scalar>
double norm_bound(const SquareMatrix<Scalar>& x) {
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

/// Halley steps to the end, for singular values of at least 1 and no upper bound.
bool finish(MatrixXd& x, const StopToken& stop) {
    const double largest = norm_bound(x);
    x /= largest;
    const double smallest = std::min(1.0 / largest, kLastHalleyStep);
    return halley_steps(x, smallest, kHalleyConverged, 1, stop).reached >= kHalleyConverged;
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
/// Returns whether the columns of x are orthonormal at the end, and sets `least`, the bound of the
/// singular values that is taken, to what the first step found out about it.
template <class Scalar>
bool quick_square(SquareMatrix<Scalar>& x, double& least, int n_threads, const StopToken& stop) {
    const double largest = norm_bound(x);
    x /= static_cast<Scalar>(largest);
    double smallest = std::min(least / largest, kLastHalleyStep);
    HalleySteps steps;
    const bool was_wide = sizeof(Scalar) < sizeof(double) && smallest < kSafeInSingle / 2.0;
    if (was_wide) {
        SquareMatrix<double> wide = x.template cast<double>();
        steps = halley_steps(wide, smallest, kSafeInSingle, n_threads, stop);
        if (steps.reached == 0.0) return false;
        smallest = steps.reached;
        x = wide.template cast<Scalar>();
    }
    const double found = steps.least;
    constexpr bool is_single = sizeof(Scalar) < sizeof(double);
    steps =
        halley_steps(x, smallest, is_single ? kNearInSingle : kHalleyConverged, n_threads, stop);
    if (steps.reached == 0.0) return false;
    const double rounding = static_cast<double>(Eigen::NumTraits<Scalar>::epsilon());
    const double allowed = 10.0 * rounding * static_cast<double>(x.rows() + 10);
    if (is_single) {
        double left = 1.0;
        for (int step = 0; step < kLastSteps && !(left < allowed); ++step) {
            const double skew = last_step(x, n_threads, stop);
            if (!(skew < kFarFromSkew)) return false;
            left = skew * skew * skew;
        }
        if (!(left < allowed)) return false;
    } else if (!(skewness(x, n_threads, stop) < allowed)) {
        return false;
    }
    const double start = was_wide ? found : steps.least;
    if (start > 0.0) least = std::max(start * largest / kSafety, kFloor<Scalar>);
    return true;
}

/// a = Q R, of which R and, on demand, products with Q are kept.
template <class Scalar>
class ThinFactors {
    using Matrix = SquareMatrix<Scalar>;

 public:
    ThinFactors(const Matrix& a, int n_threads, const StopToken& stop)
        : a_(a), n_threads_(n_threads), stop_(stop), is_square_(a.rows() == a.cols()) {
        if (is_square_) return;
        if (sizeof(Scalar) < sizeof(double) && factor_gram()) return;
        qr_.compute(a);
        right_ = qr_.matrixQR().topRows(a.cols()).template triangularView<Eigen::Upper>();
    }
    const Matrix& right() const { return is_square_ ? a_ : right_; }

    Matrix times(const Matrix& x) const {
        if (is_square_) return x;
        if (is_by_gram_) return times_by_gram(x);
        Matrix result = Matrix::Zero(a_.rows(), a_.cols());
        result.topRows(a_.cols()) = x;
        result.applyOnTheLeft(qr_.householderQ());
        return result;
    }

 private:
    /// By the Gram matrix in double, from which a matrix in single precision loses nothing.
    bool factor_gram() {
        const Index k = a_.cols();
        std::vector<MatrixXd> grams(static_cast<std::size_t>((a_.rows() + kRows - 1) / kRows));
        for_rows([&](std::size_t task, Index, const MatrixXd& rows) {
            grams[task].setZero(k, k);
            grams[task].template selfadjointView<Eigen::Lower>().rankUpdate(rows.transpose());
        });
        for (std::size_t task = 1; task < grams.size(); ++task) grams.front() += grams[task];
        gram_.compute(grams.front());
        const auto diagonal = gram_.matrixLLT().diagonal();
        is_by_gram_ =
            gram_.info() == Eigen::Success && diagonal.minCoeff() > kRegular * diagonal.maxCoeff();
        if (is_by_gram_) right_ = gram_.matrixU().toDenseMatrix().template cast<Scalar>();
        return is_by_gram_;
    }
    Matrix times_by_gram(const Matrix& x) const {
        MatrixXd rotated = x.template cast<double>();
        gram_.matrixU().solveInPlace(rotated);
        if (rotated.norm() < kMild) return product(rotated.template cast<Scalar>());
        const RowDense<double> right = rotated;
        Matrix result(a_.rows(), a_.cols());
        for_rows([&](std::size_t, Index first, const MatrixXd& rows) {
            const Eigen::Map<const RowDense<double>> left(rows.data(), rows.cols(), rows.rows());
            MatrixXd product = MatrixXd::Zero(rows.rows(), rows.cols());
            add_transposed_product<double>(left, right, product);
            result.middleRows(first, rows.rows()) = product.template cast<Scalar>();
        });
        return result;
    }
    Matrix product(const RowDense<Scalar>& right) const {
        Matrix result = Matrix::Zero(a_.rows(), a_.cols());
        parallel_for((a_.rows() + kRows - 1) / kRows, n_threads_, stop_, [&](Index task) {
            const Index first = task * kRows, count = std::min(kRows, a_.rows() - first);
            const Eigen::Map<const RowDense<Scalar>, 0, Eigen::OuterStride<>> left(
                a_.data() + first, a_.cols(), count, Eigen::OuterStride<>(a_.rows()));
            add_transposed_product<Scalar>(left, right, result.middleRows(first, count));
        });
        return result;
    }
    /// Calls work(number, first row, rows in double) for all rows of a in a few tasks.
    template <class Work>
    void for_rows(const Work& work) const {
        parallel_for((a_.rows() + kRows - 1) / kRows, n_threads_, stop_, [&](Index task) {
            const Index first = task * kRows, count = std::min(kRows, a_.rows() - first);
            const MatrixXd rows = a_.middleRows(first, count).template cast<double>();
            work(static_cast<std::size_t>(task), first, rows);
        });
    }

    static constexpr Index kRows = 128;  // in one task

    const Matrix& a_;
    int n_threads_;
    const StopToken& stop_;
    bool is_square_;
    bool is_by_gram_ = false;
    Matrix right_;
    Eigen::LLT<MatrixXd> gram_;
    Eigen::HouseholderQR<Matrix> qr_;
};

}  // namespace

template <class Scalar>
auto QuickPolar<Scalar>::operator()(const Matrix& a, const Matrix& anchor, int n_threads,
                                    const StopToken& stop) -> Matrix {
    const Scalar norm = a.norm();
    if (!(norm > Scalar(0))) return anchor;
    constexpr bool is_single = sizeof(Scalar) < sizeof(double);
    Matrix start = a / norm;
    if (is_single) start += static_cast<Scalar>(kProximal) * anchor;
    const ThinFactors<Scalar> factors(start, n_threads, stop);
    while (least_ > 0.0) {
        Matrix x = factors.right();
        if (quick_square(x, least_, n_threads, stop)) return factors.times(x);
        least_ = least_ > kFloor<Scalar> ? std::max(least_ / kLessLeast, kFloor<Scalar>) : 0.0;
    }
    return polar_factor(start.template cast<double>(), anchor.template cast<double>(), stop)
        .template cast<Scalar>();
}

template <class Scalar>
auto QuickPolar<Scalar>::rough(const Matrix& a, const Matrix& anchor, int n_threads,
                               const StopToken& stop) -> Matrix {
    const double largest = norm_bound(a);
    if (!(largest > 0.0)) return anchor;
    Matrix x = a / static_cast<Scalar>(largest);
    const bool is_done = halley_steps(x, kRough, kNearInSingle, n_threads, stop).reached > 0.0;
    return is_done ? x : (*this)(a, anchor, n_threads, stop);
}

template class QuickPolar<float>;
template class QuickPolar<double>;

}  // namespace convergent
