#include "single_copies.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

constexpr Index kRows = 256;         // in one task
constexpr Index kTogether = 32;      // at a time
constexpr Index kFirstExamples = 8;  // of a network, which tell the size of its activations
constexpr double kOrdinary = 1e10;   // a mean square up to here, or over one of it, is
constexpr double kFarOff = 1e-2;     // of the squares about a centre, the least about the means

double mean_square_factor(double squares, double n_values) {
    const double factor = std::sqrt(n_values / squares);
    return std::isfinite(factor) && factor > 0.0 ? factor : 1.0;
}

/// Factor, and with `center` centres, from a few examples all over each network.
void look_at_first(const std::vector<NetworkView>& networks, bool center, SingleCopies& copies) {
    double squares = 0.0, n_values = 0.0;
    RowDense<double> rows;
    for (const NetworkView& network : networks) {
        const Index count = std::min<Index>(kFirstExamples, network.n_examples);
        rows.resize(count, network.n_units);
        for (Index i = 0; i < count; ++i) {
            read_rectangle(network, {i * network.n_examples / count, 1, 0, network.n_units},
                           rows.row(i).data());
        }
        if (center) {
            copies.centres.emplace_back(rows.colwise().mean());
            rows.rowwise() -= copies.centres.back().transpose();
        }
        squares += rows.squaredNorm();
        n_values += static_cast<double>(rows.size());
    }
    copies.factor = mean_square_factor(squares, n_values);
}

/// Fills a copy of the examples that `example` gives for each row of it, in parallel; sets no more
/// than the sums where there is no memory for it.
template <class Example>
void read_rows(const std::vector<NetworkView>& networks, Index n_rows, int n_threads,
               const StopToken& stop, const Example& example, SingleCopies& copies) {
    const Index n_chunks = (n_rows + kRows - 1) / kRows;
    const bool is_kept = !copies.networks.empty();
    read_until_near(networks, n_rows, copies, [&] {
        const std::vector<NetworkView> views = with_means(networks, copies.centres);
        std::vector<ExampleSums> chunks(static_cast<std::size_t>(n_chunks));
        parallel_for(n_chunks, n_threads, stop, [&](Index chunk) {
            ExampleSums& sums = chunks[static_cast<std::size_t>(chunk)];
            sums = ExampleSums::zeros(copies.centres);
            const Index end = std::min(n_rows, (chunk + 1) * kRows);
            RowDense<float> scratch;
            for (std::size_t i = 0; i < views.size(); ++i) {
                const Index width = views[i].n_units;
                if (!is_kept) scratch.resize(kTogether, width);
                const Index stride = is_kept ? copies.networks[i].outerStride() : width;
                for (Index row = chunk * kRows, count; row < end; row += count) {
                    const Index first = example(row), most = std::min(end - row, kTogether);
                    for (count = 1; count < most && example(row + count) == first + count;) ++count;
                    float* const to = is_kept ? copies.networks[i].row(row).data() : scratch.data();
                    sums.squares += read_rectangle(views[i], {first, count, 0, width},
                                                   copies.factor, to, stride, sums.sums_of(i));
                }
            }
        });
        for (Index chunk = 1; chunk < n_chunks; ++chunk) {
            chunks.front() += chunks[static_cast<std::size_t>(chunk)];
        }
        return chunks.front();
    });
}

/// All of them, where `read_rows` wants to know which.
Index same(Index row) { return row; }

}  // namespace

std::vector<Index> widths_of(const std::vector<NetworkView>& networks) {
    std::vector<Index> widths;
    for (const NetworkView& network : networks) widths.push_back(network.n_units);
    return widths;
}

std::vector<VectorXd> SingleCopies::means() const {
    std::vector<VectorXd> result = centres;
    for (std::size_t i = 0; i < result.size(); ++i) result[i] += networks.shifts[i] / factor;
    return result;
}

std::vector<NetworkView> with_means(const std::vector<NetworkView>& networks,
                                    const std::vector<VectorXd>& means) {
    std::vector<NetworkView> views = networks;
    for (std::size_t i = 0; i < means.size(); ++i) views[i].means = means[i].data();
    return views;
}

ExampleSums ExampleSums::zeros(const std::vector<VectorXd>& centres) {
    ExampleSums result;
    for (const VectorXd& centre : centres) result.sums.push_back(VectorXd::Zero(centre.size()));
    return result;
}

void ExampleSums::operator+=(const ExampleSums& other) {
    squares += other.squares;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
}

bool set_sums(const ExampleSums& sums, Index n_examples, double n_values, SingleCopies& copies) {
    const auto count = static_cast<double>(n_examples);
    copies.squares = sums.squares;
    copies.networks.shifts.clear();
    for (const VectorXd& sum : sums.sums) {
        copies.squares -= sum.squaredNorm() / count;
        copies.networks.shifts.emplace_back(sum * (copies.factor / count));
    }
    if (!(sums.squares > 0.0) || !std::isfinite(sums.squares)) return true;
    copies.squares = std::max(copies.squares, 0.0);
    const double mean_square = copies.squares / n_values * copies.factor * copies.factor;
    const bool is_ordinary = mean_square < kOrdinary && mean_square > 1.0 / kOrdinary;
    return is_ordinary && copies.squares > kFarOff * sums.squares;
}

void move_near(double n_values, SingleCopies& copies) {
    copies.centres = copies.means();
    copies.factor = mean_square_factor(copies.squares, n_values);
}

SingleCopies copy_in_single(const std::vector<NetworkView>& networks, bool center, int n_threads,
                            const StopToken& stop) {
    SingleCopies copies;
    look_at_first(networks, center, copies);
    const Index n_examples = networks.front().n_examples;
    copies.networks.resize(n_examples, widths_of(networks));
    read_rows(networks, n_examples, n_threads, stop, same, copies);
    return copies;
}

SingleCopies measure(const std::vector<NetworkView>& networks, bool center, int n_threads,
                     const StopToken& stop) {
    SingleCopies sums;
    look_at_first(networks, center, sums);
    read_rows(networks, networks.front().n_examples, n_threads, stop, same, sums);
    return sums;
}

SingleCopies draw_in_single(const std::vector<NetworkView>& networks, bool center, Index group,
                            int n_threads, const StopToken& stop) {
    std::vector<Index> drawn;
    std::uint32_t state = 1;
    for (Index i = 0; i < networks.front().n_examples / group; ++i) {
        state = 1664525u * state + 1013904223u;
        drawn.push_back(i * group +
                        static_cast<Index>((state >> 16) % static_cast<std::uint32_t>(group)));
    }
    SingleCopies copies;
    look_at_first(networks, center, copies);
    copies.networks.resize(static_cast<Index>(drawn.size()), widths_of(networks));
    read_rows(
        networks, static_cast<Index>(drawn.size()), n_threads, stop,
        [&](Index row) { return drawn[static_cast<std::size_t>(row)]; }, copies);
    return copies;
}

}  // namespace convergent
