#include "convergent/sparse_map.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "lasso_active_set.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

// How far coordinate descent goes: at penalties passed on the way, and at those asked for.
constexpr double kPassing = 1e-2, kNear = 1e-3;
constexpr int kPassingPasses = 10, kNearPasses = 50;
constexpr double kLeastPassed = 1e-6;

/// Half of the mean squared error, 1/2 (1 - 2 w.c + w.C.w), where gradient = c - C w.
double loss_of(const VectorXd& target, const VectorXd& weights, const VectorXd& gradient) {
    return 0.5 * (1.0 - weights.dot(target) - weights.dot(gradient));
}

/// The duality gap over 1/2. The dual point is the residual, scaled so that no predictor's
/// correlation with it exceeds alpha; y.r = 1 - w.c and r.r = 2 loss follow from correlations.
double relative_gap(const VectorXd& target, const VectorXd& weights, const VectorXd& gradient,
                    double alpha) {
    const double loss = loss_of(target, weights, gradient);
    const double unit_by_residual = 1.0 - weights.dot(target);
    const double steepest = gradient.size() ? gradient.lpNorm<Eigen::Infinity>() : 0.0;
    double scale = steepest > alpha ? alpha / steepest : 1.0;
    if (2.0 * loss * scale > unit_by_residual)
        scale = std::max(0.0, unit_by_residual / (2.0 * loss));
    const double primal = loss + alpha * weights.lpNorm<1>();
    return 2.0 * (primal - (scale * unit_by_residual - scale * scale * loss));
}

/// c - C w, from the non-zero weights.
VectorXd gradient_of(const Eigen::Ref<const Eigen::MatrixXd>& c_xx, const VectorXd& target,
                     const VectorXd& weights) {
    VectorXd gradient = target;
    for (Index j = 0; j < weights.size(); ++j) {
        if (weights[j] != 0.0) gradient -= weights[j] * c_xx.col(j);
    }
    return gradient;
}

/// Weights that no descent from 0 can reach where the loss is nowhere negative.
bool impossible(const VectorXd& weights, double alpha) {
    return !(alpha * weights.lpNorm<1>() <= 0.5 * (1.0 + 1e-6));
}

VectorXd solve(const VectorXd& target, LassoDescent start, double alpha, const StopToken& stop) {
    start.run(alpha, kNear, kNearPasses, stop);
    LassoActiveSet solution(target, start, stop);
    solution.solve(alpha, stop);
    if (impossible(solution.weights(), alpha)) return VectorXd::Zero(target.size());
    return solution.weights();
}

/// Solves one target at all alphas, which `falling` lists from the largest on.
void solve_target(const Eigen::Ref<const Eigen::MatrixXd>& c_xx,
                  const Eigen::Ref<const Eigen::MatrixXd>& c_xy, Index unit,
                  const Eigen::Ref<const VectorXd>& alphas, const std::vector<Index>& falling,
                  const StopToken& stop, const SparseMapOutput& out) {
    const Index n_x = c_xy.rows(), n_y = c_xy.cols();
    const VectorXd target = c_xy.col(unit);
    LassoDescent path(c_xx, target);
    double next = 0.5;
    for (const Index k : falling) {
        for (; next > std::max(alphas[k], kLeastPassed); next *= 0.5) {
            path.run(next, kPassing, kPassingPasses, stop);
        }
        const VectorXd weights = solve(target, path, alphas[k], stop);
        const VectorXd gradient = gradient_of(c_xx, target, weights);
        const Index place = k * n_y + unit;
        Eigen::Map<VectorXd>(out.weights + place * n_x, n_x) = weights;
        out.losses[place] = loss_of(target, weights, gradient);
        out.gaps[place] = relative_gap(target, weights, gradient, alphas[k]);
    }
}

}  // namespace

void sparse_map(const Eigen::Ref<const Eigen::MatrixXd>& c_xx,
                const Eigen::Ref<const Eigen::MatrixXd>& c_xy,
                const Eigen::Ref<const VectorXd>& alphas, int n_threads, const StopToken& stop,
                const SparseMapOutput& out) {
    if (c_xx.rows() != c_xx.cols() || c_xy.rows() != c_xx.rows()) {
        throw std::invalid_argument("c_xx must be square and c_xy have its rows");
    }
    if (!(alphas.array() > 0.0).all()) throw std::invalid_argument("alphas must be positive");
    std::vector<Index> falling(static_cast<std::size_t>(alphas.size()));
    std::iota(falling.begin(), falling.end(), Index{0});
    std::stable_sort(falling.begin(), falling.end(),
                     [&](Index a, Index b) { return alphas[a] > alphas[b]; });
    parallel_for(c_xy.cols(), n_threads, stop,
                 [&](Index unit) { solve_target(c_xx, c_xy, unit, alphas, falling, stop, out); });
}

}  // namespace convergent
