#include "convergent/shared_response.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "parallel.hpp"
#include "polar.hpp"
#include "response_alternation.hpp"
#include "response_progress.hpp"
#include "response_stage.hpp"
#include "response_starts.hpp"
#include "response_sweeps.hpp"
#include "single_copies.hpp"
#include "single_fit.hpp"
#include "thread_team.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kLastIterations = 6;   // of those in double after those in single precision
constexpr double kStartIterations = 2;  // that a start is worth
constexpr double kWorthSingle = 1e7;    // operations of a sweep from which single precision pays

/// Sweeps until the objective is quiet twice running, or as often as is allowed.
void run_in_double(Sweeps<double>& sweeps, Progress& progress) {
    while (!progress.is_over()) {
        const double objective = progress.history.back();
        sweeps.sweep();
        const double reached = std::max(progress.problem.objective(sweeps.norm()), 0.0);
        progress.history.push_back(reached);
        progress.count(std::abs(objective - reached), kResponseRounding * progress.problem.total);
    }
}

/// Moves the values of single precision so that the last one becomes what double makes of it: they
/// have one common error, that of the weights and sums, and their differences are better than it.
/// Where the last one is missing, it is what double makes of it.
void settle(std::vector<double>& history, double exact, bool has_last) {
    if (!has_last) history.push_back(exact);
    const double error = exact - history.back();
    for (double& value : history) value = std::max(value + error, 0.0);
}

bool worth_single(const ResponseProblem& problem, const SharedResponseOptions& options) {
    if (options.single) return *options.single;
    const double examples = std::min(problem.n_examples, problem.n_units());
    return examples * problem.n_units() * static_cast<double>(problem.k) > kWorthSingle;
}

/// Sweeps in double to the end, after single precision where that came first; `response` may be
/// null. Returns whether `response` holds the sum R of the final weights.
bool end_in_double(const ResponseProblem& problem, const std::vector<ResponseStarts>& starts,
                   const std::optional<SingleEnd>& single, double* response, Progress& progress,
                   SharedResponseFit& fit) {
    const int n_iterations = progress.options.max_iter;
    double expected = std::min<double>(n_iterations, kExpectedIterations);
    if (single) {
        const bool is_over = progress.is_over() || !single->is_counted;
        expected = is_over ? 0.0 : std::min(expected, kLastIterations);
    }
    ResponseStage<double> stage(problem, expected, response);
    Sweeps<double> sweeps(stage.sum(), problem.widths, problem.k, problem.n_threads, problem.stop);
    if (single) {
        sweeps.continue_from(fit.weights, single->push);
        settle(progress.history, problem.objective(sweeps.norm()), single->is_counted);
    } else {
        fit.start = begin_at_best(sweeps, starts, false, problem.stop);
        fit.on_examples = stage.on_examples();
        progress.history.push_back(std::max(problem.objective(sweeps.norm()), 0.0));
    }
    run_in_double(sweeps, progress);
    fit.converged = progress.n_quiet == 2;
    fit.weights = sweeps.weights();
    return stage.on_examples() && response != nullptr;
}

/// The plain alternation of a fit; as above.
bool fit_by_alternation(const ResponseProblem& problem, const SharedResponseOptions& options,
                        const ResponseStarts& start, double* response, SharedResponseFit& fit) {
    const double iterations = std::min<double>(options.max_iter, kExpectedIterations);
    ResponseStage<double> stage(problem, iterations, response);
    fit.weights = start.weights;
    fit.on_examples = stage.on_examples();
    if (start.kind != ResponseStart::kGiven) {
        Sweeps<double> sweeps(stage.sum(), problem.widths, problem.k, options.n_threads,
                              problem.stop);
        begin(sweeps, start, false, problem.stop);
        fit.weights = sweeps.weights();
    }
    alternate(stage.sum(), options, problem.total, problem.stop, fit);
    return stage.on_examples() && response != nullptr;
}

/// What there is when activations cannot be squared.
bool give_up(const ResponseProblem& problem, const std::vector<ResponseStarts>& starts,
             SharedResponseFit& fit) {
    fit.weights = starts.front().weights;
    fit.objective_history.push_back(problem.total);
    return false;
}

/// Sets the weights and what else does not need the response. Returns whether `response`, which may
/// be null, holds the sum R of these weights. With `center`, `networks`, which are those of the
/// problem, get their means.
bool fit_weights(ResponseProblem& problem, std::vector<NetworkView>& networks, bool center,
                 const SharedResponseOptions& options, const std::vector<ResponseStarts>& starts,
                 double* response, SharedResponseFit& fit) {
    const bool single = options.accelerate && worth_single(problem, options);
    const double expected = std::min(options.max_iter + kStartIterations, kExpectedIterations);
    const bool copied = single && prefer_examples<float>(problem, expected);
    Progress progress{problem, options, fit.objective_history};
    std::optional<SingleEnd> end;
    SingleCopies copies;
    if (copied && worth_drawing(problem, starts)) {
        end = fit_from_drawn(problem, center, starts, progress, fit);
    } else if (problem.networks == nullptr) {
        problem.total = problem.products->trace();
    } else {
        copies = copied ? copy_in_single(networks, center, problem.n_threads, problem.stop)
                        : measure(networks, center, problem.n_threads, problem.stop);
        problem.total = copies.squares;
        fit.means = copies.means();
    }
    if (!std::isfinite(problem.total)) return give_up(problem, starts, fit);
    networks = with_means(networks, fit.means);
    if (!options.accelerate) {
        return fit_by_alternation(problem, options, starts.front(), response, fit);
    }
    if (single && !end) end = fit_in_single(problem, copies, starts, progress, fit);
    copies = {};
    return end_in_double(problem, starts, end, response, progress, fit);
}

}  // namespace

SharedResponseFit fit_shared_response(std::vector<NetworkView> networks, bool center,
                                      const std::vector<ResponseStarts>& starts, double* response,
                                      const SharedResponseOptions& options, const StopToken& stop) {
    const Index k = starts.front().weights.front().cols();
    const ThreadTeam team(options.n_threads);
    ResponseProblem problem(networks, k, options.n_threads, stop);
    SharedResponseFit fit;
    Eigen::Map<RowMatrix> shared(response, networks.front().n_examples, k);
    if (!fit_weights(problem, networks, center, options, starts, response, fit)) {
        ResponseOnExamples<double> sum(networks, problem.total, response, k);
        sum.set(fit.weights, options.n_threads, stop);
    }
    shared /= static_cast<double>(networks.size());
    return fit;
}

SharedResponseFit fit_shared_response(const MatrixXd& products, const std::vector<Index>& widths,
                                      const std::vector<ResponseStarts>& starts,
                                      const SharedResponseOptions& options, const StopToken& stop) {
    const Index k = starts.front().weights.front().cols();
    const ThreadTeam team(options.n_threads);
    ResponseProblem problem(products, widths, k, options.n_threads, stop);
    SharedResponseFit fit;
    std::vector<NetworkView> no_networks;
    fit_weights(problem, no_networks, false, options, starts, nullptr, fit);
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
