#include "single_copies.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "huge_pages.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kRows = 256;         // in one task
constexpr Index kFirstExamples = 8;  // of a network, which tell the size of its activations
constexpr double kOrdinary = 1e10;   // a mean square up to here, or over one of it, is

double mean_square_factor(double squares, double n_values) {
    const double factor = std::sqrt(n_values / squares);
    return std::isfinite(factor) && factor > 0.0 ? factor : 1.0;
}

/// A factor from a few examples all over each network.
double first_factor(const std::vector<NetworkView>& networks) {
    double squares = 0.0, n_values = 0.0;
    std::vector<float> row;
    for (const NetworkView& network : networks) {
        row.resize(static_cast<std::size_t>(network.n_units));
        const Index count = std::min<Index>(kFirstExamples, network.n_examples);
        for (Index i = 0; i < count; ++i) {
            const Index example = i * network.n_examples / count;
            squares += read_rectangle(network, {example, 1, 0, network.n_units}, 1.0, row.data(),
                                      network.n_units);
        }
        n_values += static_cast<double>(count * network.n_units);
    }
    return mean_square_factor(squares, n_values);
}

/// Fills a copy of `n_rows` examples of each network, in parallel: read(network, first,
/// count, factor, copy) reads `count` of them from row `first` on and returns their sum of squares.
/// All is done a second time where the first examples said little about the size of all.
template <class Read>
SingleCopies copy_all(const std::vector<NetworkView>& networks, Index n_rows, int n_threads,
                      const StopToken& stop, const Read& read) {
    SingleCopies copies;
    double n_values = 0.0;
    for (const NetworkView& network : networks) {
        copies.networks.emplace_back();
        resize_in_huge_pages(copies.networks.back(), n_rows, network.n_units);
        n_values += static_cast<double>(copies.networks.back().size());
    }
    std::vector<double> squares(static_cast<std::size_t>((n_rows + kRows - 1) / kRows));
    const auto copy = [&](double factor) {
        copies.factor = factor;
        copies.squares = 0.0;
        for (std::size_t i = 0; i < networks.size(); ++i) {
            parallel_for_each(squares.size(), n_threads, stop, [&](std::size_t task) {
                const Index first = static_cast<Index>(task) * kRows;
                const Index count = std::min(kRows, n_rows - first);
                squares[task] = read(networks[i], first, count, factor, copies.networks[i]);
            });
            copies.squares += std::accumulate(squares.begin(), squares.end(), 0.0);
        }
    };
    copy(first_factor(networks));
    const double mean_square = copies.squares / n_values * copies.factor * copies.factor;
    if (copies.squares > 0.0 && !(mean_square < kOrdinary && mean_square > 1.0 / kOrdinary)) {
        copy(mean_square_factor(copies.squares, n_values));
    }
    return copies;
}

}  // namespace

SingleCopies copy_in_single(const std::vector<NetworkView>& networks, int n_threads,
                            const StopToken& stop) {
    return copy_all(networks, networks.front().n_examples, n_threads, stop,
                    [](const NetworkView& network, Index first, Index count, double factor,
                       RowDense<float>& copy) {
                        return read_rectangle(network, {first, count, 0, network.n_units}, factor,
                                              copy.row(first).data(), network.n_units);
                    });
}

SingleCopies draw_in_single(const std::vector<NetworkView>& networks, Index group, int n_threads,
                            const StopToken& stop) {
    std::vector<Index> drawn;
    std::uint32_t state = 1;
    for (Index i = 0; i < networks.front().n_examples / group; ++i) {
        state = 1664525u * state + 1013904223u;
        drawn.push_back(i * group +
                        static_cast<Index>((state >> 16) % static_cast<std::uint32_t>(group)));
    }
    return copy_all(networks, static_cast<Index>(drawn.size()), n_threads, stop,
                    [&](const NetworkView& network, Index first, Index count, double factor,
                        RowDense<float>& copy) {
                        double sum = 0.0;
                        for (Index i = first; i < first + count; ++i) {
                            const Index example = drawn[static_cast<std::size_t>(i)];
                            sum += read_rectangle(network, {example, 1, 0, network.n_units}, factor,
                                                  copy.row(i).data(), network.n_units);
                        }
                        return sum;
                    });
}

}  // namespace convergent
