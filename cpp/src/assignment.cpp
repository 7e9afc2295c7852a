#include "convergent/assignment.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "dense_assignment.hpp"
#include "sparse_assignment.hpp"

namespace convergent {

namespace {

// Prices, distances and labels are sums of fewer than 2^4 n costs; beyond this exponent the sums
// could overflow.
constexpr int kMaxExponent = 1010;

// With fewer columns, lists of candidates are no shorter work than rows.
constexpr std::ptrdiff_t kLeastForCandidates = 320;

template <class Scalar>
CostMatrix<Scalar> transposed(const CostMatrix<Scalar>& cost) {
    return {cost.data, cost.n_columns, cost.n_rows, cost.column_stride, cost.row_stride};
}

// The matrix row after row without gaps, copied in tiles so that both sides are read and written by
// cache lines.
template <class Scalar>
std::vector<Scalar> packed(const CostMatrix<Scalar>& cost, const StopToken& stop) {
    constexpr std::ptrdiff_t kTile = 32;
    std::vector<Scalar> copy(cost.n_rows * cost.n_columns);
    for (std::ptrdiff_t top = 0; top < cost.n_rows; top += kTile) {
        stop.check();
        const std::ptrdiff_t bottom = std::min(top + kTile, cost.n_rows);
        for (std::ptrdiff_t left = 0; left < cost.n_columns; left += kTile) {
            const std::ptrdiff_t right = std::min(left + kTile, cost.n_columns);
            for (std::ptrdiff_t i = top; i < bottom; ++i) {
                const Scalar* row = cost.data + i * cost.row_stride;
                for (std::ptrdiff_t j = left; j < right; ++j) {
                    copy[i * cost.n_columns + j] = row[j * cost.column_stride];
                }
            }
        }
    }
    return copy;
}

// The mean of some costs all over the matrix.
template <class Scalar>
double sample_mean(const CostRows<Scalar>& cost) {
    constexpr std::ptrdiff_t kMost = 256;
    double sum = 0.0;
    std::ptrdiff_t n = 0;
    for (std::ptrdiff_t k = 0; k < std::min(kMost, cost.n_rows); ++k) {
        const double value =
            cost.at(k * cost.n_rows / kMost % cost.n_rows, k * 31 % cost.n_columns);
        if (!std::isfinite(value)) continue;
        sum += value / double(kMost);
        ++n;
    }
    return n == 0 ? 0.0 : sum * (double(kMost) / double(n));
}

// Whether the columns' least costs are the better start for their prices than zero. They are where
// nearly each is in a row of its own, which then takes the column, and where they differ little.
// But where dead, duplicate or noisy units are, a column's least cost is not what it is worth: the
// columns that no row wants would look the cheapest.
template <class Scalar>
bool column_minima_help(const CostRows<Scalar>& cost, const CostSurvey& found) {
    constexpr std::int32_t kMostOfOneRow = 16;
    const std::size_t n = found.least.size();
    std::vector<std::int32_t> n_least(n);
    std::size_t n_rows = 0;
    std::int32_t n_most = 0;
    double mean = 0.0;
    for (std::size_t j = 0; j < n; ++j) {
        std::int32_t& count = n_least[found.row_of_least[j]];
        n_rows += count == 0;
        n_most = std::max(n_most, ++count);
        mean += found.least[j] / double(n);
    }
    if (n_most > kMostOfOneRow || 2 * n_rows < n) return false;
    if (5 * n_rows >= 4 * n) return true;
    double deviation = 0.0;
    for (const double least : found.least) deviation += std::fabs(least - mean) / double(n);
    return 20.0 * deviation <= sample_mean(cost) - mean;
}

// Column reduction (Jonker and Volgenant 1987): each column's least cost is its price, and its row
// takes it. Only for square matrices: of more columns than rows those that stay free must keep the
// price 0.
void reduce_columns(const CostSurvey& found, double rescale, Matching& matching) {
    const auto n_columns = std::int32_t(found.least.size());
    for (std::int32_t j = 0; j < n_columns; ++j) {
        matching.v[j] = rescale * found.least[j];
        const auto row = std::int32_t(found.row_of_least[j]);
        if (matching.column_of_row[row] == Matching::kFree) matching.join(row, j);
    }
}

template <class Scalar>
void write_duals(const CostRows<Scalar>& cost, const Matching& matching, double* u, double* v,
                 const StopToken& stop) {
    for (std::ptrdiff_t i = 0; i < cost.n_rows; ++i) {
        stop.check();
        u[i] =
            least_reduced_cost(cost, i, matching.v) / cost.factor + 0.0;  // + 0.0 turns -0 into 0
    }
    for (std::ptrdiff_t j = 0; j < cost.n_columns; ++j) v[j] = matching.v[j] / cost.factor + 0.0;
}

// Solves for n_rows <= n_columns with a column stride of one.
template <class Scalar>
AssignmentStatus solve(CostRows<Scalar> cost, Matching& matching, double* u, double* v,
                       const StopToken& stop) {
    const int spare_bits = std::ilogb(double(std::max<std::ptrdiff_t>(cost.n_columns, 1))) + 1;
    const double limit = std::ldexp(1.0, kMaxExponent - spare_bits);
    const CostSurvey found = survey(cost, limit, stop);
    if (found.invalid) return AssignmentStatus::invalid;
    const bool square = cost.n_rows == cost.n_columns;
    const auto& rows = found.row_of_least;
    if (square && std::find(rows.begin(), rows.end(), Matching::kFree) != rows.end()) {
        return AssignmentStatus::infeasible;
    }
    const double rescale =
        found.largest > limit ? std::ldexp(1.0, kMaxExponent - 1024 - spare_bits) : 1.0;
    if (square && column_minima_help(cost, found)) reduce_columns(found, rescale, matching);
    cost.factor *= rescale;
    const bool many = cost.n_columns >= kLeastForCandidates && 2 * cost.n_rows > cost.n_columns;
    if (many) assign_by_candidates(cost, matching, stop);
    if (!assign_free_rows(cost, matching, stop)) return AssignmentStatus::infeasible;
    if (u != nullptr) write_duals(cost, matching, u, v, stop);
    return AssignmentStatus::solved;
}

}  // namespace

template <class Scalar>
AssignmentStatus assign(const CostMatrix<Scalar>& cost, bool maximize,
                        const AssignmentOutput& output, const StopToken& stop) {
    const bool square = cost.n_rows == cost.n_columns;
    const bool turned =
        cost.n_rows > cost.n_columns || (square && cost.column_stride != 1 && cost.row_stride == 1);
    const CostMatrix<Scalar> wide = turned ? transposed(cost) : cost;
    std::vector<Scalar> copy;
    CostRows<Scalar> rows{wide.data, wide.n_rows, wide.n_columns, wide.row_stride,
                          maximize ? -1.0 : 1.0};
    if (wide.column_stride != 1) {
        copy = packed(wide, stop);
        rows.data = copy.data();
        rows.row_stride = wide.n_columns;
    }
    Matching matching(wide.n_rows, wide.n_columns);
    const AssignmentStatus status =
        solve(rows, matching, turned ? output.v : output.u, turned ? output.u : output.v, stop);
    const auto& column_of_row = turned ? matching.row_of_column : matching.column_of_row;
    std::copy(column_of_row.begin(), column_of_row.end(), output.column_of_row);
    return status;
}

template AssignmentStatus assign(const CostMatrix<float>&, bool, const AssignmentOutput&,
                                 const StopToken&);
template AssignmentStatus assign(const CostMatrix<double>&, bool, const AssignmentOutput&,
                                 const StopToken&);

}  // namespace convergent
