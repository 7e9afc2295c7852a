#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

// Loops over the columns of a cost matrix, in blocks. Most blocks change nothing that is being kept
// (a least value, a label), so each is first asked whether it might. The questions and the updates
// are loops of a constant length without branches, which compilers turn into vector code for every
// instruction set; they give the same bits in all, because the products with `factor` are exact.

namespace convergent::column_blocks {

constexpr std::ptrdiff_t kLength = 32;

inline std::ptrdiff_t count(std::ptrdiff_t n) { return (n + kLength - 1) / kLength; }

/// Asks for the block a page further on. Where each row is read once, this hides a quarter of the
/// time that memory takes.
template <class Scalar>
void fetch_ahead([[maybe_unused]] const Scalar* row) {
#ifdef __GNUC__
    constexpr std::ptrdiff_t kPage = 4096;
    constexpr std::ptrdiff_t kLine = 64;
    const char* ahead = reinterpret_cast<const char*>(row) + kPage;
    for (std::size_t k = 0; k < kLength * sizeof(Scalar); k += kLine) __builtin_prefetch(ahead + k);
#endif
}

/// Is any cost - offset below its bound?
template <class Scalar>
bool any_below(const Scalar* row, double factor, double offset, const double* bound) {
    std::int64_t n = 0;
    for (std::ptrdiff_t k = 0; k < kLength; ++k) n += factor * double(row[k]) - offset < bound[k];
    return n != 0;
}

/// Is any cost - v below the one bound?
template <class Scalar>
bool any_reduced_below(const Scalar* row, double factor, const double* v, double bound) {
    std::int64_t n = 0;
    for (std::ptrdiff_t k = 0; k < kLength; ++k) n += factor * double(row[k]) - v[k] < bound;
    return n != 0;
}

/// Is any cost below the least of its column so far, NaN, infinite, or beyond the limit?
template <class Scalar>
bool any_remarkable(const Scalar* row, double factor, double limit, const double* least) {
    std::int64_t n = 0;
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        const double value = factor * double(row[k]);
        n += (value < least[k]) | !(std::fabs(value) <= limit);
    }
    return n != 0;
}

/// Lowers the least of the columns so far, and names its row, where row i costs less.
template <class Scalar>
void lower_least(const Scalar* row, double factor, std::int64_t i, double* least,
                 std::int64_t* row_of_least) {
    double value[kLength];
    double current[kLength];
    for (std::ptrdiff_t k = 0; k < kLength; ++k) value[k] = factor * double(row[k]);
    for (std::ptrdiff_t k = 0; k < kLength; ++k) current[k] = least[k];
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        row_of_least[k] = value[k] < current[k] ? i : row_of_least[k];
    }
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        least[k] = value[k] < current[k] ? value[k] : current[k];
    }
}

/// Is any cost NaN, infinite, or beyond the limit?
template <class Scalar>
bool any_beyond(const Scalar* row, double factor, double limit) {
    std::int64_t n = 0;
    for (std::ptrdiff_t k = 0; k < kLength; ++k)
        n += !(std::fabs(factor * double(row[k])) <= limit);
    return n != 0;
}

/// Lowers the labels to cost - offset where that is less; there also distance = label - v and
/// row_before = i.
template <class Scalar>
void lower_labels(const Scalar* row, double factor, double offset, std::int64_t i, const double* v,
                  double* label, double* distance, std::int64_t* row_before) {
    double candidate[kLength];
    double reduced[kLength];
    double current[kLength];
    for (std::ptrdiff_t k = 0; k < kLength; ++k) candidate[k] = factor * double(row[k]) - offset;
    for (std::ptrdiff_t k = 0; k < kLength; ++k) reduced[k] = candidate[k] - v[k];
    for (std::ptrdiff_t k = 0; k < kLength; ++k) current[k] = label[k];
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        distance[k] = candidate[k] < current[k] ? reduced[k] : distance[k];
    }
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        row_before[k] = candidate[k] < current[k] ? i : row_before[k];
    }
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        label[k] = candidate[k] < current[k] ? candidate[k] : current[k];
    }
}

/// The least of a block of values without NaN.
inline double least(const double* values) {
    static_assert(kLength == 32, "the folds below are for 32 values");
    const auto lesser = [](double a, double b) { return a < b ? a : b; };
    double fold[16];
    for (int k = 0; k < 16; ++k) fold[k] = lesser(values[k], values[k + 16]);
    for (int k = 0; k < 8; ++k) fold[k] = lesser(fold[k], fold[k + 8]);
    for (int k = 0; k < 4; ++k) fold[k] = lesser(fold[k], fold[k + 4]);
    return lesser(lesser(fold[0], fold[1]), lesser(fold[2], fold[3]));
}

/// How many of a block of values without NaN are less than each of them.
inline void count_lesser(const double* values, std::int64_t* n_lesser) {
    std::int64_t count[kLength] = {};
    for (std::ptrdiff_t other = 0; other < kLength; ++other) {
        const double value = values[other];
        for (std::ptrdiff_t k = 0; k < kLength; ++k) count[k] += value < values[k];
    }
    for (std::ptrdiff_t k = 0; k < kLength; ++k) n_lesser[k] = count[k];
}

/// costs - v of a block, and for each place in a block the least at that place so far.
template <class Scalar>
void reduce(const Scalar* row, double factor, const double* v, double* reduced, double* least) {
    fetch_ahead(row);
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        const double value = factor * double(row[k]) - v[k];
        reduced[k] = value;
        least[k] = value < least[k] ? value : least[k];
    }
}

}  // namespace convergent::column_blocks
