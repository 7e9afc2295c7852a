#include "convergent/binning.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bucketed_values.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

constexpr double kZeroBinEnd = 1e-6;
/// A cache line of each example.
template <class Scalar>
constexpr std::ptrdiff_t kUnitsAtOnce = 64 / sizeof(Scalar);

/// a * b, rounded: the store keeps the compiler from fusing the product with a sum, which would
/// give CPU levels with fused multiply-add other edges.
double rounded_product(double a, double b) {
    const volatile double product = a * b;
    return product;
}

/// A quantile's place among the order statistics: fraction `weight` of the way from `rank` to the
/// next.
struct QuantilePlace {
    std::ptrdiff_t rank;
    double weight;
};

QuantilePlace quantile_place(double level, std::ptrdiff_t n) {
    const double index = rounded_product(static_cast<double>(n - 1), level);
    const double floor = std::floor(index);
    if (floor >= static_cast<double>(n - 1)) return {n - 1, 0.0};
    return {static_cast<std::ptrdiff_t>(floor), index - floor};
}

/// From a to b by the fraction `weight`, computed from the nearer end.
double interpolate(double a, double b, double weight) {
    if (weight >= 0.5) return b - rounded_product(b - a, 1.0 - weight);
    return a + rounded_product(b - a, weight);
}

std::vector<double> paper_levels(int n_bins) {
    std::vector<double> levels;
    for (int k = 1; k < n_bins; ++k) levels.push_back(static_cast<double>(k) / n_bins);
    return levels;
}

/// The authors place their percentiles from 100.1 times the share of zeros, not 100 times, up to
/// 100.
std::vector<double> authors_levels(int n_bins, double zero_share) {
    double first = zero_share * 100.1;
    if (first > 100.0) first = zero_share * 100.0;
    const double step = (100.0 - first) / (n_bins - 1);
    std::vector<double> levels;
    for (int k = 0; k < n_bins - 1; ++k)
        levels.push_back((rounded_product(k, step) + first) / 100.0);
    return levels;
}

/// Bins one unit after the other; holds the buffers of one thread.
template <class Scalar>
class UnitBinner {
 public:
    UnitBinner(std::ptrdiff_t n_examples, int n_bins, BinConvention convention)
        : n_(n_examples), n_bins_(n_bins), convention_(convention), values_(n_examples) {}

    /// The distinct interior edges of a unit, ascending.
    const std::vector<double>& find_edges(const Scalar* values) {
        values_.assign(values, last_below(kZeroBinEnd));
        n_low_ = values_.n_low();
        const bool paper = convention_ == BinConvention::paper;
        const std::vector<double> levels =
            paper ? paper_levels(n_bins_)
                  : authors_levels(n_bins_, static_cast<double>(n_low_) / static_cast<double>(n_));
        select(levels);
        edges_.clear();
        if (paper) edges_.push_back(kZeroBinEnd);
        for (const double level : levels) {
            const QuantilePlace place = quantile_place(level, n_);
            if (paper && place.rank < n_low_ - 1)
                continue;  // between two values of the special bin
            const double edge = interpolate(
                value_at(place.rank), value_at(std::min(place.rank + 1, n_ - 1)), place.weight);
            if (!paper || edge > kZeroBinEnd) edges_.push_back(edge);
        }
        std::sort(edges_.begin(), edges_.end());
        edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
        return edges_;
    }

    /// Writes the bins of the values that find_edges() saw: the number of edges below each (paper),
    /// or at it or below (authors).
    void encode(std::uint8_t* codes) {
        thresholds_.clear();
        for (const double edge : edges_) thresholds_.push_back(last_below(edge));
        values_.encode(thresholds_, codes);
    }

 private:
    /// Makes value_at() right for the order statistics around every quantile.
    void select(const std::vector<double>& levels) {
        ranks_.clear();
        for (const double level : levels) {
            const std::ptrdiff_t rank = quantile_place(level, n_).rank;
            if (rank >= n_low_) ranks_.push_back(rank - n_low_);
            if (rank + 1 >= n_low_ && rank + 1 < n_) ranks_.push_back(rank + 1 - n_low_);
        }
        std::sort(ranks_.begin(), ranks_.end());
        ranks_.erase(std::unique(ranks_.begin(), ranks_.end()), ranks_.end());
        // The authors' lowest edge may lie among the values at zero.
        const bool paper = convention_ == BinConvention::paper;
        values_.select(ranks_, !paper && quantile_place(levels.front(), n_).rank < n_low_);
    }

    /// The order statistic of a rank, which is n_low_ - 1 at the least.
    double value_at(std::ptrdiff_t rank) const {
        return rank < n_low_ ? values_.low_max() : values_.order_statistic(rank - n_low_);
    }

    /// The largest Scalar t such that a value lies beyond the edge if and only if it is greater
    /// than t.
    Scalar last_below(double edge) const {
        const Scalar infinity = std::numeric_limits<Scalar>::infinity();
        auto threshold = static_cast<Scalar>(edge);
        const bool paper = convention_ == BinConvention::paper;
        if (paper ? threshold > edge : threshold >= edge)
            threshold = std::nextafter(threshold, -infinity);
        return threshold;
    }

    std::ptrdiff_t n_;
    int n_bins_;
    BinConvention convention_;
    std::ptrdiff_t n_low_ = 0;
    std::vector<std::ptrdiff_t> ranks_;
    std::vector<double> edges_;
    std::vector<Scalar> thresholds_;
    BucketedValues<Scalar> values_;
};

/// Fetches memory that is wanted soon; rows that lie far apart are not foreseen by the processor.
inline void fetch([[maybe_unused]] const char* address) {
#if defined(__GNUC__)
    __builtin_prefetch(address);
#endif
}

/// Copies n_units units of kRows examples to columns that lie column_stride apart. The rows go
/// through a small array, because writing to many columns one value at a time is slow.
template <class Scalar, std::ptrdiff_t kRows>
void copy_rows(const ActivationView<Scalar>& x, const char* row, std::ptrdiff_t n_units,
               Scalar* columns, std::ptrdiff_t column_stride) {
    Scalar block[kRows][kUnitsAtOnce<Scalar>];
    const bool whole_line =
        n_units == kUnitsAtOnce<Scalar> && x.unit_stride == std::ptrdiff_t{sizeof(Scalar)};
    for (std::ptrdiff_t i = 0; i < kRows; ++i, row += x.example_stride) {
        if (whole_line) {
            std::memcpy(block[i], row, sizeof(block[i]));
            continue;
        }
        for (std::ptrdiff_t u = 0; u < n_units; ++u)
            std::memcpy(&block[i][u], row + u * x.unit_stride, sizeof(Scalar));
    }
    for (std::ptrdiff_t u = 0; u < n_units; ++u) {
        for (std::ptrdiff_t i = 0; i < kRows; ++i) columns[u * column_stride + i] = block[i][u];
    }
}

/// Copies some units to columns that lie column_stride apart.
template <class Scalar>
void copy_columns(const ActivationView<Scalar>& x, std::ptrdiff_t first, std::ptrdiff_t n_units,
                  Scalar* columns, std::ptrdiff_t column_stride) {
    constexpr std::ptrdiff_t kRows = 16;
    const char* row = reinterpret_cast<const char*>(x.data) + first * x.unit_stride;
    std::ptrdiff_t i = 0;
    for (; i + kRows <= x.n_examples; i += kRows, row += kRows * x.example_stride) {
        if (i + 3 * kRows <= x.n_examples) {
            for (std::ptrdiff_t ahead = 2 * kRows; ahead < 3 * kRows; ++ahead)
                fetch(row + ahead * x.example_stride);
        }
        copy_rows<Scalar, kRows>(x, row, n_units, columns + i, column_stride);
    }
    for (; i < x.n_examples; ++i, row += x.example_stride)
        copy_rows<Scalar, 1>(x, row, n_units, columns + i, column_stride);
}

void check(std::ptrdiff_t n_examples, int n_bins, BinConvention convention) {
    const int low = convention == BinConvention::paper ? 1 : 2;
    if (n_bins < low || n_bins > low + 254)
        throw std::invalid_argument("the number of bins must fit 8-bit codes");
    if (n_examples < 1 || n_examples > std::numeric_limits<std::uint32_t>::max())
        throw std::invalid_argument("the number of examples must be between 1 and 2^32 - 1");
}

}  // namespace

template <class Scalar>
void bin_units(const ActivationView<Scalar>& x, int n_bins, BinConvention convention, int n_threads,
               const StopToken& stop, std::uint8_t* codes, double* edges, std::int64_t* n_edges) {
    check(x.n_examples, n_bins, convention);
    const bool columns_lie_together = std::abs(x.example_stride) <= std::abs(x.unit_stride);
    const std::ptrdiff_t even_share = (x.n_units + n_threads - 1) / n_threads;
    const std::ptrdiff_t step =
        columns_lie_together ? 1 : std::min(kUnitsAtOnce<Scalar>, even_share);
    // Columns whose distance is a power of two would share few places of the cache.
    const std::ptrdiff_t stride = x.n_examples / 64 * 64 + 64 + kUnitsAtOnce<Scalar>;
    parallel_for((x.n_units + step - 1) / step, n_threads, stop, [&](std::ptrdiff_t task) {
        const std::ptrdiff_t first = task * step;
        const std::ptrdiff_t n_units = std::min(step, x.n_units - first);
        const std::unique_ptr<Scalar[]> columns(
            new Scalar[static_cast<std::size_t>(n_units * stride)]);
        copy_columns(x, first, n_units, columns.get(), stride);
        UnitBinner<Scalar> binner(x.n_examples, n_bins, convention);
        for (std::ptrdiff_t u = 0; u < n_units; ++u) {
            stop.check();
            const Scalar* values = columns.get() + u * stride;
            const std::vector<double>& found = binner.find_edges(values);
            binner.encode(codes + (first + u) * x.n_examples);
            double* row = edges + (first + u) * n_bins;
            std::fill(std::copy(found.begin(), found.end(), row), row + n_bins,
                      std::numeric_limits<double>::quiet_NaN());
            n_edges[first + u] = static_cast<std::int64_t>(found.size());
        }
    });
}

template void bin_units(const ActivationView<float>&, int, BinConvention, int, const StopToken&,
                        std::uint8_t*, double*, std::int64_t*);
template void bin_units(const ActivationView<double>&, int, BinConvention, int, const StopToken&,
                        std::uint8_t*, double*, std::int64_t*);

}  // namespace convergent
