#include "convergent/shared_response.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "parallel.hpp"
#include "polar.hpp"
#include "response_alternation.hpp"
#include "response_stage.hpp"
#include "response_sweeps.hpp"
#include "single_copies.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kLastIterations = 6;     // of those in double after those in single precision
constexpr double kWorthSingle = 1e8;      // operations of a sweep from which single precision pays
constexpr double kSingleRounding = 5e-8;  // as kResponseRounding, of sums in single precision
constexpr int kMostBlind = 30;            // sweeps in single precision that change less than that
constexpr double kSure = 4.0;             // margin of a change judged by the step
constexpr Index kDrawnGroup = 4;          // of the examples, of which one is drawn for a start
constexpr int kDrawnSweeps = 2;
constexpr int kWideningSteps = 2;
constexpr double kOnceIsEnough = 1e-4;  // distance from orthonormal weights
constexpr int kTrialSweeps = 3;         // from each of several starts

template <class Scalar>
WeightsOf<Scalar> converted(const Weights& weights) {
    WeightsOf<Scalar> result;
    for (const MatrixXd& w : weights) result.push_back(w.template cast<Scalar>());
    return result;
}

/// Weights in double, orthonormal to its rounding: W (I - E / 2 + 3 E^2 / 8) with W^T W = I + E,
/// which leaves about E^3. E is of the size of single precision, so that this is enough for E^2.
Weights widened(const WeightsOf<float>& weights, int n_threads, const StopToken& stop) {
    Weights result(weights.size());
    parallel_for_each(weights.size(), n_threads, stop, [&](std::size_t i) {
        MatrixXd& w = result[i];
        w = weights[i].cast<double>();
        const Index k = w.cols();
        for (int step = 0; step < kWideningSteps; ++step) {
            MatrixXd rest = -MatrixXd::Identity(k, k);
            rest.selfadjointView<Eigen::Lower>().rankUpdate(w.transpose());
            rest.triangularView<Eigen::StrictlyUpper>() = rest.transpose();
            const double size = rest.norm();
            const Eigen::MatrixXf narrow = rest.cast<float>();
            rest = 0.375 * (narrow * narrow).cast<double>() - 0.5 * rest;
            w += w * rest;
            if (size < kOnceIsEnough) break;
        }
    });
    return result;
}

/// The columns of w, made orthonormal; where they span everything, those of the identity.
MatrixXd orthonormal(const MatrixXd& w, const StopToken& stop) {
    if (w.rows() == w.cols()) return MatrixXd::Identity(w.rows(), w.cols());
    return polar_factor(w, MatrixXd::Identity(w.rows(), w.cols()), stop);
}

template <class Scalar>
void begin(Sweeps<Scalar>& sweeps, const ResponseStarts& start, const StopToken& stop) {
    WeightsOf<Scalar> weights = converted<Scalar>(start.weights);
    switch (start.kind) {
        case ResponseStart::kGiven:
            return sweeps.start_at(weights);
        case ResponseStart::kSequential:
            weights.front() = orthonormal(start.weights.front(), stop).template cast<Scalar>();
            return sweeps.start_in_sequence(weights);
        case ResponseStart::kSpectral:
            return sweeps.start_spectrally(weights);
    }
}

/// Begins at the start that is lowest after a few sweeps, and returns which one that is.
template <class Scalar>
std::size_t begin_at_best(Sweeps<Scalar>& sweeps, const std::vector<ResponseStarts>& starts,
                          const StopToken& stop) {
    if (starts.size() == 1) {
        begin(sweeps, starts.front(), stop);
        return 0;
    }
    std::size_t best = 0;
    double highest = -1.0;
    WeightsOf<Scalar> weights;
    for (std::size_t i = 0; i < starts.size(); ++i) {
        begin(sweeps, starts[i], stop);
        for (int sweep = 0; sweep < kTrialSweeps; ++sweep) sweeps.sweep();
        if (sweeps.norm() <= highest) continue;
        best = i;
        highest = sweeps.norm();
        weights = sweeps.weights();
    }
    sweeps.start_at(weights);
    return best;
}

/// What decides when sweeps end, from one stage to the next.
struct Progress {
    const ResponseProblem& problem;
    const SharedResponseOptions& options;
    std::vector<double>& history;
    int n_quiet = 0;  ///< sweeps running that changed the objective by at most tol

    bool is_over() const {
        return static_cast<int>(history.size()) > options.max_iter || n_quiet == 2;
    }
    void count(double change, double noise) {
        const bool is_quiet =
            options.tol > 0.0 && change <= std::max(options.tol * history.back(), noise);
        n_quiet = is_quiet ? n_quiet + 1 : 0;
    }
};

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

/// The same in single precision, only until it has no more to give. The weights settle further than
/// the objective can be told there: its last changes are judged by the squared step, to which they
/// are in proportion, and double has the last word on them.
void run_in_single(Sweeps<float>& sweeps, double scale, Progress& progress) {
    const double blur = kSingleRounding * progress.problem.total;
    double change_a_step = 0.0, least_step = sweeps.least_step();
    for (int n_blind = 0; !progress.is_over() && n_blind < kMostBlind;) {
        const double objective = progress.history.back();
        sweeps.sweep();
        const double reached = progress.problem.objective(sweeps.norm() * scale);
        progress.history.push_back(std::min(objective, reached));
        const double change = std::abs(objective - reached), step = sweeps.squared_step();
        if (change > blur) {
            change_a_step = change / step;
            progress.count(change, 0.0);
            continue;
        }
        ++n_blind;
        progress.count(kSure * change_a_step * step, 0.0);
        progress.n_quiet = std::min(progress.n_quiet, 1);
        if (progress.n_quiet == 1 || !(step > least_step)) return;
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

/// Whether a few sweeps of some of the examples find nearly the weights of all, for a fraction of
/// the work, and these are not given.
bool worth_drawing(const ResponseProblem& problem, const std::vector<ResponseStarts>& starts) {
    const Index widest = *std::max_element(problem.widths.begin(), problem.widths.end());
    const bool are_given = std::any_of(starts.begin(), starts.end(), [](const auto& start) {
        return start.kind == ResponseStart::kGiven;
    });
    return !are_given && problem.n_examples >= static_cast<double>(kDrawnGroup * 2 * widest);
}

/// The best start after these sweeps; sets its number.
WeightsOf<float> weights_of_drawn(const ResponseProblem& problem,
                                  const std::vector<NetworkView>& networks,
                                  const std::vector<ResponseStarts>& starts, std::size_t& best) {
    const SingleCopies drawn =
        draw_in_single(networks, kDrawnGroup, problem.n_threads, problem.stop);
    ResponseStage<float> stage(problem, drawn.networks, 1.0);
    Sweeps<float> sweeps(stage.sum(), problem.widths, problem.k, problem.n_threads, problem.stop);
    best = begin_at_best(sweeps, starts, problem.stop);
    for (int sweep = 0; sweep < kDrawnSweeps; ++sweep) sweeps.sweep();
    return sweeps.weights();
}

/// The sweeps in single precision; sets the weights of the fit, and returns the push.
Push fit_in_single(const ResponseProblem& problem, const SingleCopies& copies,
                   const std::vector<ResponseStarts>& starts, Progress& progress,
                   SharedResponseFit& fit) {
    double factor = copies.factor;
    if (copies.networks.empty()) {
        const double mean_square = problem.total / (problem.n_examples * problem.n_units());
        factor = mean_square > 0.0 ? 1.0 / std::sqrt(mean_square) : 1.0;
    }
    ResponseStage<float> stage(problem, copies.networks, factor);
    Sweeps<float> sweeps(stage.sum(), problem.widths, problem.k, problem.n_threads, problem.stop);
    fit.on_examples = stage.on_examples();
    if (fit.on_examples && worth_drawing(problem, starts)) {
        std::vector<NetworkView> views;
        for (const auto& copy : copies.networks) views.push_back(view_of(copy));
        sweeps.start_at(weights_of_drawn(problem, views, starts, fit.start));
    } else {
        fit.start = begin_at_best(sweeps, starts, problem.stop);
    }
    const double scale = 1.0 / (factor * factor);
    progress.history.push_back(problem.objective(sweeps.norm() * scale));
    run_in_single(sweeps, scale, progress);
    fit.weights = widened(sweeps.weights(), problem.n_threads, problem.stop);
    return sweeps.push(factor);
}

/// The sweeps of a fit, in single precision first where that pays; `response` may be null.
/// Returns whether `response` holds the sum R of the final weights.
bool fit_by_sweeps(const ResponseProblem& problem, SingleCopies copies, bool single,
                   const SharedResponseOptions& options, const std::vector<ResponseStarts>& starts,
                   double* response, SharedResponseFit& fit) {
    std::vector<double>& history = fit.objective_history;
    Progress progress{problem, options, history};
    Push push;
    double expected = std::min<double>(options.max_iter, kExpectedIterations);
    if (single) {
        push = fit_in_single(problem, copies, starts, progress, fit);
        copies = {};
        expected = progress.is_over() ? 0.0 : std::min(expected, kLastIterations);
    }
    ResponseStage<double> stage(problem, expected, response);
    Sweeps<double> sweeps(stage.sum(), problem.widths, problem.k, problem.n_threads, problem.stop);
    if (single) {
        sweeps.continue_from(fit.weights, push);
        settle(history, problem.objective(sweeps.norm()));
    } else {
        fit.start = begin_at_best(sweeps, starts, problem.stop);
        fit.on_examples = stage.on_examples();
        history.push_back(std::max(problem.objective(sweeps.norm()), 0.0));
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
        begin(sweeps, start, problem.stop);
        fit.weights = sweeps.weights();
    }
    alternate(stage.sum(), options, problem.total, problem.stop, fit);
    return stage.on_examples() && response != nullptr;
}

/// Sets the weights and what else does not need the response. Returns whether `response` holds the
/// sum R of these weights.
bool fit_weights(ResponseProblem& problem, const SharedResponseOptions& options,
                 const std::vector<ResponseStarts>& starts, double* response,
                 SharedResponseFit& fit) {
    const bool single = options.accelerate && worth_single(problem, options);
    SingleCopies copies;
    if (problem.networks == nullptr) {
        problem.total = problem.products->trace();
    } else if (single && prefer_examples<float>(problem, kExpectedIterations)) {
        copies = copy_in_single(*problem.networks, problem.n_threads, problem.stop);
        problem.total = copies.squares;
    } else {
        problem.total = squared_norm(*problem.networks, problem.n_threads, problem.stop);
    }
    if (!std::isfinite(problem.total)) {
        fit.weights = starts.front().weights;
        fit.objective_history.push_back(problem.total);
        return false;
    }
    if (!options.accelerate) {
        return fit_by_alternation(problem, options, starts.front(), response, fit);
    }
    return fit_by_sweeps(problem, std::move(copies), single, options, starts, response, fit);
}

}  // namespace

SharedResponseFit fit_shared_response(const std::vector<NetworkView>& networks,
                                      const std::vector<ResponseStarts>& starts, double* response,
                                      const SharedResponseOptions& options, const StopToken& stop) {
    const Index k = starts.front().weights.front().cols();
    ResponseProblem problem(networks, k, options.n_threads, stop);
    SharedResponseFit fit;
    Eigen::Map<RowMatrix> shared(response, networks.front().n_examples, k);
    if (!fit_weights(problem, options, starts, response, fit)) {
        ResponseOnExamples<double> sum(networks, response, k);
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
