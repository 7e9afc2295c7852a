#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "convergent/stop_token.hpp"

namespace convergent {

/// Costs with n_rows <= n_columns as the dense search reads them: row by row, a row's columns side
/// by side. `factor`, a signed power of two and so exact, makes a minimisation of a maximisation
/// and keeps sums of huge costs finite. After it +inf forbids a pair, and there is no NaN and no
/// -inf.
template <class Scalar>
struct CostRows {
    const Scalar* data;
    std::ptrdiff_t n_rows;
    std::ptrdiff_t n_columns;
    std::ptrdiff_t row_stride;
    double factor;

    const Scalar* row(std::ptrdiff_t i) const { return data + i * row_stride; }
    double at(std::ptrdiff_t i, std::ptrdiff_t j) const { return factor * double(row(i)[j]); }
};

/// Pairs so far, and the dual variables v ("prices") of the columns. Every step below keeps
///  - each pair tight: cost(i, j) - v[j] is the least of row i at j = column_of_row[i], up to
///  rounding;
///  - v <= 0, and v = 0 at free columns, where there are more columns than rows.
/// So once every row has a column the pairs are optimal, and v with u[i] = min_j cost(i, j) - v[j]
/// proves it.
struct Matching {
    static constexpr std::int32_t kFree = -1;

    Matching(std::ptrdiff_t n_rows, std::ptrdiff_t n_columns)
        : column_of_row(n_rows, kFree), row_of_column(n_columns, kFree), v(n_columns, 0.0) {}

    void join(std::int32_t row, std::int32_t column) {
        column_of_row[row] = column;
        row_of_column[column] = row;
    }

    std::vector<std::int32_t> column_of_row;
    std::vector<std::int32_t> row_of_column;
    std::vector<double> v;
};

/// What one pass over all costs tells.
struct CostSurvey {
    bool invalid = false;  ///< there is a NaN or a -inf
    double largest = 0.0;  ///< the largest finite magnitude, if it is above the `limit` asked about
    std::vector<double> least;  ///< of each column; +inf if all of it is forbidden
    std::vector<std::int64_t>
        row_of_least;  ///< the first such row; kFree if all of the column is forbidden
};

template <class Scalar>
CostSurvey survey(const CostRows<Scalar>& cost, double limit, const StopToken& stop);

/// Gives every free row a column, starting from any matching that keeps the rules above, at least
/// total cost. Returns false if forbidden pairs do not allow it.
template <class Scalar>
bool assign_free_rows(const CostRows<Scalar>& cost, Matching& matching, const StopToken& stop);

/// min_j cost(i, j) - v[j] of one row.
template <class Scalar>
double least_reduced_cost(const CostRows<Scalar>& cost, std::ptrdiff_t row,
                          const std::vector<double>& v);

}  // namespace convergent
