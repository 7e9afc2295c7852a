#include "convergent/shared_response.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "polar.hpp"
#include "response_alternation.hpp"
#include "response_stage.hpp"
#include "response_sweeps.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kLastIterations = 6;     // of those in double after those in single precision
constexpr double kWorthSingle = 1e8;      // operations of a sweep from which single precision pays
constexpr double kSingleRounding = 3e-7;  // as kResponseRounding, of sums in single precision
constexpr double kLeastInSingle =
    2e-7;                        // relative change at which single precision has done its work
constexpr int kTrialSweeps = 3;  // from each of several starts

template <class Scalar>
WeightsOf<Scalar> converted(const Weights& weights) {
    WeightsOf<Scalar> result;
    for (const MatrixXd& w : weights) result.push_back(w.template cast<Scalar>());
    return result;
}

/// Weights in double, orthonormal to its rounding (Newton-Schulz steps from single precision).
Weights widened(const WeightsOf<float>& weights) {
    Weights result;
    for (const Eigen::MatrixXf& narrow : weights) {
        MatrixXd w = narrow.cast<double>();
        for (int step = 0; step < 2; ++step) {
            const MatrixXd gram = w.transpose() * w;
            w = 1.5 * w - 0.5 * w * gram;
        }
        result.push_back(std::move(w));
    }
    return result;
}

template <class Scalar>
void begin(Sweeps<Scalar>& sweeps, const ResponseStarts& start) {
    const WeightsOf<Scalar> weights = converted<Scalar>(start.weights);
    switch (start.kind) {
        case ResponseStart::kGiven:
            return sweeps.start_at(weights);
        case ResponseStart::kSequential:
            return sweeps.start_in_sequence(weights);
        case ResponseStart::kSpectral:
            return sweeps.start_spectrally(weights);
    }
}

/// Begins at the start that is lowest after a few sweeps, and returns which one that is.
template <class Scalar>
std::size_t begin_at_best(Sweeps<Scalar>& sweeps, const std::vector<ResponseStarts>& starts) {
    if (starts.size() == 1) {
        begin(sweeps, starts.front());
        return 0;
    }
    std::size_t best = 0;
    double highest = -1.0;
    WeightsOf<Scalar> weights;
    for (std::size_t i = 0; i < starts.size(); ++i) {
        begin(sweeps, starts[i]);
        for (int sweep = 0; sweep < kTrialSweeps; ++sweep) sweeps.sweep();
        if (sweeps.norm() <= highest) continue;
        best = i;
        highest = sweeps.norm();
        weights = sweeps.weights();
    }
    sweeps.start_at(weights);
    return best;
}

/// Sweeps until the objective is quiet twice running, or as often as is allowed; in single
/// precision only until it has no more to give. n_quiet counts on from one stage to the next.
template <class Scalar>
void run(const ResponseProblem& problem, const SharedResponseOptions& options,
         Sweeps<Scalar>& sweeps, double scale, bool on_examples, int& n_quiet,
         std::vector<double>& history) {
    constexpr bool is_single = sizeof(Scalar) < sizeof(double);
    double objective = history.back();
    while (static_cast<int>(history.size()) <= options.max_iter && n_quiet < 2) {
        sweeps.sweep();
        double reached = problem.objective(sweeps.norm() * scale);
        if (!is_single) reached = std::max(reached, 0.0);
        const double change = std::abs(objective - reached);
        history.push_back(is_single ? std::min(objective, reached) : reached);
        const double noise = is_single ? 0.0 : kResponseRounding * problem.total;
        const bool is_quiet =
            options.tol > 0.0 && change <= std::max(options.tol * objective, noise);
        n_quiet = is_quiet ? n_quiet + 1 : 0;
        // On products a change is summed up itself, on examples it is a difference of large sums.
        const double blur = problem.total * (on_examples ? kSingleRounding : kSingleRounding / 30);
        const double least = std::max(kLeastInSingle * objective, blur);
        if (is_single && (is_quiet || change <= least || reached > objective)) return;
        objective = history.back();
    }
}

/// Moves the values of single precision so that the last one becomes what double makes of it: they
/// have one common error, that of the weights and sums, and their differences are better than it.
void settle(std::vector<double>& history, double exact) {
    const double error = exact - history.back();
    for (double& value : history) value = std::max(value + error, 0.0);
}

bool worth_single(const ResponseProblem& problem, const SharedResponseOptions& options) {
    if (options.single) return *options.single;
    const double examples = std::min(problem.n_examples, problem.n_units());
    return examples * problem.n_units() * static_cast<double>(problem.k) > kWorthSingle;
}

/// The sweeps of a fit, in single precision first where that pays; `response` may be null.
/// Returns whether `response` holds the sum R of the final weights.
bool fit_by_sweeps(const ResponseProblem& problem, const SharedResponseOptions& options,
                   const std::vector<ResponseStarts>& starts, double* response,
                   SharedResponseFit& fit) {
    const int n_threads = problem.n_threads;
    Weights close;
    std::vector<double>& history = fit.objective_history;
    int n_quiet = 0;
    const bool single = worth_single(problem, options);
    if (single) {
        ResponseStage<float> stage(problem, problem.factor, kExpectedIterations, nullptr);
        Sweeps<float> sweeps(stage.sum(), problem.widths, problem.k, n_threads, problem.stop);
        fit.start = begin_at_best(sweeps, starts);
        fit.on_examples = stage.on_examples();
        const double scale = 1.0 / (problem.factor * problem.factor);
        history.push_back(problem.objective(sweeps.norm() * scale));
        run(problem, options, sweeps, scale, stage.on_examples(), n_quiet, history);
        close = widened(sweeps.weights());
        n_quiet = std::min(n_quiet, 1);  // the last word is double's
    }
    const bool is_close = single && options.tol >= kLeastInSingle;
    const double expected =
        std::min<double>(options.max_iter, is_close ? kLastIterations : kExpectedIterations);
    ResponseStage<double> stage(problem, 1.0, expected, response);
    Sweeps<double> sweeps(stage.sum(), problem.widths, problem.k, n_threads, problem.stop);
    if (single) {
        sweeps.start_at(close);
        settle(history, problem.objective(sweeps.norm()));
    } else {
        fit.start = begin_at_best(sweeps, starts);
        fit.on_examples = stage.on_examples();
        history.push_back(std::max(problem.objective(sweeps.norm()), 0.0));
    }
    run(problem, options, sweeps, 1.0, stage.on_examples(), n_quiet, history);
    fit.converged = n_quiet == 2;
    fit.weights = sweeps.weights();
    return stage.on_examples() && response != nullptr;
}

/// The plain alternation of a fit; as above.
bool fit_by_alternation(const ResponseProblem& problem, const SharedResponseOptions& options,
                        const ResponseStarts& start, double* response, SharedResponseFit& fit) {
    const double iterations = std::min<double>(options.max_iter, kExpectedIterations);
    ResponseStage<double> stage(problem, 1.0, iterations, response);
    fit.weights = start.weights;
    fit.on_examples = stage.on_examples();
    if (start.kind != ResponseStart::kGiven) {
        Sweeps<double> sweeps(stage.sum(), problem.widths, problem.k, options.n_threads,
                              problem.stop);
        begin(sweeps, start);
        fit.weights = sweeps.weights();
    }
    alternate(stage.sum(), options, problem.total, problem.stop, fit);
    return stage.on_examples() && response != nullptr;
}

/// Returns whether `response` holds the sum R of the final weights.
bool fit_weights(ResponseProblem& problem, const SharedResponseOptions& options,
                 const std::vector<ResponseStarts>& starts, double* response,
                 SharedResponseFit& fit) {
    if (!std::isfinite(problem.total)) {
        fit.weights = starts.front().weights;
        fit.objective_history.push_back(problem.total);
        return false;
    }
    const double mean_square = problem.total / (problem.n_examples * problem.n_units());
    if (mean_square > 0.0) problem.factor = 1.0 / std::sqrt(mean_square);
    return options.accelerate ? fit_by_sweeps(problem, options, starts, response, fit)
                              : fit_by_alternation(problem, options, starts.front(), response, fit);
}

}  // namespace

SharedResponseFit fit_shared_response(const std::vector<NetworkView>& networks,
                                      const std::vector<ResponseStarts>& starts, double* response,
                                      const SharedResponseOptions& options, const StopToken& stop) {
    const Index k = starts.front().weights.front().cols();
    ResponseProblem problem(networks, k, options.n_threads, stop);
    for (const double norm : squared_norms(networks, options.n_threads, stop)) {
        problem.total += norm;
    }

    SharedResponseFit fit;
    Eigen::Map<RowMatrix> shared(response, networks.front().n_examples, k);
    if (!fit_weights(problem, options, starts, response, fit)) {
        ResponseOnExamples<double> sum(networks, response, k, 1.0, options.n_threads, stop);
        sum.set(fit.weights, options.n_threads, stop);
    }
    shared /= static_cast<double>(networks.size());
    return fit;
}

SharedResponseFit fit_shared_response(const MatrixXd& products, const std::vector<Index>& widths,
                                      const std::vector<ResponseStarts>& starts,
                                      const SharedResponseOptions& options, const StopToken& stop) {
    const Index k = starts.front().weights.front().cols();
    ResponseProblem problem(products, widths, k, options.n_threads, stop);
    problem.total = products.trace();
    SharedResponseFit fit;
    fit_weights(problem, options, starts, nullptr, fit);
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
