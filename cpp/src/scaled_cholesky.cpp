#include "convergent/scaled_cholesky.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr Index kPanel = 128;
constexpr Index kTile = 256;
constexpr Index kColumns = 64;  // of one task of a triangular solve
constexpr double kLeastSquare = 1e-280;
constexpr double kLargestSquare = 1e280;

/// Upper Cholesky factor in place, panel after panel; false where a pivot is not positive.
bool factor_in_place(MatrixXd& matrix, int n_threads, const StopToken& stop) {
    const Index n = matrix.rows();
    for (Index begin = 0; begin < n; begin += kPanel) {
        const Index width = std::min(kPanel, n - begin), end = begin + width, rest = n - end;
        auto corner = matrix.block(begin, begin, width, width);
        const Eigen::LLT<MatrixXd, Eigen::Upper> factor(corner);
        if (factor.info() != Eigen::Success) return false;
        corner.triangularView<Eigen::Upper>() = factor.matrixU().toDenseMatrix();
        const Index n_chunks = (rest + kColumns - 1) / kColumns;
        parallel_for(n_chunks, n_threads, stop, [&](Index chunk) {
            const Index first = end + chunk * kColumns;
            auto panel = matrix.block(begin, first, width, std::min(kColumns, n - first));
            corner.triangularView<Eigen::Upper>().transpose().solveInPlace(panel);
        });
        const Index n_tiles = (rest + kTile - 1) / kTile;
        parallel_for(n_tiles * n_tiles, n_threads, stop, [&](Index task) {
            const Index row = end + task % n_tiles * kTile, column = end + task / n_tiles * kTile;
            if (row > column) return;
            const Index n_rows = std::min(kTile, n - row), n_columns = std::min(kTile, n - column);
            matrix.block(row, column, n_rows, n_columns).noalias() -=
                matrix.block(begin, row, width, n_rows).transpose() *
                matrix.block(begin, column, width, n_columns);
        });
    }
    return true;
}

/// Estimates the 1-norm of (R^T R)^-1 from below (Hager 1984, with Higham's second guess).
double estimate_inverse_norm(const MatrixXd& triangle) {
    const Index n = triangle.rows();
    const auto solve = [&](VectorXd vector) {
        triangle.triangularView<Eigen::Upper>().transpose().solveInPlace(vector);
        triangle.triangularView<Eigen::Upper>().solveInPlace(vector);
        return vector;
    };
    double estimate = 0.0;
    VectorXd start = VectorXd::Constant(n, 1.0 / static_cast<double>(n));
    for (int step = 0; step < 5; ++step) {
        const VectorXd image = solve(start);
        const double norm = image.lpNorm<1>();
        if (step > 0 && norm <= estimate) break;
        estimate = norm;
        const VectorXd slope =
            solve(image.unaryExpr([](double v) { return v < 0.0 ? -1.0 : 1.0; }));
        Index steepest = 0;
        if (slope.cwiseAbs().maxCoeff(&steepest) <= slope.dot(start)) break;
        start.setZero();
        start[steepest] = 1.0;
    }
    for (Index i = 0; i < n; ++i) {
        const double size =
            1.0 + static_cast<double>(i) / static_cast<double>(std::max<Index>(n - 1, 1));
        start[i] = i % 2 == 0 ? size : -size;
    }
    return std::max(estimate, 2.0 * solve(start).lpNorm<1>() / (3.0 * static_cast<double>(n)));
}

}  // namespace

ScaledCholesky scaled_cholesky(const Eigen::Ref<const MatrixXd>& gram, int n_threads,
                               const StopToken& stop) {
    if (gram.rows() != gram.cols()) throw std::invalid_argument("a Gram matrix must be square");
    ScaledCholesky result;
    result.norms = gram.diagonal().cwiseSqrt();
    std::vector<Index> alive;
    for (Index unit = 0; unit < gram.rows(); ++unit) {
        const double square = gram(unit, unit);
        if (square == 0.0) continue;
        if (!(square > kLeastSquare && square < kLargestSquare)) return result;
        alive.push_back(unit);
    }
    const Index n = static_cast<Index>(alive.size());
    result.triangle.setZero(n, n);
    for (Index column = 0; column < n; ++column) {
        const Index unit = alive[static_cast<std::size_t>(column)];
        for (Index row = 0; row <= column; ++row) {
            const Index other = alive[static_cast<std::size_t>(row)];
            result.triangle(row, column) =
                gram(other, unit) / result.norms[other] / result.norms[unit];
        }
    }
    result.positive_definite = factor_in_place(result.triangle, n_threads, stop);
    result.triangle.triangularView<Eigen::StrictlyLower>().setZero();
    if (!result.positive_definite || n == 0) return result;
    result.inverse_norm = estimate_inverse_norm(result.triangle);
    result.positive_definite = std::isfinite(result.inverse_norm);
    return result;
}

void project_on_triangle(const Eigen::Ref<const MatrixXd>& triangle, int n_threads,
                         const StopToken& stop, Eigen::Ref<MatrixXd> cross,
                         Eigen::Ref<VectorXd> residuals, Eigen::Ref<VectorXd> weights) {
    const Index n_others = cross.cols();
    if (triangle.rows() != triangle.cols() || cross.rows() != triangle.rows() ||
        residuals.size() != n_others || weights.size() != n_others) {
        throw std::invalid_argument(
            "the triangle, products and outputs must have shapes that agree");
    }
    parallel_for((n_others + kColumns - 1) / kColumns, n_threads, stop, [&](Index chunk) {
        const Index first = chunk * kColumns, count = std::min(kColumns, n_others - first);
        auto columns = cross.middleCols(first, count);
        triangle.triangularView<Eigen::Upper>().transpose().solveInPlace(columns);
        residuals.segment(first, count) = 1.0 - columns.colwise().squaredNorm().transpose().array();
        MatrixXd on_units = columns;
        triangle.triangularView<Eigen::Upper>().solveInPlace(on_units);
        weights.segment(first, count) = on_units.colwise().norm().transpose();
    });
}

}  // namespace convergent
