#pragma once

#include <Eigen/Core>

#include "copies.hpp"

namespace convergent {

/// The number of columns with those that fill the last vector register.
template <class Scalar>
Eigen::Index padded(Eigen::Index n_columns);

/// A copy in rows of padded(n_columns) numbers, the last ones zero.
template <class Scalar, class Matrix>
RowDense<Scalar> padded_copy(const Matrix& matrix) {
    RowDense<Scalar> copy(matrix.rows(), padded<Scalar>(matrix.cols()));
    copy.leftCols(matrix.cols()) = matrix;
    copy.rightCols(copy.cols() - matrix.cols()).setZero();
    return copy;
}

template <class Scalar>
using RowBlock = Eigen::Ref<const RowDense<Scalar>>;

/// c += a b, b and c with padded rows and no gaps between them. Where these are short, neither
/// factor is copied into another order, which takes as long as a product with so few columns: each
/// number of a is read once for all of them.
template <class Scalar>
void add_product(const RowBlock<Scalar>& a, const RowDense<Scalar>& b,
                 Eigen::Ref<RowDense<Scalar>> c);
/// c += a^T b.
template <class Scalar>
void add_transposed_product(const RowBlock<Scalar>& a, const RowDense<Scalar>& b,
                            Eigen::Ref<RowDense<Scalar>> c);

extern template Eigen::Index padded<float>(Eigen::Index);
extern template Eigen::Index padded<double>(Eigen::Index);
extern template void add_product<float>(const RowBlock<float>&, const RowDense<float>&,
                                        Eigen::Ref<RowDense<float>>);
extern template void add_product<double>(const RowBlock<double>&, const RowDense<double>&,
                                         Eigen::Ref<RowDense<double>>);
extern template void add_transposed_product<float>(const RowBlock<float>&, const RowDense<float>&,
                                                   Eigen::Ref<RowDense<float>>);
extern template void add_transposed_product<double>(const RowBlock<double>&,
                                                    const RowDense<double>&,
                                                    Eigen::Ref<RowDense<double>>);

}  // namespace convergent
