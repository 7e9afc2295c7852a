#include "narrow_products.hpp"

#include <algorithm>

#include "narrow_tiles.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kDepth = 256;      // of a and b at a time, so that this much of b stays in a cache
constexpr Index kUnitDepth = 128;  // and where rows are as long as a network is wide
constexpr Index kWide = 256;       // columns from which on a general product is as fast
constexpr int kUnitVectors = 2;    // of a tile's row where rows are as long as a network is wide

/// Columns that fill no vector and are few enough to be treated one by one.
template <class Scalar>
Index n_single(Index n_columns) {
    const Index left = n_columns % kLanes<Scalar>;
    return n_columns < kWide && left <= kLanes<Scalar> / 2 ? left : 0;
}

Index panels_of(Index n_vectors) { return (n_vectors + kMostVectors - 1) / kMostVectors; }

/// Calls work(first, end) for vectors of a row in groups that tiles have room for.
template <class Work>
void for_panels(Index n_vectors, const Work& work) {
    const Index n_panels = panels_of(n_vectors);
    for (Index panel = 0; panel < n_panels; ++panel) {
        work(panel * n_vectors / n_panels, (panel + 1) * n_vectors / n_panels);
    }
}

/// Columns in whole vectors, where b lies in panels, and `rest` ones. A few rows at a time for all
/// columns, so that they stay near the registers; the next rows are asked for by and by, as if
/// there were no gaps between rows.
template <class Scalar>
void add_rows(const Operands<Scalar>& whole, Index n_whole, const Operands<Scalar>& rest,
              Index n_rest, Index n_rows) {
    const Index n_vectors = n_whole / kLanes<Scalar>;
    const Index n_panels = std::max<Index>(panels_of(n_vectors), 1);
    const Index widest = std::max<Index>((n_vectors + n_panels - 1) / n_panels, 1);
    const Index most_rows = std::min<Index>(kRegisters / widest, kMostRows);
    const Index n_groups = (n_rows + most_rows - 1) / most_rows;
    for (Index group = 0; group < n_groups; ++group) {
        const Index begin = group * n_rows / n_groups, end = (group + 1) * n_rows / n_groups;
        Operands<Scalar> o = whole.from_row(begin);
        const Scalar* const a = o.a;
        o.ahead = whole.from_row(end).a;
        o.ahead_step = (end - begin + n_panels - 1) / n_panels;
        for (Index first = 0; first < whole.depth; first += kDepth) {
            o.depth = std::min(kDepth, whole.depth - first);
            o.a = a + first;
            for_panels(n_vectors, [&](Index from, Index to) {
                o.b_row = (to - from) * kLanes<Scalar>;
                o.b = whole.b + from * kLanes<Scalar> * whole.depth + first * o.b_row;
                o.c = whole.from_row(begin).c + from * kLanes<Scalar>;
                add_few_rows<Scalar>(o, end - begin, to - from);
                o.ahead += o.depth * o.ahead_step;
            });
        }
        if (n_rest != 0) add_single_columns<Scalar>(rest.from_row(begin), end - begin, n_rest);
    }
}

/// Any number of columns.
template <class Scalar>
void add_columns(const Operands<Scalar>& o, Index n_rows, Index n_columns) {
    constexpr Index kPanel = kUnitVectors * kLanes<Scalar>;
    Index column = 0;
    for (; column + kPanel <= n_columns; column += kPanel) {
        add_panel<Scalar, kUnitVectors, kVectorBytes>(o.from_column(column), n_rows);
    }
    add_last_columns<Scalar, kVectorBytes>(o.from_column(column), n_rows, n_columns - column);
}

}  // namespace

template <class Scalar>
Index padded(Index n_columns) {
    const Index single = n_single<Scalar>(n_columns);
    return (n_columns - single + kLanes<Scalar> - 1) / kLanes<Scalar> * kLanes<Scalar> + single;
}

template <class Scalar>
NarrowFactor<Scalar>::NarrowFactor(const Dense<Scalar>& matrix) {
    const Index single = n_single<Scalar>(matrix.cols()), n_whole = matrix.cols() - single;
    rest = matrix.rightCols(single);
    whole.resize(matrix.rows(), padded<Scalar>(matrix.cols()) - single);
    if (whole.cols() >= kWide) {
        whole.leftCols(n_whole) = matrix;
        whole.rightCols(whole.cols() - n_whole).setZero();
        return;
    }
    for_panels(whole.cols() / kLanes<Scalar>, [&](Index from, Index to) {
        const Index first = from * kLanes<Scalar>, n_columns = (to - from) * kLanes<Scalar>;
        Eigen::Map<RowDense<Scalar>> panel(whole.data() + first * matrix.rows(), matrix.rows(),
                                           n_columns);
        const Index count = std::min(n_columns, n_whole - first);
        panel.leftCols(count) = matrix.middleCols(first, count);
        panel.rightCols(n_columns - count).setZero();
    });
}

template <class Scalar>
void add_product(const RowBlock<Scalar>& a, const NarrowFactor<Scalar>& b,
                 Eigen::Ref<RowDense<Scalar>> c) {
    const Index n_whole = b.whole.cols(), n_rest = b.rest.cols();
    if (n_whole >= kWide) {
        c.noalias() += a * b.whole;
        return;
    }
    const Operands<Scalar> whole{a.data(),       a.outerStride(), 1,        a.cols(),
                                 b.whole.data(), n_whole,         c.data(), c.outerStride()};
    Operands<Scalar> rest = whole;
    rest.b = b.rest.data();
    rest.b_row = b.rest.rows();
    rest.c += n_whole;
    add_rows(whole, n_whole, rest, n_rest, a.rows());
}

template <class Scalar>
void add_transposed_product(const RowBlock<Scalar>& a, const RowBlock<Scalar>& b,
                            Eigen::Ref<Dense<Scalar>> c) {
    if (b.cols() >= kWide) {
        c.noalias() += a.transpose() * b;
        return;
    }
    // Of c^T += b^T a.
    for (Index first = 0; first < a.rows(); first += kUnitDepth) {
        add_columns<Scalar>(
            {b.data() + first * b.outerStride(), 1, b.outerStride(),
             std::min(kUnitDepth, a.rows() - first), a.data() + first * a.outerStride(),
             a.outerStride(), c.data(), c.outerStride()},
            b.cols(), a.cols());
    }
}

template struct NarrowFactor<float>;
template struct NarrowFactor<double>;
template Index padded<float>(Index);
template Index padded<double>(Index);
template void add_product<float>(const RowBlock<float>&, const NarrowFactor<float>&,
                                 Eigen::Ref<RowDense<float>>);
template void add_product<double>(const RowBlock<double>&, const NarrowFactor<double>&,
                                  Eigen::Ref<RowDense<double>>);
template void add_transposed_product<float>(const RowBlock<float>&, const RowBlock<float>&,
                                            Eigen::Ref<Dense<float>>);
template void add_transposed_product<double>(const RowBlock<double>&, const RowBlock<double>&,
                                             Eigen::Ref<Dense<double>>);

}  // namespace convergent
