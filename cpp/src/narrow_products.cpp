#include "narrow_products.hpp"

#include <algorithm>

// Tiles of c stay in registers while numbers of a pass by, one after another, each for all columns
// of the tile.

namespace convergent {
namespace {

using Eigen::Index;

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kMostVectors = 4;  // of a tile's row
constexpr int kRegisters = 26;   // for a tile
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
constexpr int kMostVectors = 2;
constexpr int kRegisters = 12;
#else
constexpr int kVectorBytes = 16;
constexpr int kMostVectors = 2;
constexpr int kRegisters = 12;
#endif
constexpr int kMostRows = 12;
constexpr Index kDepth = 512;  // of a in one pass, so that what is needed of b stays in a cache
constexpr Index kWide = 256;   // columns from which on a general product is as fast

template <class Scalar>
constexpr Index kLanes = kVectorBytes / static_cast<int>(sizeof(Scalar));

template <class Scalar>
struct VectorOf {
    typedef Scalar Type __attribute__((vector_size(kVectorBytes)));
    /// Anywhere in memory.
    typedef Scalar InMemory
        __attribute__((vector_size(kVectorBytes), aligned(alignof(Scalar)), may_alias));
};

/// What a tile reads and writes.
template <class Scalar>
struct Operands {
    const Scalar* a;
    Index row_stride, column_stride, depth;
    const Scalar* b;
    Scalar* c;
    Index n_columns;  // of b and c
};

template <class Scalar, int kRows, int kVectors>
void add_tile(const Operands<Scalar>& o) {
    using Vector = typename VectorOf<Scalar>::Type;
    using InMemory = typename VectorOf<Scalar>::InMemory;
    Vector sums[kRows][kVectors];
    const auto at = [&](int row, int vector) {
        return reinterpret_cast<InMemory*>(o.c + row * o.n_columns + vector * kLanes<Scalar>);
    };
    for (int row = 0; row < kRows; ++row) {
        for (int v = 0; v < kVectors; ++v) sums[row][v] = *at(row, v);
    }
    const Scalar* a = o.a;
    const Scalar* b = o.b;
    for (Index j = 0; j < o.depth; ++j, a += o.column_stride, b += o.n_columns) {
        Vector right[kVectors];
        for (int v = 0; v < kVectors; ++v) {
            right[v] = *reinterpret_cast<const InMemory*>(b + v * kLanes<Scalar>);
        }
        for (int row = 0; row < kRows; ++row) {
            const Scalar left = a[row * o.row_stride];
            for (int v = 0; v < kVectors; ++v) sums[row][v] += left * right[v];
        }
    }
    for (int row = 0; row < kRows; ++row) {
        for (int v = 0; v < kVectors; ++v) *at(row, v) = sums[row][v];
    }
}

/// All rows of a panel of columns that is kVectors wide.
template <class Scalar, int kVectors>
void add_panel(Operands<Scalar> o, Index n_rows) {
    constexpr int kRows = std::min(kRegisters / kVectors, kMostRows);
    for (; n_rows >= kRows; n_rows -= kRows) {
        add_tile<Scalar, kRows, kVectors>(o);
        o.a += kRows * o.row_stride;
        o.c += kRows * o.n_columns;
    }
    for (; n_rows > 0; --n_rows) {
        add_tile<Scalar, 1, kVectors>(o);
        o.a += o.row_stride;
        o.c += o.n_columns;
    }
}

template <class Scalar>
void add_panel_of(Index n_vectors, const Operands<Scalar>& o, Index n_rows) {
    if (n_vectors == 1) add_panel<Scalar, 1>(o, n_rows);
    if (n_vectors == 2) add_panel<Scalar, 2>(o, n_rows);
    if constexpr (kMostVectors > 2) {
        if (n_vectors == 3) add_panel<Scalar, 3>(o, n_rows);
        if (n_vectors == 4) add_panel<Scalar, 4>(o, n_rows);
    }
}

/// o of all columns and all the depth.
template <class Scalar>
void add_narrow(const Operands<Scalar>& o, Index n_rows) {
    const Index n_vectors = o.n_columns / kLanes<Scalar>;
    const Index n_panels = (n_vectors + kMostVectors - 1) / kMostVectors;
    for (Index first = 0; first < o.depth; first += kDepth) {
        for (Index panel = 0; panel < n_panels; ++panel) {
            const Index begin = panel * n_vectors / n_panels;
            const Index end = (panel + 1) * n_vectors / n_panels;
            Operands<Scalar> part = o;
            part.a += first * o.column_stride;
            part.depth = std::min(kDepth, o.depth - first);
            part.b += first * o.n_columns + begin * kLanes<Scalar>;
            part.c += begin * kLanes<Scalar>;
            add_panel_of<Scalar>(end - begin, part, n_rows);
        }
    }
}

}  // namespace

template <class Scalar>
Index padded(Index n_columns) {
    return (n_columns + kLanes<Scalar> - 1) / kLanes<Scalar> * kLanes<Scalar>;
}

template <class Scalar>
void add_product(const RowBlock<Scalar>& a, const RowDense<Scalar>& b,
                 Eigen::Ref<RowDense<Scalar>> c) {
    if (b.cols() >= kWide) {
        c.noalias() += a * b;
        return;
    }
    add_narrow<Scalar>({a.data(), a.outerStride(), 1, a.cols(), b.data(), c.data(), b.cols()},
                       a.rows());
}

template <class Scalar>
void add_transposed_product(const RowBlock<Scalar>& a, const RowDense<Scalar>& b,
                            Eigen::Ref<RowDense<Scalar>> c) {
    if (b.cols() >= kWide) {
        c.noalias() += a.transpose() * b;
        return;
    }
    add_narrow<Scalar>({a.data(), 1, a.outerStride(), a.rows(), b.data(), c.data(), b.cols()},
                       a.cols());
}

template Index padded<float>(Index);
template Index padded<double>(Index);
template void add_product<float>(const RowBlock<float>&, const RowDense<float>&,
                                 Eigen::Ref<RowDense<float>>);
template void add_product<double>(const RowBlock<double>&, const RowDense<double>&,
                                  Eigen::Ref<RowDense<double>>);
template void add_transposed_product<float>(const RowBlock<float>&, const RowDense<float>&,
                                            Eigen::Ref<RowDense<float>>);
template void add_transposed_product<double>(const RowBlock<double>&, const RowDense<double>&,
                                             Eigen::Ref<RowDense<double>>);

}  // namespace convergent
