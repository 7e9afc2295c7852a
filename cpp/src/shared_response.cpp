#include "convergent/shared_response.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "parallel.hpp"
#include "polar.hpp"
#include "response_sum.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr int kLeadingRounds = 3;  // subspace iterations for the first network of a sequence
constexpr double kExpectedIterations = 30;  // for choosing what to work on
constexpr double kReading = 1.6;  // time of an operation on the examples over one on products
constexpr double kSmallProducts = 64.0 * (1 << 20);  // bytes
constexpr double kRounding =
    1e-14;  // changes below this share of the total sum of squares are noise
constexpr double kFirstReach = 1.0, kShortestReach = 0.2, kLongestReach = 3.0, kReachGrowth = 1.2;

/// Whether reading the examples in every iteration is less work than their cross-products, or these
/// too large.
bool prefer_examples(const std::vector<NetworkView>& networks, Index k, int max_iter) {
    double units = 0.0;
    for (const NetworkView& network : networks) units += static_cast<double>(network.n_units);
    const auto examples = static_cast<double>(networks.front().n_examples);
    const auto width = static_cast<double>(k);
    if (8.0 * units * units > std::max(8.0 * examples * units, kSmallProducts)) return true;
    const double iterations = std::min<double>(max_iter, kExpectedIterations);
    const double on_examples = kReading * iterations * 4.0 * examples * units * width;
    const double on_products = examples * units * units + iterations * 2.0 * units * units * width;
    return on_examples < on_products;
}

class Alternation {
 public:
    Alternation(ResponseSum& sum, const SharedResponseOptions& options, double total,
                const StopToken& stop)
        : sum_(sum), options_(options), total_(total), stop_(stop) {}

    /// products[i] = X_i^T S with S = mean_i X_i W_i; returns the objective of (S, W), which is
    /// sum_i |X_i|^2 - N |S|^2 for this S.
    double apply(const Weights& weights, Weights& products) const {
        sum_.clear();
        for (std::size_t i = 0; i < weights.size(); ++i) {
            sum_.add(i, weights[i], options_.n_threads, stop_);
        }
        const auto n_networks = static_cast<double>(weights.size());
        products.resize(weights.size());
        std::vector<double> overlap(weights.size());
        for_networks(weights.size(), [&](std::size_t i) {
            sum_.against(i, products[i], stop_);
            products[i] /= n_networks;
            overlap[i] = products[i].cwiseProduct(weights[i]).sum();
        });
        double explained = 0.0;  // N |S|^2 = sum_i tr(W_i^T X_i^T S)
        for (const double value : overlap) explained += value;
        return std::max(total_ - explained, 0.0);
    }

    /// W_i = polar(A_i + reach (A_i - B_i)), A and B the products of this point and of the one
    /// before.
    Weights align(const Weights& products, const Weights* before, double reach,
                  const Weights& anchors) const {
        Weights weights(products.size());
        for_networks(products.size(), [&](std::size_t i) {
            MatrixXd a = products[i];
            if (before != nullptr) a += reach * (products[i] - (*before)[i]);
            if (options_.diagonal != 0.0) a.diagonal().array() += options_.diagonal;
            weights[i] = polar_factor(a, anchors[i], stop_);
        });
        return weights;
    }

    /// Each network aligned to the sum of those before it, the first one to its own leading
    /// directions.
    void align_in_sequence(Weights& weights) const {
        MatrixXd product;
        for (int round = 0; round < kLeadingRounds; ++round) {
            sum_.clear();
            sum_.add(0, weights[0], options_.n_threads, stop_);
            sum_.against(0, product, stop_);
            weights[0] = polar_factor(product, weights[0], stop_);
        }
        sum_.clear();
        for (std::size_t i = 1; i < weights.size(); ++i) {
            sum_.add(i - 1, weights[i - 1], options_.n_threads, stop_);
            sum_.against(i, product, stop_);
            weights[i] = polar_factor(product, weights[i], stop_);
        }
    }

    void run(SharedResponseFit& fit) const {
        Weights products, before, trial;
        double objective = apply(fit.weights, products);
        fit.objective_history.push_back(objective);
        double reach = kFirstReach;
        int n_quiet = 0;
        for (int iteration = 0; iteration < options_.max_iter && n_quiet < 2; ++iteration) {
            Weights next;
            double reached = 0.0;
            bool accepted = false;
            if (options_.extrapolate && iteration > 0) {
                next = align(products, &before, reach, fit.weights);
                reached = apply(next, trial);
                accepted = reached <= objective;
                reach = accepted ? std::min(reach * kReachGrowth, kLongestReach)
                                 : std::max(reach / 2.0, kShortestReach);
            }
            if (!accepted) {
                next = align(products, nullptr, 0.0, fit.weights);
                reached = apply(next, trial);
            }
            before.swap(products);
            products.swap(trial);
            fit.weights.swap(next);
            fit.objective_history.push_back(reached);
            n_quiet = is_quiet(objective, reached) ? n_quiet + 1 : 0;
            objective = reached;
        }
        fit.converged = n_quiet == 2;
    }

 private:
    template <class Body>
    void for_networks(std::size_t n_networks, Body&& body) const {
        parallel_for(static_cast<Index>(n_networks), options_.n_threads, stop_,
                     [&](Index task) { body(static_cast<std::size_t>(task)); });
    }

    bool is_quiet(double before, double after) const {
        if (options_.tol == 0.0) return false;
        return std::abs(before - after) <= std::max(options_.tol * before, kRounding * total_);
    }

    ResponseSum& sum_;
    const SharedResponseOptions& options_;
    double total_;
    const StopToken& stop_;
};

}  // namespace

SharedResponseFit fit_shared_response(const std::vector<NetworkView>& networks, Weights start,
                                      double* response, const SharedResponseOptions& options,
                                      const StopToken& stop) {
    const Index k = start.front().cols();
    double total = 0.0;
    for (const double norm : squared_norms(networks, options.n_threads, stop)) total += norm;

    SharedResponseFit fit;
    fit.weights = std::move(start);
    fit.on_examples = prefer_examples(networks, k, options.max_iter);
    ResponseOnExamples on_examples(networks, response, k);
    std::unique_ptr<ResponseOnProducts> on_products;
    if (!fit.on_examples) {
        on_products = std::make_unique<ResponseOnProducts>(networks, k, options.n_threads, stop);
    }
    ResponseSum& sum = fit.on_examples ? static_cast<ResponseSum&>(on_examples) : *on_products;
    const Alternation alternation(sum, options, total, stop);
    if (options.sequential) alternation.align_in_sequence(fit.weights);
    alternation.run(fit);

    on_examples.clear();
    for (std::size_t i = 0; i < networks.size(); ++i) {
        on_examples.add(i, fit.weights[i], options.n_threads, stop);
    }
    const auto n_networks = static_cast<double>(networks.size());
    Eigen::Map<RowMatrix>(response, networks.front().n_examples, k) /= n_networks;
    return fit;
}

MatrixXd align_to_response(const NetworkView& network, const double* response,
                           const MatrixXd& anchor, double diagonal, const StopToken& stop) {
    const Index k = anchor.cols();
    const Eigen::Map<const RowMatrix> shared(response, network.n_examples, k);
    MatrixXd product = MatrixXd::Zero(network.n_units, k);
    RowMatrix block;
    for (Index first = 0; first < network.n_examples; first += 256) {
        stop.check();
        const Index count = std::min<Index>(256, network.n_examples - first);
        block.resize(count, network.n_units);
        read_rectangle(network, {first, count, 0, network.n_units}, block.data());
        product.noalias() += block.transpose() * shared.middleRows(first, count);
    }
    if (diagonal != 0.0) product.diagonal().array() += diagonal;
    return polar_factor(product, anchor, stop);
}

}  // namespace convergent
