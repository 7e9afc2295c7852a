#pragma once

#include <cstddef>
#include <cstdint>

#include "convergent/stop_token.hpp"

namespace convergent {

/// Costs of pairing rows with columns, read where they lie. Strides in elements, of either sign or
/// zero.
template <class Scalar>
struct CostMatrix {
    const Scalar* data;
    std::ptrdiff_t n_rows;     ///< below 2^31
    std::ptrdiff_t n_columns;  ///< below 2^31
    std::ptrdiff_t row_stride;
    std::ptrdiff_t column_stride;
};

/// Where `assign` writes. `u` and `v` are both null if no duals are wanted; no array aliases
/// another.
struct AssignmentOutput {
    std::int64_t* column_of_row;  ///< (n_rows,), -1 for rows that stay alone
    double* u;                    ///< (n_rows,)
    double* v;                    ///< (n_columns,)
};

enum class AssignmentStatus {
    solved,
    infeasible,  ///< forbidden pairs leave fewer than min(n_rows, n_columns) pairs; outputs
                 ///< unspecified
    invalid,     ///< a NaN, or an infinity of the sign that does not forbid; outputs unspecified
};

/// The min(n_rows, n_columns) pairs of least total cost, or of the greatest with `maximize`.
///
/// +inf forbids a pair (-inf with `maximize`). The duals are those of the linear programme: u[i] +
/// v[j] <= cost[i, j] everywhere (>= with `maximize`), equal on the pairs. On the longer side they
/// are <= 0 (>= 0) and zero where no pair is, so that sum(u) + sum(v) is the total and proves it
/// least. All of that up to the rounding of sums of costs.
///
/// Jonker and Volgenant (1987): column reduction of square matrices where it helps, augmenting row
/// reduction with a bound on its work, shortest augmenting paths. On lists of each row's cheapest
/// columns first, with a bound for the rest of the row, so that every step is that of the whole
/// matrix; on the whole matrix where lists do not pay: O(min^2 max) at worst. Arithmetic is in
/// double for both scalars. A constant matrix gives the identity.
///
/// Extra memory: a few vectors; lists of about a tenth of the entries at most, 16 bytes each; and
/// one copy of the matrix only if its longer side is not the one that lies contiguously (of a
/// square matrix: if neither side does).
template <class Scalar>
AssignmentStatus assign(const CostMatrix<Scalar>& cost, bool maximize,
                        const AssignmentOutput& output, const StopToken& stop);

}  // namespace convergent
