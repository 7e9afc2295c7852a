#include "response_sum.hpp"

#include <algorithm>
#include <numeric>

#include "convergent/cross_products.hpp"
#include "huge_pages.hpp"
#include "narrow_products.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr Index kBlockExamples = 128;
constexpr Index kWideBlockExamples =
    512;  // where k is large, so that weights are packed less often
constexpr Index kWide = 128;
constexpr Index kMostParts = 32;  // of the examples, each with its share of a product
constexpr Index kPartBytes = 64 << 20;
constexpr Index kTileUnits = 128;
constexpr Index kMirror = 64;

void add_products(const std::vector<NetworkView>& networks, double /*factor is 1*/, int n_threads,
                  const StopToken& stop, MatrixXd& products) {
    add_cross_products(networks, n_threads, stop, products);
}

void add_products(const std::vector<NetworkView>& networks, double factor, int n_threads,
                  const StopToken& stop, Eigen::MatrixXf& products) {
    add_cross_products(networks, factor, n_threads, stop, products);
}

/// Copies the upper triangle of a symmetric matrix to the lower one, in tiles.
template <class Scalar>
void mirror(Dense<Scalar>& matrix, int n_threads, const StopToken& stop) {
    const Index n = matrix.cols();
    parallel_for((n + kMirror - 1) / kMirror, n_threads, stop, [&](Index task) {
        const Index first = task * kMirror, count = std::min(kMirror, n - first);
        auto diagonal = matrix.block(first, first, count, count);
        diagonal.template triangularView<Eigen::StrictlyLower>() =
            Dense<Scalar>(diagonal).transpose();
        for (Index row = first + count; row < n; row += kMirror) {
            const Index rows = std::min(kMirror, n - row);
            matrix.block(row, first, rows, count) =
                matrix.block(first, row, count, rows).transpose();
        }
    });
}

/// Whether |X_i W_i| is the same before and after: the weights are square, and were there.
template <class Scalar>
bool has_constant_part(const Step<Scalar>& step) {
    return step.product.rows() == step.product.cols() && step.before.squaredNorm() > Scalar(0);
}

/// What a step adds to |R|^2: 2 <change, X_i^T R> + |X_i change|^2, of which only the first term
/// varies where there is a constant part. It is far smaller than the norm, and is summed by itself.
template <class Scalar>
double gain(const Step<Scalar>& step, const Dense<Scalar>& change, double change_squares) {
    const double linear = 2.0 * inner<Scalar>(change, step.product);
    return has_constant_part(step) ? linear : linear + change_squares;
}

template <class Scalar>
Eigen::Map<RowDense<Scalar>> map_of(RowDense<Scalar>& matrix) {
    return {matrix.data(), matrix.rows(), matrix.cols()};
}

Index rows_of_block(Index k) { return k < kWide ? kBlockExamples : kWideBlockExamples; }

}  // namespace

template <class Scalar>
Dense<Scalar> all_products(const std::vector<NetworkView>& networks, double factor, int n_threads,
                           const StopToken& stop) {
    Index n = 0;
    for (const NetworkView& network : networks) n += network.n_units;
    Dense<Scalar> products;
    resize_in_huge_pages(products, n, n);
    products.setZero();
    add_products(networks, factor, n_threads, stop, products);
    mirror(products, n_threads, stop);
    return products;
}

template <class Scalar>
ResponseOnExamples<Scalar>::ResponseOnExamples(const std::vector<NetworkView>& networks,
                                               Scalar* response, Index k)
    : networks_(networks),
      response_(response, networks.front().n_examples, k),
      squares_(networks.size()),
      n_rows_(rows_of_block(k)) {}

template <class Scalar>
ResponseOnExamples<Scalar>::ResponseOnExamples(const Copies<Scalar>& copies, Scalar* response,
                                               Index k)
    : copies_(&copies),
      response_(response, copies.n_examples(), k),
      squares_(copies.size()),
      n_rows_(rows_of_block(k)) {
    for (std::size_t i = 0; i < copies.size(); ++i) networks_.push_back(copies.view(i));
}

template <class Scalar>
void ResponseOnExamples<Scalar>::clear() {
    response_.setZero();
    norm_ = 0.0;
}

template <class Scalar>
auto ResponseOnExamples<Scalar>::block(std::size_t network, Index first,
                                       RowDense<Scalar>& buffer) const -> Block {
    const NetworkView& view = networks_[network];
    const Index count = std::min(n_rows_, view.n_examples - first);
    if (copies_ != nullptr) return (*copies_)[network].middleRows(first, count);
    buffer.resize(count, view.n_units);
    read_rectangle(view, {first, count, 0, view.n_units}, 1.0, buffer.data(), view.n_units);
    return buffer;
}

template <class Scalar>
auto ResponseOnExamples<Scalar>::offset(std::size_t network, const Dense<Scalar>& weights) const
    -> Eigen::Matrix<Scalar, 1, Eigen::Dynamic> {
    if (copies_ == nullptr || copies_->shifts.empty()) return {};
    return copies_->shifts[network].template cast<Scalar>().transpose() * weights;
}

template <class Scalar>
void ResponseOnExamples<Scalar>::add_some(std::size_t first, const Dense<Scalar>* weights,
                                          std::size_t n_networks, int n_threads,
                                          const StopToken& stop) {
    std::vector<Eigen::Matrix<Scalar, 1, Eigen::Dynamic>> shifts;
    for (std::size_t i = 0; i < n_networks; ++i) shifts.push_back(offset(first + i, weights[i]));
    std::vector<RowDense<Scalar>> right;
    for (std::size_t i = 0; i < n_networks; ++i) right.push_back(padded_copy<Scalar>(weights[i]));
    const Index n_blocks = (response_.rows() + n_rows_ - 1) / n_rows_;
    const Index n_parts = std::min(n_blocks, kMostParts);
    std::vector<double> norms(static_cast<std::size_t>(n_blocks));
    parallel_for(n_parts, n_threads, stop, [&](Index part) {
        RowDense<Scalar> buffer;
        for (Index b = part * n_blocks / n_parts; b < (part + 1) * n_blocks / n_parts; ++b) {
            stop.check();
            const Index begin = b * n_rows_;
            auto rows = response_.middleRows(begin, std::min(n_rows_, response_.rows() - begin));
            RowDense<Scalar> sum = padded_copy<Scalar>(rows);
            for (std::size_t i = 0; i < n_networks; ++i) {
                add_product<Scalar>(block(first + i, begin, buffer), right[i], map_of(sum));
                if (shifts[i].size() != 0) sum.leftCols(rows.cols()).rowwise() -= shifts[i];
            }
            rows = sum.leftCols(rows.cols());
            norms[static_cast<std::size_t>(b)] = static_cast<double>(rows.squaredNorm());
        }
    });
    norm_ = 0.0;
    for (const double norm : norms) norm_ += norm;
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
    RowDense<Scalar> sum =
        RowDense<Scalar>::Zero(networks_[network].n_units, padded<Scalar>(response_.cols()));
    RowDense<Scalar> buffer;
    for (Index first = 0; first < response_.rows(); first += n_rows_) {
        stop.check();
        const Block examples = block(network, first, buffer);
        add_transposed_product<Scalar>(
            examples, padded_copy<Scalar>(response_.middleRows(first, examples.rows())),
            map_of(sum));
    }
    out = sum.leftCols(response_.cols());
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
    if (product.rows() != product.cols() || weights.squaredNorm() == Scalar(0)) return;
    product.noalias() -= squares(network, n_threads, stop) * weights;
}

template <class Scalar>
double ResponseOnExamples<Scalar>::norm(int /*n_threads*/, const StopToken& /*stop*/) const {
    return norm_;
}

template <class Scalar>
void ResponseOnExamples<Scalar>::product(std::size_t network, const Dense<Scalar>& weights,
                                         Dense<Scalar>& out, const StopToken& stop) {
    against(network, out, stop);
    leave_out(network, weights, out, 1, stop);
}

template <class Scalar>
double ResponseOnExamples<Scalar>::step(const Step<Scalar>& step, const Work& work, int n_threads,
                                        const StopToken& stop) {
    work(n_threads);
    const Dense<Scalar> change = step.after - step.before;
    const auto shift = offset(step.network, change);
    const Index n_units = networks_[step.next].n_units, k = response_.cols();
    const Index n_blocks = (response_.rows() + n_rows_ - 1) / n_rows_;
    const Index room = kPartBytes / (static_cast<Index>(sizeof(Scalar)) * n_units * k);
    const Index n_parts = std::min(
        {n_blocks, std::clamp<Index>(room, 8, kMostParts), std::max<Index>(8, n_blocks / 4)});
    partial_.resize(static_cast<std::size_t>(n_parts));
    const RowDense<Scalar> right = padded_copy<Scalar>(change);
    std::vector<double> changes(static_cast<std::size_t>(n_parts));  // their squares
    parallel_for(n_parts, n_threads, stop, [&](Index part) {
        RowDense<Scalar>& product = partial_[static_cast<std::size_t>(part)];
        product.setZero(n_units, right.cols());
        RowDense<Scalar> buffer, next_buffer, added;
        double squares = 0.0;
        for (Index b = part * n_blocks / n_parts; b < (part + 1) * n_blocks / n_parts; ++b) {
            stop.check();
            const Block examples = block(step.network, b * n_rows_, buffer);
            auto rows = response_.middleRows(b * n_rows_, examples.rows());
            added.setZero(examples.rows(), right.cols());
            add_product<Scalar>(examples, right, map_of(added));
            if (shift.size() != 0) added.leftCols(k).rowwise() -= shift;
            squares += static_cast<double>(added.squaredNorm());
            rows += added.leftCols(k);
            added.leftCols(k) = rows;
            add_transposed_product<Scalar>(block(step.next, b * n_rows_, next_buffer), added,
                                           map_of(product));
        }
        changes[static_cast<std::size_t>(part)] = squares;
    });
    for (Index part = 1; part < n_parts; ++part) {
        partial_.front() += partial_[static_cast<std::size_t>(part)];
    }
    step.next_product = partial_.front().leftCols(k);
    leave_out(step.next, step.next_weights, step.next_product, n_threads, stop);
    const double result = gain(step, change, std::accumulate(changes.begin(), changes.end(), 0.0));
    norm_ += result;
    return result;
}

template <class Scalar>
ResponseOnProducts<Scalar>::ResponseOnProducts(const Dense<Scalar>& products,
                                               const std::vector<Index>& widths, Index k)
    : products_(products), offsets_{0} {
    for (const Index width : widths) offsets_.push_back(offsets_.back() + width);
    weights_.setZero(offsets_.back(), k);
    is_added_.resize(widths.size());
}

template <class Scalar>
void ResponseOnProducts<Scalar>::clear() {
    weights_.setZero();
    is_added_.assign(is_added_.size(), false);
}

template <class Scalar>
void ResponseOnProducts<Scalar>::add(std::size_t network, const Dense<Scalar>& weights,
                                     int /*n_threads*/, const StopToken& stop) {
    stop.check();
    weights_.middleRows(offsets_[network], weights.rows()) = weights;
    is_added_[network] = true;
}

template <class Scalar>
void ResponseOnProducts<Scalar>::against(std::size_t network, Dense<Scalar>& out,
                                         const StopToken& stop) const {
    stop.check();
    out.noalias() = products_.middleCols(offsets_[network], width(network)).transpose() * weights_;
}

template <class Scalar>
double ResponseOnProducts<Scalar>::norm(int n_threads, const StopToken& stop) const {
    std::vector<double> norms(offsets_.size() - 1);
    parallel_for_each(norms.size(), n_threads, stop, [&](std::size_t network) {
        Dense<Scalar> product;
        against(network, product, stop);
        norms[network] =
            inner<Scalar>(weights_.middleRows(offsets_[network], width(network)), product);
    });
    double norm = 0.0;
    for (const double value : norms) norm += value;
    return norm;
}

template <class Scalar>
void ResponseOnProducts<Scalar>::product(std::size_t network, const Dense<Scalar>& weights,
                                         Dense<Scalar>& out, const StopToken& stop) {
    against(network, out, stop);
    const Index first = offsets_[network], n_units = width(network);
    if (n_units != weights_.cols()) return;
    out.noalias() -= products_.block(first, first, n_units, n_units) * weights;
}

template <class Scalar>
double ResponseOnProducts<Scalar>::added(const Step<Scalar>& step) const {
    const Dense<Scalar> change = step.after - step.before;
    if (has_constant_part(step)) return gain(step, change, 0.0);
    const Index first = offsets_[step.network], n_units = width(step.network);
    const Dense<Scalar> product = products_.block(first, first, n_units, n_units) * change;
    return gain(step, change, inner<Scalar>(change, product));
}

template <class Scalar>
double ResponseOnProducts<Scalar>::step(const Step<Scalar>& step, const Work& work, int n_threads,
                                        const StopToken& stop) {
    const Index first = offsets_[step.next], n_units = width(step.next), k = weights_.cols();
    const bool is_square = n_units == k;
    const Index n_tiles = (n_units + kTileUnits - 1) / kTileUnits;
    step.next_product.setZero(n_units, k);
    // What a tile of units owes to the weights of some networks side by side.
    const auto add_networks = [&](Index tile, std::size_t from, std::size_t to) {
        const Index row = tile * kTileUnits, rows = std::min(kTileUnits, n_units - row);
        const Index begin = offsets_[from], count = offsets_[to] - begin;
        if (count == 0) return;
        step.next_product.middleRows(row, rows).noalias() +=
            products_.block(begin, first + row, count, rows).transpose() *
            weights_.middleRows(begin, count);
    };
    const std::size_t n_networks = offsets_.size() - 1;
    const auto n_added = std::count(is_added_.begin(), is_added_.end(), true);
    const bool is_beside = 2 * static_cast<std::size_t>(n_added) > n_networks;
    if (!is_beside) work(n_threads);
    parallel_for(n_tiles + 1, n_threads, stop, [&](Index task) {
        if (task == 0) {
            if (is_beside) work(1);
            return;
        }
        std::size_t begin = 0;
        for (std::size_t network = 0; network <= n_networks; ++network) {
            const bool is_left_out = network == n_networks || network == step.network ||
                                     !is_added_[network] || (is_square && network == step.next);
            if (!is_left_out) continue;
            add_networks(task - 1, begin, network);
            begin = network + 1;
        }
    });
    weights_.middleRows(offsets_[step.network], step.after.rows()) = step.after;
    is_added_[step.network] = true;
    double result = 0.0;
    parallel_for(n_tiles + 1, n_threads, stop, [&](Index task) {
        if (task == 0) {
            result = added(step);
        } else {
            add_networks(task - 1, step.network, step.network + 1);
        }
    });
    return result;
}

template class ResponseOnExamples<float>;
template class ResponseOnExamples<double>;
template class ResponseOnProducts<float>;
template class ResponseOnProducts<double>;
template Dense<float> all_products<float>(const std::vector<NetworkView>&, double, int,
                                          const StopToken&);
template Dense<double> all_products<double>(const std::vector<NetworkView>&, double, int,
                                            const StopToken&);

}  // namespace convergent
