#include "single_pass.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "narrow_products.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kBlockExamples = 128;
constexpr Index kMostParts = 32;  // of the examples, each with its share of the products
constexpr Index kLeastParts = 4;
constexpr Index kLeastBlocks = 4;       // of a part, where there are as many
constexpr Index kPartBytes = 64 << 20;  // of all parts

/// Memory for blocks of examples, of which a thread takes one for a while.
class Rooms {
 public:
    explicit Rooms(std::vector<Index> widths) : widths_(std::move(widths)) {}

    Copies<float> take() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (free_.empty()) {
            free_.emplace_back();
            free_.back().resize(kBlockExamples, widths_);
        }
        Copies<float> room = std::move(free_.back());
        free_.pop_back();
        return room;
    }
    void give_back(Copies<float> room) {
        const std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back(std::move(room));
    }

 private:
    std::vector<Index> widths_;
    std::mutex mutex_;
    std::vector<Copies<float>> free_;
};

/// The share of some examples.
struct Part {
    ExampleSums sums;
    Eigen::RowVectorXd response_sum;
    double norm = 0.0;
};

class Reading {
 public:
    Reading(const std::vector<NetworkView>& networks, const WeightsOf<float>& weights,
            SinglePass& pass)
        : views_(with_means(networks, pass.copies.centres)),
          k_(weights.front().cols()),
          pass_(pass) {
        for (const Dense<float>& w : weights) {
            weights_.push_back(padded_copy<float>(w));
            widths_.push_back(w.rows());
            starts_.push_back(size_);
            size_ += weights_.back().size();
        }
        n_blocks_ = (views_.front().n_examples + kBlockExamples - 1) / kBlockExamples;
        const Index room = kPartBytes / (static_cast<Index>(sizeof(float)) * size_);
        const Index most = std::clamp(n_blocks_ / kLeastBlocks, kLeastParts, kMostParts);
        parts_.resize(
            static_cast<std::size_t>(std::min(n_blocks_, std::clamp(room, kLeastParts, most))));
        resize_in_huge_pages(products_, size_, static_cast<Index>(parts_.size()));
    }

    /// Returns the sums of squares and examples.
    ExampleSums run(int n_threads, const StopToken& stop) {
        Rooms rooms(widths_);
        const auto n_parts = static_cast<Index>(parts_.size());
        parallel_for(n_parts, n_threads, stop, [&](Index part) {
            Copies<float> room = rooms.take();
            begin(part);
            for (Index b = part * n_blocks_ / n_parts; b < (part + 1) * n_blocks_ / n_parts; ++b) {
                stop.check();
                read_block(b * kBlockExamples, part, room);
            }
            rooms.give_back(std::move(room));
        });
        for (Index part = 1; part < n_parts; ++part) {
            parts_.front().sums += parts_[static_cast<std::size_t>(part)].sums;
            parts_.front().response_sum += parts_[static_cast<std::size_t>(part)].response_sum;
            parts_.front().norm += parts_[static_cast<std::size_t>(part)].norm;
        }
        return parts_.front().sums;
    }

    /// Sets products and norm of the pass, about the means.
    void finish(int n_threads, const StopToken& stop) {
        const Part& all = parts_.front();
        const auto n_examples = static_cast<double>(views_.front().n_examples);
        const bool is_centred = !pass_.copies.centres.empty();
        pass_.norm = all.norm - (is_centred ? all.response_sum.squaredNorm() / n_examples : 0.0);
        pass_.products.resize(weights_.size());
        parallel_for_each(weights_.size(), n_threads, stop, [&](std::size_t i) {
            Eigen::Map<RowDense<float>> sum = products_of(0, i);
            for (std::size_t part = 1; part < parts_.size(); ++part) {
                sum += products_of(static_cast<Index>(part), i);
            }
            pass_.products[i] = sum.leftCols(k_);
            if (!is_centred) return;
            pass_.products[i] -= (pass_.copies.networks.shifts[i] * all.response_sum).cast<float>();
        });
    }

 private:
    void begin(Index number) {
        Part& part = parts_[static_cast<std::size_t>(number)];
        part.sums = ExampleSums::zeros(pass_.copies.centres);
        part.response_sum.setZero(k_);
        products_.col(number).setZero();
    }

    void read_block(Index first, Index number, Copies<float>& room) {
        Part& part = parts_[static_cast<std::size_t>(number)];
        const Index count = std::min<Index>(kBlockExamples, views_.front().n_examples - first);
        const bool is_kept = !pass_.copies.networks.empty();
        const auto rows = [&](std::size_t i) {
            return is_kept ? pass_.copies.networks[i].middleRows(first, count)
                           : room[i].middleRows(0, count);
        };
        RowDense<float> response = RowDense<float>::Zero(count, weights_.front().cols());
        const Eigen::Map<RowDense<float>> sum(response.data(), count, response.cols());
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            auto copy = rows(i);
            part.sums.squares +=
                read_rectangle(views_[i], {first, count, 0, widths_[i]}, pass_.copies.factor,
                               copy.data(), widths_[i], part.sums.sums_of(i));
            add_product<float>(copy, weights_[i], sum);
        }
        part.norm += static_cast<double>(response.squaredNorm());
        part.response_sum += response.leftCols(k_).colwise().sum().cast<double>();
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            add_transposed_product<float>(rows(i), response, products_of(number, i));
        }
    }

    Eigen::Map<RowDense<float>> products_of(Index part, std::size_t network) {
        const RowDense<float>& w = weights_[network];
        return {products_.col(part).data() + starts_[network], w.rows(), w.cols()};
    }

    std::vector<NetworkView> views_;
    Index k_;
    SinglePass& pass_;
    std::vector<RowDense<float>> weights_;  // in padded rows
    std::vector<Index> widths_, starts_;
    Index size_ = 0, n_blocks_ = 0;  // of the products of a part
    std::vector<Part> parts_;
    Dense<float> products_;  // of each part in a column, network after network
};

}  // namespace

SinglePass pass_in_single(const std::vector<NetworkView>& networks, const WeightsOf<float>& weights,
                          const SingleCopies& drawn, bool keep_copies, int n_threads,
                          const StopToken& stop) {
    const Index n_examples = networks.front().n_examples;
    std::vector<Index> widths;
    double n_values = 0.0;
    for (const NetworkView& network : networks) {
        widths.push_back(network.n_units);
        n_values += static_cast<double>(n_examples * network.n_units);
    }
    SinglePass pass;
    pass.copies.factor = drawn.factor;
    pass.copies.centres = drawn.means();
    if (keep_copies) pass.copies.networks.resize(n_examples, widths);
    for (bool is_again = false;; is_again = true) {
        Reading reading(networks, weights, pass);
        const ExampleSums sums = reading.run(n_threads, stop);
        if (set_sums(sums, n_examples, n_values, pass.copies) || is_again) {
            reading.finish(n_threads, stop);
            return pass;
        }
    }
}

}  // namespace convergent
