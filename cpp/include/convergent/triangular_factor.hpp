#pragma once

#include <Eigen/Core>

#include "convergent/stop_token.hpp"

namespace convergent {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The triangular factor of [R; rows], by Householder reflections: triangle^T triangle = R^T R +
/// rows^T rows. rows: (n_rows, n_columns), finite. triangle: (n_columns, n_columns), upper
/// triangular R; overwritten by the new factor, whose diagonal may have either sign; the part below
/// the diagonal is neither read nor written. Many rows are folded in at most eight parts side by
/// side, which are merged; the bits are the same for every n_threads. Costs 2 n_rows n_columns^2
/// operations, and memory for two matrices of the size of the triangle a part.
void fold_rows(const Eigen::Ref<const RowMatrix>& rows, int n_threads, const StopToken& stop,
               Eigen::Ref<RowMatrix> triangle);

/// The same for rows that are an upper triangle themselves, of which what is below the diagonal is
/// zero: a third of the operations.
void fold_triangle(const Eigen::Ref<const RowMatrix>& other, const StopToken& stop,
                   Eigen::Ref<RowMatrix> triangle);

}  // namespace convergent
