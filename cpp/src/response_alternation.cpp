#include "response_alternation.hpp"

#include <algorithm>
#include <cmath>

#include "parallel.hpp"
#include "polar.hpp"

namespace convergent {
namespace {

/// products[i] = X_i^T S with S = mean_i X_i W_i; returns the objective of (S, W), which is
/// sum_i |X_i|^2 - N |S|^2 for this S.
double apply(ResponseSum<double>& sum, const Weights& weights, double total, int n_threads,
             const StopToken& stop, Weights& products) {
    sum.set(weights, n_threads, stop);
    std::vector<double> overlap(weights.size());
    parallel_for_each(weights.size(), n_threads, stop, [&](std::size_t i) {
        sum.against(i, products[i], stop);
        products[i] /= static_cast<double>(weights.size());
        overlap[i] = products[i].cwiseProduct(weights[i]).sum();
    });
    double explained = 0.0;  // N |S|^2 = sum_i tr(W_i^T X_i^T S)
    for (const double value : overlap) explained += value;
    return std::max(total - explained, 0.0);
}

}  // namespace

void alternate(ResponseSum<double>& sum, const SharedResponseOptions& options, double total,
               const StopToken& stop, SharedResponseFit& fit) {
    Weights products(fit.weights.size());
    double objective = apply(sum, fit.weights, total, options.n_threads, stop, products);
    fit.objective_history.push_back(objective);
    int n_quiet = 0;
    for (int iteration = 0; iteration < options.max_iter && n_quiet < 2; ++iteration) {
        parallel_for_each(products.size(), options.n_threads, stop, [&](std::size_t i) {
            products[i].diagonal().array() += options.diagonal;
            fit.weights[i] = polar_factor(products[i], fit.weights[i], stop);
        });
        const double reached = apply(sum, fit.weights, total, options.n_threads, stop, products);
        fit.objective_history.push_back(reached);
        const double least = std::max(options.tol * objective, kResponseRounding * total);
        n_quiet = options.tol > 0.0 && std::abs(objective - reached) <= least ? n_quiet + 1 : 0;
        objective = reached;
    }
    fit.converged = n_quiet == 2;
}

}  // namespace convergent
