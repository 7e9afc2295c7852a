#pragma once

#include <Eigen/Core>

#include "convergent/stop_token.hpp"

namespace convergent {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The triangular factor of [R; rows], by Householder reflections: triangle^T triangle = R^T R +
/// rows^T rows. rows: (n_rows, n_columns), finite. triangle: (n_columns, n_columns), upper
/// triangular R; overwritten by the new factor, whose diagonal may have either sign; the part below
/// the diagonal is neither read nor written. Costs 2 n_rows n_columns^2 operations, and memory for
/// two matrices of the size of the triangle.
void fold_rows(const Eigen::Ref<const RowMatrix>& rows, const StopToken& stop,
               Eigen::Ref<RowMatrix> triangle);

}  // namespace convergent
