#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

// Tiles of a product that stay in registers while the numbers of one factor pass by, one after
// another, or, where single columns are left, while vectors of both pass by.

namespace convergent {

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

template <class Scalar>
constexpr std::ptrdiff_t kLanes = kVectorBytes / static_cast<int>(sizeof(Scalar));

template <class Scalar, int kBytes>
struct VectorOf {
    typedef Scalar Type __attribute__((vector_size(kBytes)));
    /// Anywhere in memory.
    typedef Scalar InMemory
        __attribute__((vector_size(kBytes), aligned(alignof(Scalar)), may_alias));
};

/// Of c += a b with b and c in rows without gaps between their numbers.
template <class Scalar>
struct Operands {
    const Scalar* a;
    std::ptrdiff_t a_row, a_column, depth;  // distances of rows and of columns
    const Scalar* b;
    std::ptrdiff_t b_row;
    Scalar* c;
    std::ptrdiff_t c_row;
    const Scalar* ahead = nullptr;  // what is needed later
    std::ptrdiff_t ahead_step = 0;

    Operands from_row(std::ptrdiff_t row) const {
        Operands rest = *this;
        rest.a += row * a_row;
        rest.c += row * c_row;
        return rest;
    }
    Operands from_column(std::ptrdiff_t column) const {
        Operands rest = *this;
        rest.b += column;
        rest.c += column;
        return rest;
    }
};

/// With kAhead, asks for what tiles to come read, `ahead_step` numbers further for each of the
/// depth.
template <class Scalar, int kRows, int kVectors, int kBytes, bool kAhead>
void add_tile(const Operands<Scalar>& o) {
    using Vector = typename VectorOf<Scalar, kBytes>::Type;
    using InMemory = typename VectorOf<Scalar, kBytes>::InMemory;
    constexpr int kWidth = kBytes / static_cast<int>(sizeof(Scalar));
    Vector sums[kRows][kVectors];
    const auto at = [&](int row, int vector) {
        return reinterpret_cast<InMemory*>(o.c + row * o.c_row + vector * kWidth);
    };
    for (int row = 0; row < kRows; ++row) {
        for (int v = 0; v < kVectors; ++v) sums[row][v] = *at(row, v);
    }
    const Scalar* a = o.a;
    const Scalar* b = o.b;
    for (std::ptrdiff_t j = 0; j < o.depth; ++j, a += o.a_column, b += o.b_row) {
        if constexpr (kAhead) __builtin_prefetch(o.ahead + j * o.ahead_step);
        Vector right[kVectors];
        for (int v = 0; v < kVectors; ++v) {
            right[v] = *reinterpret_cast<const InMemory*>(b + v * kWidth);
        }
        for (int row = 0; row < kRows; ++row) {
            const Scalar left = a[row * o.a_row];
            for (int v = 0; v < kVectors; ++v) sums[row][v] += left * right[v];
        }
    }
    for (int row = 0; row < kRows; ++row) {
        for (int v = 0; v < kVectors; ++v) *at(row, v) = sums[row][v];
    }
}

/// Calls work with n as a constant, 1 <= n <= kMost.
template <int kMost, class Work>
void with_constant(std::ptrdiff_t n, const Work& work) {
    if constexpr (kMost > 1) {
        if (n < kMost) return with_constant<kMost - 1>(n, work);
    }
    work(std::integral_constant<int, kMost>());
}

/// Calls work(first, constant count) for rows in groups of nearly the same size, at most kMost.
template <int kMost, class Work>
void for_groups(std::ptrdiff_t n_rows, const Work& work) {
    const std::ptrdiff_t n_groups = (n_rows + kMost - 1) / kMost;
    for (std::ptrdiff_t group = 0; group < n_groups; ++group) {
        const std::ptrdiff_t first = group * n_rows / n_groups;
        with_constant<kMost>((group + 1) * n_rows / n_groups - first,
                             [&](auto count) { work(first, count); });
    }
}

/// Columns that fill kVectors, for all rows. What the next columns read of b is asked for by and
/// by.
template <class Scalar, int kVectors, int kBytes>
void add_panel(const Operands<Scalar>& o, std::ptrdiff_t n_rows) {
    constexpr int kMost = std::min(kRegisters / kVectors, kMostRows);
    const Scalar* const next = o.b + kVectors * kBytes / static_cast<int>(sizeof(Scalar));
    for_groups<kMost>(n_rows, [&](std::ptrdiff_t first, auto count) {
        const std::ptrdiff_t end = std::min(first + decltype(count)::value, n_rows);
        for (std::ptrdiff_t j = first * o.depth / n_rows; j < end * o.depth / n_rows; ++j) {
            __builtin_prefetch(next + j * o.b_row);
        }
        add_tile<Scalar, decltype(count)::value, kVectors, kBytes, false>(o.from_row(first));
    });
}

/// Few rows of columns that fill n_vectors, for all of which there are registers.
template <class Scalar>
void add_few_rows(const Operands<Scalar>& o, std::ptrdiff_t n_rows, std::ptrdiff_t n_vectors) {
    with_constant<kMostVectors>(n_vectors, [&](auto vectors) {
        constexpr int kVectors = decltype(vectors)::value;
        with_constant<std::min(kRegisters / kVectors, kMostRows)>(n_rows, [&](auto rows) {
            add_tile<Scalar, decltype(rows)::value, kVectors, kVectorBytes, true>(o);
        });
    });
}

/// The last columns, fewer than a vector of twice kBytes has lanes.
template <class Scalar, int kBytes>
void add_last_columns(const Operands<Scalar>& o, std::ptrdiff_t n_rows, std::ptrdiff_t n_columns) {
    constexpr std::ptrdiff_t kWidth = kBytes / static_cast<std::ptrdiff_t>(sizeof(Scalar));
    const std::ptrdiff_t done = n_columns < kWidth ? 0 : kWidth;
    if (done != 0) add_panel<Scalar, 1, kBytes>(o, n_rows);
    if constexpr (kWidth > 1) {
        add_last_columns<Scalar, kBytes / 2>(o.from_column(done), n_rows, n_columns - done);
    }
}

/// Numbers a(row, j) b(j, column) of a tile that is summed up over j in vectors; b lies in columns.
template <class Scalar, int kRows, int kColumns, int kBytes>
void add_dots(const Operands<Scalar>& o, std::ptrdiff_t j,
              typename VectorOf<Scalar, kBytes>::Type (&sums)[kRows][kColumns]) {
    using Vector = typename VectorOf<Scalar, kBytes>::Type;
    using InMemory = typename VectorOf<Scalar, kBytes>::InMemory;
    constexpr int kWidth = kBytes / static_cast<int>(sizeof(Scalar));
    for (; j + kWidth <= o.depth; j += kWidth) {
        Vector right[kColumns];
        for (int column = 0; column < kColumns; ++column) {
            right[column] = *reinterpret_cast<const InMemory*>(o.b + column * o.b_row + j);
        }
        for (int row = 0; row < kRows; ++row) {
            const Vector left = *reinterpret_cast<const InMemory*>(o.a + row * o.a_row + j);
            for (int column = 0; column < kColumns; ++column) {
                sums[row][column] += left * right[column];
            }
        }
    }
    if constexpr (kWidth == 1) {
        for (int row = 0; row < kRows; ++row) {
            for (int column = 0; column < kColumns; ++column) {
                o.c[row * o.c_row + column] += sums[row][column][0];
            }
        }
    } else {
        using Half = typename VectorOf<Scalar, kBytes / 2>::Type;
        Half halves[kRows][kColumns];
        for (int row = 0; row < kRows; ++row) {
            for (int column = 0; column < kColumns; ++column) {
                Half low, high;
                std::memcpy(&low, &sums[row][column], sizeof(Half));
                std::memcpy(&high, reinterpret_cast<const char*>(&sums[row][column]) + sizeof(Half),
                            sizeof(Half));
                halves[row][column] = low + high;
            }
        }
        add_dots<Scalar, kRows, kColumns, kBytes / 2>(o, j, halves);
    }
}

/// Columns that fill no vector: b_row is the distance of b's columns, whose numbers lie together,
/// as do those of a's rows.
template <class Scalar>
void add_single_columns(const Operands<Scalar>& o, std::ptrdiff_t n_rows,
                        std::ptrdiff_t n_columns) {
    with_constant<kLanes<Scalar> / 2>(n_columns, [&](auto columns) {
        constexpr int kColumns = decltype(columns)::value;
        for_groups<std::min(kRegisters / kColumns, kMostRows)>(n_rows, [&](std::ptrdiff_t first,
                                                                           auto rows) {
            typename VectorOf<Scalar, kVectorBytes>::Type sums[decltype(rows)::value][kColumns] =
                {};
            add_dots<Scalar, decltype(rows)::value, kColumns, kVectorBytes>(o.from_row(first), 0,
                                                                            sums);
        });
    });
}

}  // namespace convergent
