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

/// Calls copy_network(network, factor, copy), which returns the sum of squares, for every network:
/// a second time where the first examples said little about the size of all.
template <class Copy>
SingleCopies copy_all(const std::vector<NetworkView>& networks, const Copy& copy_network) {
    SingleCopies copies;
    copies.networks.resize(networks.size());
    double n_values = 0.0;
    const auto copy = [&](double factor) {
        copies.factor = factor;
        copies.squares = n_values = 0.0;
        for (std::size_t i = 0; i < networks.size(); ++i) {
            copies.squares += copy_network(networks[i], factor, copies.networks[i]);
            n_values += static_cast<double>(copies.networks[i].size());
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
    const Index n_tasks = (networks.front().n_examples + kRows - 1) / kRows;
    std::vector<double> squares(static_cast<std::size_t>(n_tasks));
    return copy_all(networks, [&](const NetworkView& network, double factor, auto& copy) {
        if (copy.size() == 0) resize_in_huge_pages(copy, network.n_examples, network.n_units);
        parallel_for(n_tasks, n_threads, stop, [&](Index task) {
            const Index first = task * kRows, count = std::min(kRows, network.n_examples - first);
            squares[static_cast<std::size_t>(task)] =
                read_rectangle(network, {first, count, 0, network.n_units}, factor,
                               copy.row(first).data(), network.n_units);
        });
        return std::accumulate(squares.begin(), squares.end(), 0.0);
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
    const auto n_drawn = static_cast<Index>(drawn.size());
    const Index n_tasks = (n_drawn + kRows - 1) / kRows;
    std::vector<double> squares(static_cast<std::size_t>(n_tasks));
    return copy_all(networks, [&](const NetworkView& network, double factor, auto& copy) {
        if (copy.size() == 0) resize_in_huge_pages(copy, n_drawn, network.n_units);
        parallel_for(n_tasks, n_threads, stop, [&](Index task) {
            double sum = 0.0;
            for (Index i = task * kRows; i < std::min((task + 1) * kRows, n_drawn); ++i) {
                const Index example = drawn[static_cast<std::size_t>(i)];
                sum += read_rectangle(network, {example, 1, 0, network.n_units}, factor,
                                      copy.row(i).data(), network.n_units);
            }
            squares[static_cast<std::size_t>(task)] = sum;
        });
        return std::accumulate(squares.begin(), squares.end(), 0.0);
    });
}

}  // namespace convergent
