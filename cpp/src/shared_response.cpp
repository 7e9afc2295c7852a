#include "convergent/shared_response.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <type_traits>
#include <utility>

#include "polar.hpp"
#include "response_alternation.hpp"
#include "response_sum.hpp"
#include "response_sweeps.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kExpectedIterations = 30;  // for choosing what to work on
constexpr double kLastIterations = 3;       // of those in double after those in single precision
constexpr double kReading = 1.3;  // time of an operation on the examples over one on products
constexpr double kSmallProducts = 64.0 * (1 << 20);  // bytes
constexpr double kWorthSingle = 1e8;      // operations of a sweep from which single precision pays
constexpr double kSingleRounding = 3e-7;  // as kResponseRounding, of sums in single precision
constexpr double kSingleTol = 1e-6;  // relative change at which single precision has done its work
constexpr int kTrialSweeps = 3;      // from each of several starts

/// What the stages of one fit share.
struct Problem {
    const std::vector<NetworkView>* networks;  ///< null where there are only products
    const MatrixXd* products;                  ///< null where there are only networks
    std::vector<Index> widths;
    Index k;
    double n_examples;
    double total;   ///< sum of squares of all activations
    double factor;  ///< makes activations of ordinary size, for single precision
    const SharedResponseOptions& options;
    const StopToken& stop;

    double n_units() const {
        double sum = 0.0;
        for (const Index width : widths) sum += static_cast<double>(width);
        return sum;
    }
    double objective(double norm) const {
        return total - norm / static_cast<double>(widths.size());
    }
};

/// Whether reading the examples in every iteration is less work than their cross-products, or these
/// too large.
template <class Scalar>
bool prefer_examples(const Problem& problem, double iterations) {
    if (problem.networks == nullptr) return false;
    const double units = problem.n_units(), width = static_cast<double>(problem.k);
    const double size = sizeof(Scalar);
    const double room = std::max(8.0 * problem.n_examples * units, kSmallProducts);
    if (size * units * units > room) return true;
    const double on_examples = kReading * iterations * 4.0 * problem.n_examples * units * width;
    const double on_products =
        problem.n_examples * units * units + iterations * 2.0 * units * units * width;
    return on_examples < on_products;
}

/// The sum in one precision, on the examples or on the cross-products.
template <class Scalar>
class Stage {
 public:
    /// response: room for the sum on the examples, (n_examples, k); null takes some of its own.
    Stage(const Problem& problem, double factor, double iterations, Scalar* response)
        : on_examples_(prefer_examples<Scalar>(problem, iterations)) {
        const SharedResponseOptions& options = problem.options;
        if (on_examples_) {
            if (response == nullptr) {
                own_response_.resize(static_cast<Index>(problem.n_examples), problem.k);
                response = own_response_.data();
            }
            sum_ = std::make_unique<ResponseOnExamples<Scalar>>(*problem.networks, response,
                                                                problem.k, factor);
            return;
        }
        const Dense<Scalar>* products = &products_;
        if (problem.products == nullptr) {
            products_ =
                all_products<Scalar>(*problem.networks, factor, options.n_threads, problem.stop);
        } else if constexpr (std::is_same_v<Scalar, double>) {
            products = problem.products;
        } else {
            products_ = (*problem.products * (factor * factor)).template cast<Scalar>();
        }
        sum_ = std::make_unique<ResponseOnProducts<Scalar>>(*products, problem.widths, problem.k);
    }

    ResponseSum<Scalar>& sum() { return *sum_; }
    bool on_examples() const { return on_examples_; }

 private:
    bool on_examples_;
    RowDense<Scalar> own_response_;
    Dense<Scalar> products_;
    std::unique_ptr<ResponseSum<Scalar>> sum_;
};

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
void run(const Problem& problem, Sweeps<Scalar>& sweeps, double scale, int& n_quiet,
         std::vector<double>& history) {
    constexpr bool is_single = sizeof(Scalar) < sizeof(double);
    const SharedResponseOptions& options = problem.options;
    const double rounding = is_single ? kSingleRounding : kResponseRounding;
    double objective = history.back();
    while (static_cast<int>(history.size()) <= options.max_iter && n_quiet < 2) {
        sweeps.sweep();
        const double reached = problem.objective(sweeps.norm() * scale);
        const double change = std::abs(objective - reached);
        history.push_back(is_single ? std::min(objective, reached) : std::max(reached, 0.0));
        const double noise = is_single ? 0.0 : rounding * problem.total;
        const bool is_quiet =
            options.tol > 0.0 && change <= std::max(options.tol * objective, noise);
        n_quiet = is_quiet ? n_quiet + 1 : 0;
        if (is_single && change <= std::max(kSingleTol * objective, rounding * problem.total))
            return;
        objective = history.back();
    }
}

/// Moves the values of single precision so that the last one becomes what double makes of it: they
/// have one common error, that of the weights and sums, and their differences are better than it.
void settle(std::vector<double>& history, double exact) {
    const double error = exact - history.back();
    for (double& value : history) value = std::max(value + error, 0.0);
}

bool worth_single(const Problem& problem) {
    if (problem.options.single) return *problem.options.single;
    const double examples = std::min(problem.n_examples, problem.n_units());
    return examples * problem.n_units() * static_cast<double>(problem.k) > kWorthSingle;
}

/// The sweeps of a fit, in single precision first where that pays; `response` may be null.
/// Returns whether `response` holds the sum R of the final weights.
bool fit_by_sweeps(const Problem& problem, const std::vector<ResponseStarts>& starts,
                   double* response, SharedResponseFit& fit) {
    const int n_threads = problem.options.n_threads;
    ResponseStarts from = starts.front();
    std::vector<double>& history = fit.objective_history;
    int n_quiet = 0;
    const bool single = worth_single(problem);
    if (single) {
        Stage<float> stage(problem, problem.factor, kExpectedIterations, nullptr);
        Sweeps<float> sweeps(stage.sum(), problem.widths, problem.k, n_threads, problem.stop);
        fit.start = begin_at_best(sweeps, starts);
        fit.on_examples = stage.on_examples();
        const double scale = 1.0 / (problem.factor * problem.factor);
        history.push_back(problem.objective(sweeps.norm() * scale));
        run(problem, sweeps, scale, n_quiet, history);
        from = {ResponseStart::kGiven, widened(sweeps.weights())};
        n_quiet = std::min(n_quiet, 1);  // the last word is double's
    }
    const bool is_close = single && problem.options.tol >= kSingleTol / 2.0;
    const double expected = std::min<double>(problem.options.max_iter,
                                             is_close ? kLastIterations : kExpectedIterations);
    Stage<double> stage(problem, 1.0, expected, response);
    Sweeps<double> sweeps(stage.sum(), problem.widths, problem.k, n_threads, problem.stop);
    if (single) {
        begin(sweeps, from);
        settle(history, problem.objective(sweeps.norm()));
    } else {
        fit.start = begin_at_best(sweeps, starts);
        fit.on_examples = stage.on_examples();
        history.push_back(std::max(problem.objective(sweeps.norm()), 0.0));
    }
    run(problem, sweeps, 1.0, n_quiet, history);
    fit.converged = n_quiet == 2;
    fit.weights = sweeps.weights();
    return stage.on_examples() && response != nullptr;
}

/// The plain alternation of a fit; as above.
bool fit_by_alternation(const Problem& problem, const ResponseStarts& start, double* response,
                        SharedResponseFit& fit) {
    const SharedResponseOptions& options = problem.options;
    const double iterations = std::min<double>(options.max_iter, kExpectedIterations);
    Stage<double> stage(problem, 1.0, iterations, response);
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
bool fit_weights(Problem& problem, const std::vector<ResponseStarts>& starts, double* response,
                 SharedResponseFit& fit) {
    if (!std::isfinite(problem.total)) {
        fit.weights = starts.front().weights;
        fit.objective_history.push_back(problem.total);
        return false;
    }
    const double mean_square = problem.total / (problem.n_examples * problem.n_units());
    if (mean_square > 0.0) problem.factor = 1.0 / std::sqrt(mean_square);
    return problem.options.accelerate ? fit_by_sweeps(problem, starts, response, fit)
                                      : fit_by_alternation(problem, starts.front(), response, fit);
}

}  // namespace

SharedResponseFit fit_shared_response(const std::vector<NetworkView>& networks,
                                      const std::vector<ResponseStarts>& starts, double* response,
                                      const SharedResponseOptions& options, const StopToken& stop) {
    const Index k = starts.front().weights.front().cols();
    Problem problem{&networks, nullptr, {}, k, 0.0, 0.0, 1.0, options, stop};
    problem.n_examples = static_cast<double>(networks.front().n_examples);
    for (const NetworkView& network : networks) problem.widths.push_back(network.n_units);
    for (const double norm : squared_norms(networks, options.n_threads, stop)) {
        problem.total += norm;
    }

    SharedResponseFit fit;
    Eigen::Map<RowMatrix> shared(response, networks.front().n_examples, k);
    if (!fit_weights(problem, starts, response, fit)) {
        ResponseOnExamples<double> sum(networks, response, k);
        sum.clear();
        for (std::size_t i = 0; i < networks.size(); ++i) {
            sum.add(i, fit.weights[i], options.n_threads, stop);
        }
    }
    shared /= static_cast<double>(networks.size());
    return fit;
}

SharedResponseFit fit_shared_response(const MatrixXd& products, const std::vector<Index>& widths,
                                      const std::vector<ResponseStarts>& starts,
                                      const SharedResponseOptions& options, const StopToken& stop) {
    const Index k = starts.front().weights.front().cols();
    Problem problem{nullptr, &products, widths, k, 0.0, products.trace(), 1.0, options, stop};
    problem.n_examples = problem.n_units();  // what a sweep on products costs
    SharedResponseFit fit;
    fit_weights(problem, starts, nullptr, fit);
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
