#include "convergent/unit_summary.hpp"

#include <algorithm>
#include <stdexcept>

#include "parallel.hpp"

// The examples are cut into chunks, by their number only, and the chunks' sums are added in order.

namespace convergent {
namespace {

using Eigen::ArrayXd;
using Eigen::ArrayXXd;
using Eigen::Index;

constexpr Index kLeastChunk = 512;
constexpr Index kMostChunks = 64;
constexpr Index kRowsToRead = 16;

/// One column a chunk.
struct Chunks {
    ArrayXXd low;
    ArrayXXd high;
    ArrayXXd sum;  ///< of the differences from the first example
};

/// One pass over a row for all three; written for the compiler to take several units at a time.
inline void add_row(const double* __restrict row, const double* __restrict first, Index n_units,
                    double* __restrict low, double* __restrict high, double* __restrict sum) {
    for (Index u = 0; u < n_units; ++u) {
        low[u] = row[u] < low[u] ? row[u] : low[u];
        high[u] = row[u] > high[u] ? row[u] : high[u];
        sum[u] += row[u] - first[u];
    }
}

void add_chunk(const NetworkView& network, const ArrayXd& first, Index begin, Index end,
               Index chunk, Chunks& chunks) {
    auto low = chunks.low.col(chunk);
    auto high = chunks.high.col(chunk);
    auto sum = chunks.sum.col(chunk);
    low = high = first;
    sum.setZero();
    ArrayXXd rows(network.n_units, kRowsToRead);
    for (; begin < end; begin += kRowsToRead) {
        const Index count = std::min(kRowsToRead, end - begin);
        read_rectangle(network, {begin, count, 0, network.n_units}, rows.data());
        for (Index example = 0; example < count; ++example) {
            add_row(rows.col(example).data(), first.data(), network.n_units, low.data(),
                    high.data(), sum.data());
        }
    }
}

}  // namespace

UnitSummary summarise_units(const NetworkView& network, int n_threads, const StopToken& stop) {
    const Index n_examples = network.n_examples, n_units = network.n_units;
    if (n_examples == 0) throw std::invalid_argument("the network must have examples");
    ArrayXd first(n_units);
    read_rectangle(network, {0, 1, 0, n_units}, first.data());

    const Index length = std::max(kLeastChunk, (n_examples + kMostChunks - 1) / kMostChunks);
    const Index n_chunks = (n_examples + length - 1) / length;
    Chunks chunks{ArrayXXd(n_units, n_chunks), ArrayXXd(n_units, n_chunks),
                  ArrayXXd(n_units, n_chunks)};
    parallel_for(n_chunks, n_threads, stop, [&](Index chunk) {
        const Index begin = chunk * length;
        add_chunk(network, first, begin, std::min(n_examples, begin + length), chunk, chunks);
    });

    UnitSummary summary{chunks.low.col(0), chunks.high.col(0), chunks.sum.col(0), {}};
    for (Index chunk = 1; chunk < n_chunks; ++chunk) {
        summary.low = summary.low.min(chunks.low.col(chunk));
        summary.high = summary.high.max(chunks.high.col(chunk));
        summary.mean += chunks.sum.col(chunk);
    }
    // The sum first + shift and its rounding error (Knuth's two-sum).
    const ArrayXd shift = summary.mean / static_cast<double>(n_examples);
    summary.mean = first + shift;
    const ArrayXd taken = summary.mean - first;
    summary.rest = (first - (summary.mean - taken)) + (shift - taken);
    return summary;
}

}  // namespace convergent
