#include "response_sum.hpp"

#include <algorithm>

#include "convergent/cross_products.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr Index kBlockExamples = 256;

/// Calls body(first, block) for the consecutive blocks of examples of some units of a network.
template <class Body>
void for_each_block(const NetworkView& network, Index first_unit, Index n_units,
                    const StopToken& stop, Body&& body) {
    RowMatrix block;
    for (Index first = 0; first < network.n_examples; first += kBlockExamples) {
        stop.check();
        const Index count = std::min<Index>(kBlockExamples, network.n_examples - first);
        block.resize(count, n_units);
        read_rectangle(network, {first, count, first_unit, n_units}, block.data());
        body(first, block);
    }
}

}  // namespace

ResponseOnExamples::ResponseOnExamples(const std::vector<NetworkView>& networks, double* response,
                                       Index k)
    : networks_(networks), response_(response, networks.front().n_examples, k) {}

void ResponseOnExamples::clear() { response_.setZero(); }

void ResponseOnExamples::add(std::size_t network, const MatrixXd& weights, int n_threads,
                             const StopToken& stop) {
    const NetworkView& view = networks_[network];
    const Index n_blocks = (view.n_examples + kBlockExamples - 1) / kBlockExamples;
    parallel_for(n_blocks, n_threads, stop, [&](Index task) {
        const Index first = task * kBlockExamples;
        const Index count = std::min<Index>(kBlockExamples, view.n_examples - first);
        RowMatrix block(count, view.n_units);
        read_rectangle(view, {first, count, 0, view.n_units}, block.data());
        response_.middleRows(first, count).noalias() += block * weights;
    });
}

void ResponseOnExamples::against(std::size_t network, MatrixXd& out, const StopToken& stop) const {
    const NetworkView& view = networks_[network];
    out.setZero(view.n_units, response_.cols());
    for_each_block(view, 0, view.n_units, stop, [&](Index first, const RowMatrix& block) {
        out.noalias() += block.transpose() * response_.middleRows(first, block.rows());
    });
}

ResponseOnProducts::ResponseOnProducts(const std::vector<NetworkView>& networks, Index k,
                                       int n_threads, const StopToken& stop)
    : offsets_{0} {
    for (const NetworkView& network : networks) {
        offsets_.push_back(offsets_.back() + network.n_units);
    }
    products_.setZero(offsets_.back(), offsets_.back());
    weights_.setZero(offsets_.back(), k);
    add_cross_products(networks, n_threads, stop, products_);
    products_.triangularView<Eigen::StrictlyLower>() = products_.transpose();
}

void ResponseOnProducts::clear() { weights_.setZero(); }

void ResponseOnProducts::add(std::size_t network, const MatrixXd& weights, int /*n_threads*/,
                             const StopToken& stop) {
    stop.check();
    weights_.middleRows(offsets_[network], weights.rows()) = weights;
}

void ResponseOnProducts::against(std::size_t network, MatrixXd& out, const StopToken& stop) const {
    stop.check();
    const Index n_units = offsets_[network + 1] - offsets_[network];
    out.noalias() = products_.middleCols(offsets_[network], n_units).transpose() * weights_;
}

std::vector<double> squared_norms(const std::vector<NetworkView>& networks, int n_threads,
                                  const StopToken& stop) {
    std::vector<double> norms(networks.size());
    parallel_for(static_cast<Index>(networks.size()), n_threads, stop, [&](Index task) {
        const auto i = static_cast<std::size_t>(task);
        double sum = 0.0;
        for_each_block(networks[i], 0, networks[i].n_units, stop,
                       [&](Index, const RowMatrix& block) { sum += block.squaredNorm(); });
        norms[i] = sum;
    });
    return norms;
}

}  // namespace convergent
