#include "narrow_products.hpp"

#include <algorithm>
#include <limits>

#include "narrow_tiles.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kDepth = 256;      // of a and b at a time, so that this much of b stays in a cache
constexpr Index kUnitDepth = 128;  // and where rows are as long as a network is wide
constexpr Index kWide = 256;       // columns from which on a general product is as fast
/// The same for a factor in panels.
constexpr Index kWideFactor = kVectorBytes < 64 ? kWide : std::numeric_limits<Index>::max();
constexpr Index kFactorBytes = 1 << 19;  // of b at a time, so that it stays in a second cache
constexpr int kUnitVectors = 2;  // of a tile's row where rows are as long as a network is wide

/// Columns that fill no vector and are few enough to be treated one by one.
template <class Scalar>
Index n_single(Index n_columns) {
    const Index left = n_columns % kLanes<Scalar>;
    return n_columns < kWide && left <= kLanes<Scalar> / 2 ? left : 0;
}

Index panels_of(Index n_vectors) { return (n_vectors + kMostVectors - 1) / kMostVectors; }

/// The panels in which some vectors lie, all of them as deep as b.
struct Panels {
    explicit Panels(Index n_vectors) : n_vectors(n_vectors), count(panels_of(n_vectors)) {}

    Index begin(Index panel) const { return panel * n_vectors / count; }
    Index widest() const { return count == 0 ? 1 : (n_vectors + count - 1) / count; }

    Index n_vectors, count;
};

/// Some of b: panels, and rows of them.
struct Part {
    Index first_panel, end_panel, first, end;
};

/// Calls work(part, whether it is the last one) for parts of b that a cache has room for.
template <class Scalar, class Work>
void for_parts(const Panels& panels, Index depth, const Work& work) {
    constexpr auto kBytes = static_cast<Index>(sizeof(Scalar)) * kLanes<Scalar>;
    const bool fits = kBytes * panels.n_vectors * depth <= kFactorBytes;
    const Index rows = fits ? depth : kDepth;
    const Index together =
        fits ? std::max<Index>(panels.count, 1) : kFactorBytes / (kBytes * panels.widest() * rows);
    for (Index panel = 0; panel == 0 || panel < panels.count; panel += together) {
        const Index end = std::min(panel + together, panels.count);
        for (Index first = 0; first < depth; first += rows) {
            work(Part{panel, end, first, std::min(first + rows, depth)},
                 end == panels.count && first + rows >= depth);
        }
    }
}

/// Few rows of whole vectors of columns, for a part of b, so that they stay near the registers.
template <class Scalar>
void add_part(const Operands<Scalar>& rows, Index n_rows, const Panels& panels, const Part& part) {
    Operands<Scalar> o = rows;
    for (Index first = part.first; first < part.end; first += kDepth) {
        o.depth = std::min(kDepth, part.end - first);
        o.a = rows.a + first;
        for (Index panel = part.first_panel; panel < part.end_panel; ++panel) {
            const Index from = panels.begin(panel), width = panels.begin(panel + 1) - from;
            o.b_row = width * kLanes<Scalar>;
            o.b = rows.b + from * kLanes<Scalar> * rows.depth + first * o.b_row;
            o.c = rows.c + from * kLanes<Scalar>;
            add_few_rows<Scalar>(o, n_rows, width);
            o.ahead += o.depth * o.ahead_step;
        }
    }
}

/// Columns in whole vectors, where b lies in panels, and `rest` ones. The next rows are asked for
/// by and by, as if there were no gaps between rows.
template <class Scalar>
void add_rows(const Operands<Scalar>& whole, Index n_whole, const Operands<Scalar>& rest,
              Index n_rest, Index n_rows) {
    const Panels panels(n_whole / kLanes<Scalar>);
    const Index most_rows = std::min<Index>(kRegisters / panels.widest(), kMostRows);
    const Index n_groups = (n_rows + most_rows - 1) / most_rows;
    for_parts<Scalar>(panels, whole.depth, [&](const Part& part, bool is_last) {
        const Index n_panels = std::max<Index>(part.end_panel - part.first_panel, 1);
        for (Index group = 0; group < n_groups; ++group) {
            const Index begin = group * n_rows / n_groups, end = (group + 1) * n_rows / n_groups;
            Operands<Scalar> rows = whole.from_row(begin);
            rows.ahead = whole.from_row(end).a + part.first;
            rows.ahead_step = (end - begin + n_panels - 1) / n_panels;
            add_part(rows, end - begin, panels, part);
            if (is_last && n_rest != 0) {
                add_single_columns<Scalar>(rest.from_row(begin), end - begin, n_rest);
            }
        }
    });
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
    if (whole.cols() >= kWideFactor) {
        whole.leftCols(n_whole) = matrix;
        whole.rightCols(whole.cols() - n_whole).setZero();
        return;
    }
    const Panels panels(whole.cols() / kLanes<Scalar>);
    for (Index panel = 0; panel < panels.count; ++panel) {
        const Index first = panels.begin(panel) * kLanes<Scalar>;
        const Index n_columns = panels.begin(panel + 1) * kLanes<Scalar> - first;
        Eigen::Map<RowDense<Scalar>> numbers(whole.data() + first * matrix.rows(), matrix.rows(),
                                             n_columns);
        const Index count = std::min(n_columns, n_whole - first);
        numbers.leftCols(count) = matrix.middleCols(first, count);
        numbers.rightCols(n_columns - count).setZero();
    }
}

template <class Scalar>
void add_product(const RowBlock<Scalar>& a, const NarrowFactor<Scalar>& b,
                 Eigen::Ref<RowDense<Scalar>> c) {
    const Index n_whole = b.whole.cols(), n_rest = b.rest.cols();
    if (n_whole >= kWideFactor) {
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
