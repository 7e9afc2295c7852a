#include "response_on_examples.hpp"

#include <algorithm>
#include <cstdint>
#include <new>
#include <numeric>

#include "huge_pages.hpp"
#include "narrow_products.hpp"
#include "parallel.hpp"
#include "response_on_products.hpp"

namespace convergent {
namespace {

using Eigen::Index;

constexpr Index kBlockExamples = 128;
constexpr Index kPieceExamples = 48;  // read and used at once, so that they stay in a cache
/// Where k is large, so that weights are packed less often.
constexpr Index kWideBlockExamples = 512;
constexpr Index kWide = 128;
constexpr Index kSumNumbers = 1 << 15;  // of a product, that one task sums up
constexpr Index kFewExamples = 2048;    // shorter blocks, so that threads have as many
/// Squares of the means, over those about them, up to which products lose no digit that counts
/// where means are taken from them and not from the activations.
constexpr double kNear = 4.0;

Index rows_of_block(Index n_examples, Index k) {
    if (k >= kWide) return kWideBlockExamples;
    return n_examples < kFewExamples ? kBlockExamples / 2 : kBlockExamples;
}

/// Whether the values lie in rows of such numbers.
template <class Scalar>
bool lies_in_rows(const NetworkView& view) {
    constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(Scalar));
    return view.is_single == (sizeof(Scalar) < sizeof(double)) && view.unit_stride == kSize &&
           view.example_stride >= kSize * view.n_units && view.example_stride % kSize == 0 &&
           reinterpret_cast<std::uintptr_t>(view.values) % sizeof(Scalar) == 0 &&
           view.scales == nullptr && view.rests == nullptr;
}

/// Sum over all examples.
double squares_of_means(const std::vector<NetworkView>& networks) {
    double sum = 0.0;
    for (const NetworkView& view : networks) {
        if (view.means == nullptr) continue;
        const Eigen::Map<const Eigen::VectorXd> means(view.means, view.n_units);
        sum += static_cast<double>(view.n_examples) * means.squaredNorm();
    }
    return sum;
}

}  // namespace

template <class Scalar>
ResponseOnExamples<Scalar>::ResponseOnExamples(const std::vector<NetworkView>& networks,
                                               double squares, Scalar* response, Index k)
    : networks_(networks),
      response_(response, networks.front().n_examples, k),
      squares_(networks.size()),
      own_(networks.size()),
      n_rows_(rows_of_block(networks.front().n_examples, k)) {
    const bool are_near = squares_of_means(networks) <= kNear * squares;
    for (const NetworkView& view : networks) {
        in_place_.push_back(are_near && lies_in_rows<Scalar>(view));
    }
}

template <class Scalar>
ResponseOnExamples<Scalar>::ResponseOnExamples(const Copies<Scalar>& copies, Scalar* response,
                                               Index k)
    : copies_(&copies),
      response_(response, copies.n_examples(), k),
      squares_(copies.size()),
      own_(copies.size()),
      n_rows_(rows_of_block(copies.n_examples(), k)) {
    for (std::size_t i = 0; i < copies.size(); ++i) networks_.push_back(copies.view(i));
}

template <class Scalar>
void ResponseOnExamples<Scalar>::clear() {
    response_.setZero();
    forget_own(true);
}

template <class Scalar>
auto ResponseOnExamples<Scalar>::block(std::size_t network, Index first, Index count,
                                       RowDense<Scalar>& buffer) const -> Block {
    const NetworkView& view = networks_[network];
    if (copies_ != nullptr) return (*copies_)[network].middleRows(first, count);
    if (is_in_place(network)) {
        const Index stride = view.example_stride / static_cast<Index>(sizeof(Scalar));
        return Eigen::Map<const RowDense<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>>(
            static_cast<const Scalar*>(view.values) + first * stride, count, view.n_units,
            Eigen::OuterStride<>(stride));
    }
    buffer.resize(count, view.n_units);
    read_rectangle(view, {first, count, 0, view.n_units}, 1.0, buffer.data(), view.n_units);
    return buffer;
}

template <class Scalar>
auto ResponseOnExamples<Scalar>::offset(std::size_t network, const Dense<Scalar>& weights) const
    -> Eigen::Matrix<Scalar, 1, Eigen::Dynamic> {
    const double* const means = networks_[network].means;
    if (means == nullptr || (copies_ == nullptr && !is_in_place(network))) return {};
    const Eigen::Map<const Eigen::VectorXd> shift(means, weights.rows());
    return shift.template cast<Scalar>().transpose() * weights;
}

template <class Scalar>
void ResponseOnExamples<Scalar>::add_some(std::size_t first, const Dense<Scalar>* weights,
                                          std::size_t n_networks, int n_threads,
                                          const StopToken& stop) {
    std::vector<Eigen::Matrix<Scalar, 1, Eigen::Dynamic>> shifts;
    std::vector<NarrowFactor<Scalar>> right;
    for (std::size_t i = 0; i < n_networks; ++i) {
        shifts.push_back(offset(first + i, weights[i]));
        right.emplace_back(weights[i]);
    }
    const ExampleParts parts(response_.rows(), n_rows_, 0);
    const Index piece = response_.cols() >= kWide ? n_rows_ : kPieceExamples;
    parallel_for(parts.n_parts, n_threads, stop, [&](Index part) {
        RowDense<Scalar> buffer, sum;
        parts.for_each_block(part, stop, [&](Index begin) {
            auto rows = response_.middleRows(begin, std::min(n_rows_, response_.rows() - begin));
            sum.setZero(rows.rows(), padded<Scalar>(rows.cols()));
            sum.leftCols(rows.cols()) = rows;
            for (std::size_t i = 0; i < n_networks; ++i) {
                for (Index row = 0; row < rows.rows(); row += piece) {
                    const Index count = std::min(piece, rows.rows() - row);
                    add_product<Scalar>(block(first + i, begin + row, count, buffer), right[i],
                                        sum.middleRows(row, count));
                }
                if (shifts[i].size() != 0) sum.leftCols(rows.cols()).rowwise() -= shifts[i];
            }
            rows = sum.leftCols(rows.cols());
        });
    });
    forget_own(false);
}

template <class Scalar>
void ResponseOnExamples<Scalar>::add(std::size_t network, const Dense<Scalar>& weights,
                                     int n_threads, const StopToken& stop) {
    add_some(network, &weights, 1, n_threads, stop);
}

template <class Scalar>
void ResponseOnExamples<Scalar>::set(const WeightsOf<Scalar>& weights, int n_threads,
                                     const StopToken& stop) {
    clear();
    add_some(0, weights.data(), weights.size(), n_threads, stop);
}

template <class Scalar>
void ResponseOnExamples<Scalar>::against(std::size_t network, Dense<Scalar>& out,
                                         const StopToken& stop) const {
    out.setZero(networks_[network].n_units, response_.cols());
    RowDense<Scalar> buffer;
    for (Index first = 0; first < response_.rows(); first += n_rows_) {
        stop.check();
        const auto rows = response_.middleRows(first, std::min(n_rows_, response_.rows() - first));
        add_transposed_product<Scalar>(block(network, first, rows.rows(), buffer), rows, out);
    }
}

template <class Scalar>
const Dense<Scalar>& ResponseOnExamples<Scalar>::squares(std::size_t network, int n_threads,
                                                         const StopToken& stop) {
    if (squares_[network].size() == 0) {
        squares_[network] = all_products<Scalar>({networks_[network]}, 1.0, n_threads, stop);
    }
    return squares_[network];
}

template <class Scalar>
void ResponseOnExamples<Scalar>::leave_out(std::size_t network, const Dense<Scalar>& weights,
                                           Dense<Scalar>& product, int n_threads,
                                           const StopToken& stop) {
    const bool is_square = product.rows() == product.cols();
    if (!is_square || is_followed(network) || weights.squaredNorm() == Scalar(0)) return;
    product.noalias() -= squares(network, n_threads, stop) * weights;
}

template <class Scalar>
bool ResponseOnExamples<Scalar>::follow(std::size_t network) {
    const bool is_square = networks_[network].n_units == response_.cols();
    if (copies_ == nullptr || !are_followed_ || !is_square || is_followed(network)) return false;
    try {
        resize_in_huge_pages(own_[network], response_.rows(), response_.cols());
    } catch (const std::bad_alloc&) {
        forget_own(false);
    }
    return is_followed(network);
}

template <class Scalar>
void ResponseOnExamples<Scalar>::forget_own(bool are_followed) {
    own_.assign(own_.size(), {});
    are_followed_ = are_followed;
}

template <class Scalar>
double ResponseOnExamples<Scalar>::norm(int n_threads, const StopToken& stop) const {
    const ExampleParts parts(response_.rows(), n_rows_, 0);
    std::vector<double> norms(static_cast<std::size_t>(parts.n_blocks));
    parallel_for(parts.n_parts, n_threads, stop, [&](Index part) {
        parts.for_each_block(part, stop, [&](Index begin) {
            const Index count = std::min(n_rows_, response_.rows() - begin);
            norms[static_cast<std::size_t>(begin / n_rows_)] =
                static_cast<double>(response_.middleRows(begin, count).squaredNorm());
        });
    });
    return std::accumulate(norms.begin(), norms.end(), 0.0);
}

template <class Scalar>
ExampleParts ResponseOnExamples<Scalar>::parts_of(Index n_units) const {
    return {response_.rows(), n_rows_,
            static_cast<Index>(sizeof(Scalar)) * n_units * response_.cols()};
}

template <class Scalar>
template <class Work>
const Dense<Scalar>& ResponseOnExamples<Scalar>::sum_of_parts(const ExampleParts& parts,
                                                              Index n_units, int n_threads,
                                                              const StopToken& stop,
                                                              const Work& work) {
    partial_.resize(static_cast<std::size_t>(parts.n_parts));
    parallel_for(parts.n_parts, n_threads, stop, [&](Index part) {
        Dense<Scalar>& sum = partial_[static_cast<std::size_t>(part)];
        if (n_units != 0) sum.setZero(n_units, response_.cols());
        work(part, sum);
    });
    Dense<Scalar>& total = partial_.front();
    if (n_units == 0) return total;
    const Index columns = std::max<Index>(kSumNumbers / n_units, 1);
    parallel_for((total.cols() + columns - 1) / columns, n_threads, stop, [&](Index task) {
        const Index first = task * columns, count = std::min(columns, total.cols() - first);
        for (std::size_t part = 1; part < partial_.size(); ++part) {
            total.middleCols(first, count) += partial_[part].middleCols(first, count);
        }
    });
    return total;
}

template <class Scalar>
void ResponseOnExamples<Scalar>::add_against(std::size_t network, Index first,
                                             RowDense<Scalar>& buffer, Dense<Scalar>& out) const {
    const Index count = std::min(n_rows_, response_.rows() - first);
    const auto rows = response_.middleRows(first, count);
    const Block left = block(network, first, count, buffer);
    if (is_followed(network)) {
        buffer = rows - own_[network].middleRows(first, count);
        add_transposed_product<Scalar>(left, buffer, out);
    } else {
        add_transposed_product<Scalar>(left, rows, out);
    }
}

template <class Scalar>
void ResponseOnExamples<Scalar>::product(std::size_t network, const Dense<Scalar>& weights,
                                         Dense<Scalar>& out, int n_threads, const StopToken& stop) {
    const Index n_units = networks_[network].n_units;
    const ExampleParts parts = parts_of(n_units);
    out = sum_of_parts(parts, n_units, n_threads, stop, [&](Index part, Dense<Scalar>& sum) {
        RowDense<Scalar> buffer;
        parts.for_each_block(part, stop,
                             [&](Index begin) { add_against(network, begin, buffer, sum); });
    });
    leave_out(network, weights, out, n_threads, stop);
}

template <class Scalar>
double ResponseOnExamples<Scalar>::step(const Step<Scalar>& step, const Work& work, int n_threads,
                                        const StopToken& stop) {
    work(n_threads);
    const Dense<Scalar> change = step.after - step.before;
    const auto shift = offset(step.network, change);
    const Index n_units = step.wants_next ? networks_[step.next].n_units : 0, k = response_.cols();
    const NarrowFactor<Scalar> right(change);
    const bool is_new = follow(step.network);
    const bool is_identity = networks_[step.network].n_units == k && change.isIdentity(Scalar(0));
    RowDense<Scalar>& own = own_[step.network];
    const ExampleParts parts = parts_of(networks_[step.next].n_units);
    std::vector<double> changes(static_cast<std::size_t>(parts.n_parts));  // their squares
    const Dense<Scalar>& product =
        sum_of_parts(parts, n_units, n_threads, stop, [&](Index part, Dense<Scalar>& sum) {
            RowDense<Scalar> buffer, added;
            double squares = 0.0;
            parts.for_each_block(part, stop, [&](Index begin) {
                const Index count = std::min(n_rows_, response_.rows() - begin);
                added.setZero(count, padded<Scalar>(k));
                const Block left = block(step.network, begin, count, buffer);
                if (is_identity) {
                    added.leftCols(k) = left;
                } else {
                    add_product<Scalar>(left, right, added);
                }
                for (Index row = 0; row < count; ++row) {
                    auto part = added.row(row).head(k);
                    if (shift.size() != 0) part -= shift;
                    squares += static_cast<double>(part.squaredNorm());
                    response_.row(begin + row) += part;
                    if (is_new) own.row(begin + row).setZero();
                    if (own.size() != 0) own.row(begin + row) += part;
                }
                if (step.wants_next) add_against(step.next, begin, buffer, sum);
            });
            changes[static_cast<std::size_t>(part)] = squares;
        });
    if (step.wants_next) {
        step.next_product = product;
        leave_out(step.next, step.next_weights, step.next_product, n_threads, stop);
    }
    return gain(step, change, std::accumulate(changes.begin(), changes.end(), 0.0));
}

template class ResponseOnExamples<float>;
template class ResponseOnExamples<double>;

}  // namespace convergent
