#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Which column comes when: a permutation, or empty for the order in which they lie.
using ColumnOrder = std::vector<std::ptrdiff_t>;

/// The triangular factor of [R; Z], Z = [X_1 X_2 ...] the units of all networks side by side with
/// its columns in `order`, by Householder reflections: triangle^T triangle = R^T R + Z^T Z. Finite
/// values only. triangle: square, upper triangular R; overwritten by the new factor, whose diagonal
/// may have either sign; the part below the diagonal is neither read nor written. Many examples are
/// folded in at most eight parts side by side, which are merged; the bits are the same for every
/// n_threads. Costs 2 n_examples n_columns^2 operations, and memory for two matrices of the size of
/// the triangle a part.
void fold_examples(const std::vector<NetworkView>& networks, const ColumnOrder& order,
                   int n_threads, const StopToken& stop, Eigen::Ref<RowMatrix> triangle);

/// The same for rows that are an upper triangle of the same size, of which what is below the
/// diagonal is zero: a third of the operations.
void fold_triangle(const Eigen::Ref<const RowMatrix>& other, const StopToken& stop,
                   Eigen::Ref<RowMatrix> triangle);

}  // namespace convergent
