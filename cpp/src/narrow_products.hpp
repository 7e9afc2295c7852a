#pragma once

#include <Eigen/Core>

#include "copies.hpp"

namespace convergent {

/// Columns of a product with a NarrowFactor of n_columns: as many, or those that fill the last
/// vector register, too.
template <class Scalar>
Eigen::Index padded(Eigen::Index n_columns);

/// The right factor of a product, in the order in which it is read: columns that fill vector
/// registers, where they are few in panels of as many as are used at once; a last register is
/// filled up with zeros where more than half of it is needed, and otherwise its columns are left
/// over.
template <class Scalar>
struct NarrowFactor {
    explicit NarrowFactor(const Dense<Scalar>& matrix);

    RowDense<Scalar> whole;
    Dense<Scalar> rest;
};

template <class Scalar>
using RowBlock = Eigen::Ref<const RowDense<Scalar>>;

/// c += a b, c in rows of padded(columns of b) numbers without gaps. Where these are few, a is not
/// copied into another order, which would take as long as the product.
template <class Scalar>
void add_product(const RowBlock<Scalar>& a, const NarrowFactor<Scalar>& b,
                 Eigen::Ref<RowDense<Scalar>> c);
/// c += a^T b, as above.
template <class Scalar>
void add_transposed_product(const RowBlock<Scalar>& a, const RowBlock<Scalar>& b,
                            Eigen::Ref<Dense<Scalar>> c);

extern template struct NarrowFactor<float>;
extern template struct NarrowFactor<double>;
extern template Eigen::Index padded<float>(Eigen::Index);
extern template Eigen::Index padded<double>(Eigen::Index);
extern template void add_product<float>(const RowBlock<float>&, const NarrowFactor<float>&,
                                        Eigen::Ref<RowDense<float>>);
extern template void add_product<double>(const RowBlock<double>&, const NarrowFactor<double>&,
                                         Eigen::Ref<RowDense<double>>);
extern template void add_transposed_product<float>(const RowBlock<float>&, const RowBlock<float>&,
                                                   Eigen::Ref<Dense<float>>);
extern template void add_transposed_product<double>(const RowBlock<double>&,
                                                    const RowBlock<double>&,
                                                    Eigen::Ref<Dense<double>>);

}  // namespace convergent
