#include "single_fit.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "parallel.hpp"
#include "polar.hpp"
#include "response_starts.hpp"
#include "single_pass.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kSingleRounding = 5e-8;  // as kResponseRounding, of sums in single precision
constexpr int kMostBlind = 30;   // sweeps in single precision that change less than kSingleRounding
constexpr double kFine = 1e-10;  // a change that only double can tell, over the sum of squares
constexpr double kSure = 4.0;    // margin of a change judged by the step
constexpr Index kDrawnGroup = 4;  // of the examples, of which one is drawn for a start
constexpr int kMostDrawnSweeps = 20;
/// Share of the objective that a sweep on drawn examples should gain, over k and times their
/// number: less than that is lost to what is peculiar to them.
constexpr double kWorthDrawnSweep = 0.12;
constexpr double kFirstGain = 10.0;  // of a first turn of all, over that of the next one
constexpr int kWideningSteps = 2;
constexpr double kOnceIsEnough = 1e-4;  // distance from orthonormal weights
constexpr double kTiny = 7e-6;          // and from which what its square adds does not count

/// Weights in double, orthonormal to its rounding: W (I - E / 2 + 3 E^2 / 8) with W^T W = I + E,
/// which leaves about E^3. E is of the size of single precision, so that this is enough for E^2,
/// where that counts, and, where it is small, for the whole correction.
Weights widened(const WeightsOf<float>& weights, int n_threads, const StopToken& stop) {
    Weights result(weights.size());
    parallel_for_each(weights.size(), n_threads, stop, [&](std::size_t i) {
        MatrixXd& w = result[i];
        w = weights[i].cast<double>();
        const Index k = w.cols();
        for (int step = 0; step < kWideningSteps; ++step) {
            MatrixXd rest = -MatrixXd::Identity(k, k);
            rest.selfadjointView<Eigen::Lower>().rankUpdate(w.transpose());
            const double size = rest.norm();
            const Eigen::MatrixXf narrow = rest.cast<float>();
            const auto symmetric = narrow.selfadjointView<Eigen::Lower>();
            Eigen::MatrixXf change = -0.5f * weights[i] * symmetric;
            if (size > kTiny) change -= 0.75f * change * symmetric;
            w += change.cast<double>();
            if (size < kOnceIsEnough) break;
        }
    });
    return result;
}

/// Sweeps in single precision until the objective is quiet, only until it has no more to give. The
/// weights settle further than the objective can be told there: its last changes are judged by the
/// squared step, to which they are in proportion, and double has the last word on them where the
/// change that counts is finer than it can be told.
void run_in_single(Sweeps<float>& sweeps, double scale, Progress& progress) {
    const double blur = kSingleRounding * progress.problem.total;
    double change_a_step = 0.0, least_step = sweeps.least_step();
    for (int n_blind = 0; !progress.is_over() && n_blind < kMostBlind;) {
        sweeps.sweep();
        const double change = progress.take(progress.problem.objective(sweeps.norm() * scale));
        const double step = sweeps.squared_step();
        if (change > blur) {
            change_a_step = change / step;
            progress.count(change, 0.0);
            continue;
        }
        ++n_blind;
        progress.count(kSure * change_a_step * step, 0.0);
        const bool is_fine =
            progress.options.tol * progress.history.back() < kFine * progress.problem.total;
        if (is_fine) progress.n_quiet = std::min(progress.n_quiet, 1);
        if ((is_fine && progress.n_quiet == 1) || !(step > least_step)) return;
    }
}

/// Aligned on some of the examples from the best start, of which this sets the number, and swept
/// while that is worth it. A sequence begins quickly, and may end there.
WeightsOf<float> weights_of_drawn(const ResponseProblem& problem, const SingleCopies& drawn,
                                  const std::vector<ResponseStarts>& starts, std::size_t& best) {
    ResponseStage<float> stage(problem, drawn.networks, 1.0);
    Sweeps<float> sweeps(stage.sum(), problem.widths, problem.k, problem.n_threads, problem.stop);
    const double factor = drawn.factor * drawn.factor;
    const double worth = kWorthDrawnSweep * static_cast<double>(problem.k) /
                         static_cast<double>(drawn.networks.n_examples());
    double divisor = kFirstGain;
    if (starts.size() == 1 && starts.front().kind == ResponseStart::kSequential) {
        best = 0;
        const double rise = sweeps.start_in_halves(anchors_of<float>(starts.front(), problem.stop));
        const double next_gain =
            rise / factor / static_cast<double>(drawn.networks.size()) / divisor;
        if (next_gain < worth * problem.objective(sweeps.norm() / factor)) return sweeps.weights();
        sweeps.start_at(WeightsOf<float>(sweeps.weights()));
        divisor = 1.0;
    } else {
        best = begin_at_best(sweeps, starts, false, problem.stop);
    }
    double objective = problem.objective(sweeps.norm() / factor);
    for (int sweep = 0; sweep < kMostDrawnSweeps; ++sweep) {
        sweeps.sweep();
        const double before = std::exchange(objective, problem.objective(sweeps.norm() / factor));
        if ((before - objective) / divisor < worth * objective) break;
        divisor = 1.0;
    }
    return sweeps.weights();
}

/// Sweeps in single precision from where `sweeps` stands.
SingleEnd end_in_single(Sweeps<float>& sweeps, double factor, Progress& progress,
                        SharedResponseFit& fit) {
    const ResponseProblem& problem = progress.problem;
    run_in_single(sweeps, 1.0 / (factor * factor), progress);
    fit.weights = widened(sweeps.weights(), problem.n_threads, problem.stop);
    return {progress.is_over() ? Push{} : sweeps.push(factor)};
}

}  // namespace

bool worth_drawing(const ResponseProblem& problem, const std::vector<ResponseStarts>& starts) {
    const Index widest = *std::max_element(problem.widths.begin(), problem.widths.end());
    const bool are_given = std::any_of(starts.begin(), starts.end(), [](const auto& start) {
        return start.kind == ResponseStart::kGiven;
    });
    // Square networks have no directions to choose, and polar factors that take long.
    const bool is_square =
        *std::min_element(problem.widths.begin(), problem.widths.end()) == problem.k;
    return !are_given && !is_square &&
           problem.n_examples >= static_cast<double>(kDrawnGroup * 2 * widest);
}

SingleEnd fit_in_single(const ResponseProblem& problem, const SingleCopies& copies,
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
    fit.start = begin_at_best(sweeps, starts, progress.options.max_iter > 0, problem.stop);
    progress.history.push_back(problem.objective(sweeps.norm() / (factor * factor)));
    return end_in_single(sweeps, factor, progress, fit);
}

SingleEnd fit_from_drawn(ResponseProblem& problem, bool center,
                         const std::vector<ResponseStarts>& starts, Progress& progress,
                         SharedResponseFit& fit) {
    const SingleCopies drawn =
        draw_in_single(*problem.networks, center, kDrawnGroup, problem.n_threads, problem.stop);
    problem.total = drawn.squares;
    if (!std::isfinite(problem.total)) return {};
    const WeightsOf<float> weights = weights_of_drawn(problem, drawn, starts, fit.start);
    const bool is_all = progress.options.max_iter == 0;
    const SinglePass pass =
        pass_in_single(*problem.networks, weights, drawn, !is_all, problem.n_threads, problem.stop);
    problem.total = pass.copies.squares;
    if (!std::isfinite(problem.total)) return {};
    fit.means = pass.copies.means();
    fit.on_examples = true;
    if (is_all) {
        fit.weights = widened(pass.weights, problem.n_threads, problem.stop);
        return {{}, false};
    }
    const double factor = pass.copies.factor;
    ResponseStage<float> stage(problem, pass.copies.networks, factor);
    Sweeps<float> sweeps(stage.sum(), problem.widths, problem.k, problem.n_threads, problem.stop);
    sweeps.start_at(pass.weights);
    progress.history.push_back(problem.objective(sweeps.norm() / (factor * factor)));
    return end_in_single(sweeps, factor, progress, fit);
}

}  // namespace convergent
