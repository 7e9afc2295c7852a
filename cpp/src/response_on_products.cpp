#include "response_on_products.hpp"

#include <algorithm>

#include "convergent/cross_products.hpp"
#include "huge_pages.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr Index kTileUnits = 128;
constexpr Index kMirror = 64;
/// Time of a polar factor's square part over that of a product of matrices as wide, and threads
/// that it has work for.
constexpr double kPolarProducts = 14.0;
constexpr int kPolarThreads = 4;

/// Whether a thread that takes a polar factor ends no later than the others, which take a product
/// of `n_networks` networks.
bool is_longer_than_polar(double n_networks, Index n_units, Index k, int n_threads) {
    const double share = static_cast<double>(k) / static_cast<double>(n_units);
    return n_threads > kPolarThreads ||
           n_networks >= kPolarProducts * share * share * (n_threads - 1);
}

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
                                         Dense<Scalar>& out, int /*n_threads*/,
                                         const StopToken& stop) {
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
    const bool is_beside =
        2 * static_cast<std::size_t>(n_added) > n_networks &&
        is_longer_than_polar(static_cast<double>(n_added), n_units, k, n_threads);
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

template class ResponseOnProducts<float>;
template class ResponseOnProducts<double>;
template Dense<float> all_products<float>(const std::vector<NetworkView>&, double, int,
                                          const StopToken&);
template Dense<double> all_products<double>(const std::vector<NetworkView>&, double, int,
                                            const StopToken&);

}  // namespace convergent
