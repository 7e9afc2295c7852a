#include "single_pass.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "example_parts.hpp"
#include "narrow_products.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kBlockExamples = 128;

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
    Reading(const std::vector<NetworkView>& networks, const std::vector<RowDense<float>>& weights,
            Index k, SinglePass& pass)
        : views_(with_means(networks, pass.copies.centres)),
          weights_(weights),
          k_(k),
          pass_(pass),
          starts_{0},
          blocks_(views_.front().n_examples, kBlockExamples, part_bytes(weights)),
          parts_(static_cast<std::size_t>(blocks_.n_parts)) {
        for (const RowDense<float>& w : weights) starts_.push_back(starts_.back() + w.size());
        resize_in_huge_pages(products_, starts_.back(), blocks_.n_parts);
    }

    /// Returns the sums of squares and examples.
    ExampleSums run(int n_threads, const StopToken& stop) {
        Rooms rooms(widths_of(views_));
        parallel_for(blocks_.n_parts, n_threads, stop, [&](Index number) {
            Copies<float> room = rooms.take();
            begin(number);
            blocks_.for_each_block(number, stop,
                                   [&](Index first) { read_block(first, number, room); });
            rooms.give_back(std::move(room));
        });
        for (std::size_t part = 1; part < parts_.size(); ++part) {
            parts_.front().sums += parts_[part].sums;
            parts_.front().response_sum += parts_[part].response_sum;
            parts_.front().norm += parts_[part].norm;
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
    static Index part_bytes(const std::vector<RowDense<float>>& weights) {
        Index size = 0;
        for (const RowDense<float>& w : weights) size += w.size();
        return size * static_cast<Index>(sizeof(float));
    }

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
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            auto copy = rows(i);
            part.sums.squares +=
                read_rectangle(views_[i], {first, count, 0, copy.cols()}, pass_.copies.factor,
                               copy.data(), copy.cols(), part.sums.sums_of(i));
            add_product<float>(copy, weights_[i], response);
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
    const std::vector<RowDense<float>>& weights_;  // in padded rows
    Index k_;
    SinglePass& pass_;
    std::vector<Index> starts_;  // of each network's products in a column
    ExampleParts blocks_;
    std::vector<Part> parts_;
    Dense<float> products_;  // of each part in a column, network after network
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
    std::vector<RowDense<float>> padded_weights;
    for (const Dense<float>& w : weights) padded_weights.push_back(padded_copy<float>(w));
    std::optional<Reading> reading;
    read_until_near(networks, n_examples, pass.copies, [&] {
        reading.emplace(networks, padded_weights, weights.front().cols(), pass);
        return reading->run(n_threads, stop);
    });
    reading->finish(n_threads, stop);
    return pass;
}

}  // namespace convergent
