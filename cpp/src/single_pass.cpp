#include "single_pass.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "narrow_products.hpp"
#include "parallel.hpp"
#include "polar.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kBlockExamples = 64;
/// Of the examples, in one round each: the later ones, which have better weights, read more.
constexpr std::array<Index, 3> kShares{1, 2, 4};
constexpr Index kLeastBlocks = 4;       // of the first round
constexpr Index kUnitsTogether = 128;   // in one task
constexpr int kBlocksAThread = 2;       // that are read before their products are added
constexpr std::size_t kLeastHeard = 5;  // networks that a block's response is of

/// Some units of a network.
struct Units {
    std::size_t network;
    Index first, count;
};

/// Numbers of blocks.
using Round = std::vector<Index>;

/// Blocks in rounds, each of which is spread over all of them.
std::vector<Round> divided(Index n_blocks) {
    std::size_t n_rounds = kShares.size();
    Index all = std::accumulate(kShares.begin(), kShares.end(), Index{0});
    while (n_rounds > 1 && n_blocks < kLeastBlocks * all) all -= kShares[--n_rounds];
    std::vector<Round> rounds(n_rounds);
    for (Index block = 0; block < n_blocks; ++block) {
        const auto missing = [&](std::size_t round) {
            return kShares[round] * (block + 1) - all * static_cast<Index>(rounds[round].size());
        };
        std::size_t next = 0;
        for (std::size_t round = 1; round < n_rounds; ++round) {
            if (missing(round) > missing(next)) next = round;
        }
        rounds[next].push_back(block);
    }
    return rounds;
}

class Reading {
 public:
    Reading(const std::vector<NetworkView>& networks, int n_threads, const StopToken& stop,
            SinglePass& pass)
        : views_(with_means(networks, pass.copies.centres)),
          n_threads_(n_threads),
          stop_(stop),
          pass_(pass),
          k_(pass.weights.front().cols()),
          rounds_(divided((views_.front().n_examples + kBlockExamples - 1) / kBlockExamples)),
          blocks_(std::min(rounds_.back().size(), static_cast<std::size_t>(kBlocksAThread) *
                                                      static_cast<std::size_t>(n_threads))),
          polar_(views_.size()) {
        const auto n_rows = static_cast<Index>(blocks_.size()) * kBlockExamples;
        response_.resize(n_rows, padded<float>(k_));
        if (!is_kept()) room_.resize(n_rows, widths_of(views_));
        for (std::size_t i = 0; i < views_.size(); ++i) {
            const Index width = views_[i].n_units;
            products_.push_back(Dense<float>::Zero(width, k_));
            for (Index first = 0; first < width; first += kUnitsTogether) {
                units_.push_back({i, first, std::min(kUnitsTogether, width - first)});
            }
        }
    }

    /// Returns the sums of squares and examples.
    ExampleSums run() {
        ExampleSums total = ExampleSums::zeros(pass_.copies.centres);
        for (const Round& round : rounds_) {
            const Sums sums = read_round(round);
            total += sums.examples;
            align(sums);
        }
        return total;
    }

 private:
    /// Over some examples.
    struct Sums {
        ExampleSums examples;
        Eigen::RowVectorXd response;
        Index n_examples = 0;
    };
    struct Block {
        std::size_t number;  // in its round
        Index first, count;  // examples
        Sums sums;
    };
    using Factors = std::vector<NarrowFactor<float>>;

    bool is_kept() const { return !pass_.copies.networks.empty(); }
    Sums no_sums() const {
        return {ExampleSums::zeros(pass_.copies.centres), Eigen::RowVectorXd::Zero(k_)};
    }

    /// Reads the blocks of a round, a few at a time.
    Sums read_round(const Round& round) {
        const Factors factors(pass_.weights.begin(), pass_.weights.end());
        Sums total = no_sums();
        for (std::size_t next = 0; next < round.size();) {
            std::size_t n_blocks = 0;
            for (; n_blocks < blocks_.size() && next < round.size(); ++n_blocks, ++next) {
                const Index first = round[next] * kBlockExamples;
                blocks_[n_blocks].number = next;
                blocks_[n_blocks].first = first;
                blocks_[n_blocks].count =
                    std::min(kBlockExamples, views_.front().n_examples - first);
            }
            parallel_for_each(n_blocks, n_threads_, stop_,
                              [&](std::size_t slot) { respond(slot, factors); });
            parallel_for_each(units_.size(), n_threads_, stop_, [&](std::size_t number) {
                for (std::size_t slot = 0; slot < n_blocks; ++slot) {
                    add_products(slot, units_[number]);
                }
            });
            for (std::size_t slot = 0; slot < n_blocks; ++slot) {
                total.examples += blocks_[slot].sums.examples;
                total.response += blocks_[slot].sums.response;
                total.n_examples += blocks_[slot].count;
            }
        }
        return total;
    }

    /// A block's copy.
    Copies<float>::Rows<RowDense<float>> rows(std::size_t network, std::size_t slot) {
        const Block& block = blocks_[slot];
        auto copy = (is_kept() ? pass_.copies.networks : room_)[network];
        return {copy.row(is_kept() ? block.first : row_of(slot)).data(), block.count, copy.cols(),
                Eigen::OuterStride<>(copy.outerStride())};
    }
    /// Whether a network is in the response to a block: the networks take turns where they are
    /// many, a few together tell nearly as much of what they share as all.
    bool is_heard(std::size_t network, const Block& block) const {
        const std::size_t n_turns = std::max<std::size_t>(views_.size() / kLeastHeard, 1);
        return (network + block.number) % n_turns == 0;
    }
    static Index row_of(std::size_t slot) { return static_cast<Index>(slot) * kBlockExamples; }

    /// Reads a block, and sets the response to it.
    void respond(std::size_t slot, const Factors& factors) {
        Block& block = blocks_[slot];
        block.sums = no_sums();
        ExampleSums& sums = block.sums.examples;
        auto response = response_.middleRows(row_of(slot), block.count);
        response.setZero();
        for (std::size_t i = 0; i < views_.size(); ++i) {
            auto copy = rows(i, slot);
            sums.squares += read_rectangle(views_[i], {block.first, block.count, 0, copy.cols()},
                                           pass_.copies.factor, copy.data(), copy.outerStride(),
                                           sums.sums_of(i));
            if (is_heard(i, block)) add_product<float>(copy, factors[i], response);
        }
        block.sums.response = response.leftCols(k_).colwise().sum().template cast<double>();
    }

    void add_products(std::size_t slot, const Units& units) {
        add_transposed_product<float>(
            rows(units.network, slot).middleCols(units.first, units.count),
            response_.block(row_of(slot), 0, blocks_[slot].count, k_),
            products_[units.network].middleRows(units.first, units.count));
    }

    /// Makes weights of the products, to which a round has been added.
    void align(const Sums& sums) {
        parallel_for_each(views_.size(), n_threads_, stop_, [&](std::size_t i) {
            if (!pass_.copies.centres.empty()) {
                const double factor = pass_.copies.factor / static_cast<double>(sums.n_examples);
                products_[i] -= (factor * sums.examples.sums[i] * sums.response).cast<float>();
            }
            Dense<float>& weights = pass_.weights[i];
            weights = polar_[i](products_[i], Dense<float>(weights), 1, stop_);
        });
    }

    std::vector<NetworkView> views_;
    int n_threads_;
    const StopToken& stop_;
    SinglePass& pass_;
    Index k_;
    std::vector<Round> rounds_;
    std::vector<Block> blocks_;  // that are read together
    RowDense<float> response_;   // to them
    Copies<float> room_;         // for them, where copies are not kept
    std::vector<Units> units_;
    WeightsOf<float> products_;  // X_i^T R
    std::vector<QuickPolar<float>> polar_;
};

}  // namespace

SinglePass pass_in_single(const std::vector<NetworkView>& networks, const WeightsOf<float>& weights,
                          const SingleCopies& drawn, bool keep_copies, int n_threads,
                          const StopToken& stop) {
    const Index n_examples = networks.front().n_examples;
    SinglePass pass;
    pass.copies.factor = drawn.factor;
    pass.copies.centres = drawn.means();
    if (keep_copies) pass.copies.networks.resize(n_examples, widths_of(networks));
    read_until_near(networks, n_examples, pass.copies, [&] {
        pass.weights = weights;
        return Reading(networks, n_threads, stop, pass).run();
    });
    return pass;
}

}  // namespace convergent
