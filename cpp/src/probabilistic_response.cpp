#include "convergent/probabilistic_response.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "parallel.hpp"
#include "polar.hpp"
#include "response_stage.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kLogTwoPi = 1.8378770664093453;
constexpr double kFall = 1e-9;         // of a likelihood, which is more than its rounding
constexpr double kLeastNoise = 1e-10;  // over the largest mean square of a network
constexpr Index kRows = 256;

/// W_i / rho_i^2, of which R is the sum over the networks.
Weights over_noise(const ProbabilisticResponseFit& fit) {
    Weights scaled = fit.weights;
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] /= fit.noise[i];
    return scaled;
}

/// Expectation and maximisation with R = sum_i X_i W_i / rho_i^2: the posterior of s has covariance
/// V = (Sigma^-1 + rho_0 I)^-1, rho_0 = sum_i 1 / rho_i^2, and mean S = R V.
class Expectation {
 public:
    Expectation(ResponseSum<double>& sum, const std::vector<Index>& widths, double n_examples,
                const std::vector<double>& squares, const ProbabilisticResponseOptions& options,
                const StopToken& stop)
        : sum_(sum),
          widths_(widths),
          n_examples_(n_examples),
          squares_(squares),
          options_(options),
          stop_(stop),
          products_(widths.size()) {
        double values = 0.0, total = 0.0;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            const double count = n_examples * static_cast<double>(widths[i]);
            total += squares[i];
            values += count;
            least_noise_ = std::max(least_noise_, kLeastNoise * squares[i] / count);
        }
        if (!std::isfinite(total)) throw std::invalid_argument("squares must be finite");
        mean_square_ = total > 0.0 ? total / values : 1.0;
        if (!(least_noise_ > 0.0)) least_noise_ = kLeastNoise;
    }

    void begin(ProbabilisticResponseFit& fit) const {
        const double variance = options_.unit_start ? 1.0 : mean_square_;
        const Index k = fit.weights.front().cols();
        fit.noise.assign(widths_.size(), variance);
        fit.covariance = variance * MatrixXd::Identity(k, k);
    }

    /// Products X_i^T R, R^T R and V at these parameters; returns their log-likelihood.
    double expect(const ProbabilisticResponseFit& fit) {
        sum_.set(over_noise(fit), options_.n_threads, stop_);
        std::vector<MatrixXd> squares(widths_.size());
        parallel_for_each(widths_.size(), options_.n_threads, stop_, [&](std::size_t i) {
            sum_.against(i, products_[i], stop_);
            squares[i] = fit.weights[i].transpose() * products_[i] / fit.noise[i];
        });
        response_square_ = squares.front();
        for (std::size_t i = 1; i < squares.size(); ++i) response_square_ += squares[i];
        double precision = 0.0, scatter = 0.0, log_noise = 0.0, n_units = 0.0;
        for (std::size_t i = 0; i < widths_.size(); ++i) {
            const auto width = static_cast<double>(widths_[i]);
            precision += 1.0 / fit.noise[i];
            scatter += squares_[i] / fit.noise[i];
            log_noise += width * std::log(fit.noise[i]);
            n_units += width;
        }
        const double log_determinant = set_posterior(fit.covariance, precision);
        const double constant = n_units * kLogTwoPi + log_noise + log_determinant;
        const double explained = response_square_.cwiseProduct(posterior_).sum();
        return -0.5 * (n_examples_ * constant + scatter - explained);
    }

    void maximise(ProbabilisticResponseFit& fit) const {
        const MatrixXd square = posterior_ * response_square_ * posterior_;
        const MatrixXd moment = n_examples_ * posterior_ + 0.5 * (square + square.transpose());
        const double trace = moment.trace();
        parallel_for_each(widths_.size(), options_.n_threads, stop_, [&](std::size_t i) {
            const MatrixXd product = products_[i] * posterior_;  // X_i^T S
            MatrixXd tilted = product;
            tilted.diagonal().array() += options_.diagonal;
            fit.weights[i] = polar_factor(tilted, fit.weights[i], stop_);
            const double residual =
                squares_[i] - 2.0 * fit.weights[i].cwiseProduct(product).sum() + trace;
            const double count = n_examples_ * static_cast<double>(widths_[i]);
            fit.noise[i] = std::max(residual / count, least_noise_);
        });
        fit.covariance = moment / n_examples_;
    }

    const MatrixXd& posterior() const { return posterior_; }

 private:
    /// V = L K^-1 L^T with Sigma = L L^T and K = I + rho_0 L^T L, whose least eigenvalue is at
    /// least 1; returns log det(I + rho_0 Sigma).
    double set_posterior(const MatrixXd& covariance, double precision) {
        const Index k = covariance.rows();
        Eigen::LLT<MatrixXd> factor(covariance);
        for (double ridge = 1e-15; factor.info() != Eigen::Success; ridge *= 10.0) {
            if (!(ridge < 1.0)) throw std::runtime_error("the covariance is not finite");
            const double shift = ridge * (covariance.trace() / static_cast<double>(k) + 1e-300);
            factor.compute(covariance + shift * MatrixXd::Identity(k, k));
        }
        const MatrixXd lower = factor.matrixL();
        MatrixXd scaled = MatrixXd::Identity(k, k);
        scaled.selfadjointView<Eigen::Lower>().rankUpdate(lower.transpose(), precision);
        const Eigen::LLT<MatrixXd> inner_factor(scaled);
        const MatrixXd half = inner_factor.matrixL().solve(MatrixXd(lower.transpose()));
        posterior_ = half.transpose() * half;
        return 2.0 * inner_factor.matrixLLT().diagonal().array().log().sum();
    }

    ResponseSum<double>& sum_;
    const std::vector<Index>& widths_;
    double n_examples_;
    const std::vector<double>& squares_;
    const ProbabilisticResponseOptions& options_;
    const StopToken& stop_;

    Weights products_;          // X_i^T R
    MatrixXd response_square_;  // R^T R
    MatrixXd posterior_;        // V
    double mean_square_ = 1.0, least_noise_ = 0.0;
};

/// Runs the iterations; `last` becomes the parameters that the response follows from, and V there.
MatrixXd iterate(Expectation& expectation, const ProbabilisticResponseOptions& options,
                 ProbabilisticResponseFit& fit, ProbabilisticResponseFit& last) {
    expectation.begin(fit);
    double reached = expectation.expect(fit);
    fit.log_likelihood.push_back(reached);
    MatrixXd posterior = expectation.posterior();
    last = fit;
    int n_quiet = 0;
    for (int iteration = 0; iteration < options.max_iter && n_quiet < 2; ++iteration) {
        if (options.unit_start) {
            last = fit;
            posterior = expectation.posterior();
        }
        ProbabilisticResponseFit kept = fit;
        expectation.maximise(fit);
        const double before = reached;
        reached = expectation.expect(fit);
        if (!options.unit_start && reached < before - kFall * std::abs(before)) {
            // Where noise has vanished, rounding may undo what an iteration gains: this was the
            // last.
            if (options.tol == 0.0) {
                kept.log_likelihood.resize(static_cast<std::size_t>(options.max_iter) + 1, before);
            }
            fit = std::move(kept);
            expectation.expect(fit);
            n_quiet = options.tol > 0.0 ? 2 : 0;
            break;
        }
        fit.log_likelihood.push_back(reached);
        const bool is_quiet = std::abs(reached - before) <= options.tol * std::abs(before);
        n_quiet = options.tol > 0.0 && is_quiet ? n_quiet + 1 : 0;
    }
    fit.converged = n_quiet == 2;
    if (options.unit_start) return posterior;
    last = fit;
    return expectation.posterior();
}

double iterations_of(const ProbabilisticResponseOptions& options) {
    return std::min<double>(options.max_iter, kExpectedIterations);
}

}  // namespace

ProbabilisticResponseFit fit_probabilistic_response(const std::vector<NetworkView>& networks,
                                                    const std::vector<double>& squares,
                                                    Weights start, double* response,
                                                    const ProbabilisticResponseOptions& options,
                                                    const StopToken& stop) {
    const Index k = start.front().cols();
    ResponseProblem problem(networks, k, options.n_threads, stop);
    problem.total = std::accumulate(squares.begin(), squares.end(), 0.0);
    ResponseStage<double> stage(problem, iterations_of(options), response);
    Expectation expectation(stage.sum(), problem.widths, problem.n_examples, squares, options,
                            stop);
    ProbabilisticResponseFit fit, last;
    fit.weights = std::move(start);
    const MatrixXd posterior = iterate(expectation, options, fit, last);

    ResponseOnExamples<double> sum(networks, problem.total, response, k);
    sum.set(over_noise(last), options.n_threads, stop);
    Eigen::Map<RowMatrix> shared(response, networks.front().n_examples, k);
    parallel_for((shared.rows() + kRows - 1) / kRows, options.n_threads, stop, [&](Index task) {
        const Index count = std::min(kRows, shared.rows() - task * kRows);
        auto rows = shared.middleRows(task * kRows, count);
        rows = (RowMatrix(rows) * posterior).eval();
    });
    return fit;
}

ProbabilisticResponseFit fit_probabilistic_response(
    const MatrixXd& products, const std::vector<Index>& widths, double n_examples,
    const std::vector<double>& squares, Weights start, const ProbabilisticResponseOptions& options,
    const StopToken& stop) {
    ResponseOnProducts<double> sum(products, widths, start.front().cols());
    Expectation expectation(sum, widths, n_examples, squares, options, stop);
    ProbabilisticResponseFit fit, last;
    fit.weights = std::move(start);
    iterate(expectation, options, fit, last);
    return fit;
}

}  // namespace convergent
