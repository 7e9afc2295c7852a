#include "halley_steps.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kTileColumns = 128;  // of a Gram matrix in one task
constexpr Index kPanel = 64;         // of a factor, between two divisions of the work
constexpr Index kTileRows = 128;     // of a system of equations in one task
constexpr int kInverseRounds = 4;    // for the least singular value
constexpr double kResolved = 0.02;   // what it must add to an eigenvalue to be told apart

/// What a step multiplies with: X (a I + b X^T X) (I + c X^T X)^-1.
struct Weighting {
    double a, b, c;

    explicit Weighting(double smallest) {
        const double square = smallest * smallest;
        const double d = std::cbrt(4.0 * (1.0 - square) / (square * square));
        const double root = std::sqrt(1.0 + d);
        a = root + 0.5 * std::sqrt(8.0 - 4.0 * d + 8.0 * (2.0 - square) / (square * root));
        b = (a - 1.0) * (a - 1.0) / 4.0;
        c = a + b - 1.0;
    }
    double bound(double smallest) const {
        const double square = smallest * smallest;
        return std::min(smallest * (a + b * square) / (1.0 + c * square), 1.0);
    }
};

/// gram = I + c X^T X, lower triangle.
template <class Scalar>
void set_gram(const SquareMatrix<Scalar>& x, Scalar c, int n_threads, const StopToken& stop,
              SquareMatrix<Scalar>& gram) {
    const Index n = x.cols();
    gram.setIdentity(n, n);
    parallel_for((n + kTileColumns - 1) / kTileColumns, n_threads, stop, [&](Index tile) {
        const Index first = tile * kTileColumns, count = std::min(kTileColumns, n - first);
        gram.block(first, first, n - first, count).noalias() +=
            c * (x.rightCols(n - first).transpose() * x.middleCols(first, count));
    });
}

/// gram = L L^T in place, lower triangle; false where it is not positive definite.
template <class Scalar>
bool factorise(SquareMatrix<Scalar>& gram, int n_threads, const StopToken& stop) {
    const Index n = gram.rows();
    for (Index first = 0; first < n; first += kPanel) {
        const Index count = std::min(kPanel, n - first), next = first + count;
        auto diagonal = gram.block(first, first, count, count);
        const Eigen::LLT<Eigen::Ref<SquareMatrix<Scalar>>> factor(diagonal);
        if (factor.info() != Eigen::Success) return false;
        const Index n_tiles = (n - next + kTileRows - 1) / kTileRows;
        parallel_for(n_tiles, n_threads, stop, [&](Index tile) {
            const Index row = next + tile * kTileRows;
            auto panel = gram.block(row, first, std::min(kTileRows, n - row), count);
            factor.matrixL().transpose().template solveInPlace<Eigen::OnTheRight>(panel);
        });
        parallel_for(n_tiles, n_threads, stop, [&](Index tile) {
            const Index row = next + tile * kTileRows, rows = std::min(kTileRows, n - row);
            gram.block(row, row, n - row, rows).noalias() -=
                gram.block(row, first, n - row, count) *
                gram.block(row, first, rows, count).transpose();
        });
    }
    return true;
}

/// The least singular value of X from a factor of I + c X^T X, by inverse iteration; 0 where c is
/// too small to tell the small ones apart.
template <class Scalar>
double least_value(const SquareMatrix<Scalar>& factor, double c) {
    const Index n = factor.rows();
    Eigen::Matrix<Scalar, Eigen::Dynamic, 1> vector(n);
    for (Index i = 0; i < n; ++i) vector[i] = static_cast<Scalar>(std::cos(1.0 + 2.0 * i * i));
    double inverse = 1.0;
    for (int round = 0; round < kInverseRounds; ++round) {
        vector /= vector.norm();
        factor.template triangularView<Eigen::Lower>().solveInPlace(vector);
        factor.transpose().template triangularView<Eigen::Upper>().solveInPlace(vector);
        inverse = static_cast<double>(vector.norm());
    }
    const double above = 1.0 / inverse - 1.0;
    return above > kResolved ? std::sqrt(above / c) : 0.0;
}

/// The sum of squares of some columns of a symmetric matrix from their diagonal on, where they are
/// set, and of the rows that mirror them.
template <class Scalar>
double lower_squares(const Eigen::Ref<const SquareMatrix<Scalar>>& columns) {
    double squares = 0.0;
    for (Index column = 0; column < columns.cols(); ++column) {
        const auto below = columns.col(column).tail(columns.rows() - column);
        const double diagonal = static_cast<double>(below[0]);
        squares += 2.0 * static_cast<double>(below.squaredNorm()) - diagonal * diagonal;
    }
    return squares;
}

}  // namespace

template <class Scalar>
HalleySteps halley_steps(SquareMatrix<Scalar>& x, double smallest, double enough, int n_threads,
                         const StopToken& stop) {
    using Matrix = SquareMatrix<Scalar>;
    Matrix gram;
    HalleySteps result;
    for (bool is_first = true; smallest < enough; is_first = false) {
        stop.check();
        const Weighting w(smallest);
        set_gram(x, static_cast<Scalar>(w.c), n_threads, stop, gram);
        if (!factorise(gram, n_threads, stop)) return {0.0, result.least};
        if (is_first) result.least = least_value(gram, w.c);
        const Scalar kept = static_cast<Scalar>(w.b / w.c);
        const Scalar added = static_cast<Scalar>(w.a - w.b / w.c);
        parallel_for((x.rows() + kTileRows - 1) / kTileRows, n_threads, stop, [&](Index tile) {
            const Index first = tile * kTileRows;
            auto rows = x.middleRows(first, std::min(kTileRows, x.rows() - first));
            Matrix solved = rows;
            const Matrix& factor = gram;
            factor.transpose()
                .template triangularView<Eigen::Upper>()
                .template solveInPlace<Eigen::OnTheRight>(solved);
            factor.template triangularView<Eigen::Lower>().template solveInPlace<Eigen::OnTheRight>(
                solved);
            rows = kept * rows + added * solved;
        });
        smallest = w.bound(smallest);
    }
    result.reached = smallest;
    return result;
}

template <class Scalar>
double last_step(SquareMatrix<Scalar>& x, int n_threads, const StopToken& stop) {
    const Index n = x.cols(), n_tiles = (n + kTileColumns - 1) / kTileColumns;
    SquareMatrix<Scalar> rest, weighting(n, n);
    set_gram(x, Scalar(-1), n_threads, stop, rest);
    rest.template triangularView<Eigen::StrictlyUpper>() = rest.transpose();
    std::vector<double> squares(static_cast<std::size_t>(n_tiles));  // of the numbers of E^2
    parallel_for(n_tiles, n_threads, stop, [&](Index tile) {
        const Index first = tile * kTileColumns, count = std::min(kTileColumns, n - first);
        const Index below = n - first;
        auto columns = weighting.block(first, first, below, count);
        columns.noalias() = rest.bottomRows(below) * rest.middleCols(first, count);
        squares[static_cast<std::size_t>(tile)] = lower_squares<Scalar>(columns);
        columns = Scalar(0.5) * rest.block(first, first, below, count) + Scalar(0.375) * columns;
        columns.diagonal().array() += Scalar(1);
    });
    weighting.template triangularView<Eigen::StrictlyUpper>() = weighting.transpose();
    parallel_for((x.rows() + kTileRows - 1) / kTileRows, n_threads, stop, [&](Index tile) {
        const Index first = tile * kTileRows;
        auto rows = x.middleRows(first, std::min(kTileRows, x.rows() - first));
        const SquareMatrix<Scalar> before = rows;
        rows.noalias() = before * weighting;
    });
    return std::pow(std::accumulate(squares.begin(), squares.end(), 0.0), 0.25);
}

template <class Scalar>
double skewness(const SquareMatrix<Scalar>& x, int n_threads, const StopToken& stop) {
    SquareMatrix<Scalar> rest;
    set_gram(x, Scalar(-1), n_threads, stop, rest);
    return std::sqrt(lower_squares<Scalar>(rest));
}

template HalleySteps halley_steps<float>(SquareMatrix<float>&, double, double, int,
                                         const StopToken&);
template HalleySteps halley_steps<double>(SquareMatrix<double>&, double, double, int,
                                          const StopToken&);
template double last_step<float>(SquareMatrix<float>&, int, const StopToken&);
template double last_step<double>(SquareMatrix<double>&, int, const StopToken&);
template double skewness<float>(const SquareMatrix<float>&, int, const StopToken&);
template double skewness<double>(const SquareMatrix<double>&, int, const StopToken&);

}  // namespace convergent
