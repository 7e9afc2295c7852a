#include "convergent/sparse_map.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>
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
constexpr double kTolerance = 1e-8;  // relative duality gap

/// What is judged: weights, and the gradient c - C w computed afresh from them.
struct Solution {
    Solution(const Eigen::Ref<const Eigen::MatrixXd>& c_xx, const VectorXd& target, VectorXd w)
        : weights(std::move(w)), gradient(target), explained(weights.dot(target)) {
        for (Index j = 0; j < weights.size(); ++j) {
            if (weights[j] != 0.0) gradient -= weights[j] * c_xx.col(j);
        }
        loss = 0.5 * (1.0 - explained - weights.dot(gradient));
    }

    /// The duality gap over 1/2. The dual point is the residual, scaled so that no predictor's
    /// correlation with it exceeds alpha; y.r = 1 - w.c and r.r = 2 loss follow from correlations.
    /// Infinite where the loss must be negative, since descent starts at 1/2.
    double relative_gap(double alpha) const {
        const double penalty = alpha * weights.lpNorm<1>();
        if (!(penalty <= 0.5 + 1e-6)) return std::numeric_limits<double>::infinity();
        const double steepest = gradient.size() ? gradient.lpNorm<Eigen::Infinity>() : 0.0;
        const double unit_by_residual = 1.0 - explained;
        double scale = steepest > alpha ? alpha / steepest : 1.0;
        if (2.0 * loss * scale > unit_by_residual) {
            scale = std::max(0.0, unit_by_residual / (2.0 * loss));
        }
        return 2.0 * std::abs(loss + penalty - scale * (unit_by_residual - scale * loss));
    }

    VectorXd weights, gradient;
    double explained, loss;
};

/// The exact solution; where rounding spoils it, what coordinate descent has, or nothing.
Solution solve(const Eigen::Ref<const Eigen::MatrixXd>& c_xx, const VectorXd& target,
               LassoDescent start, double alpha, const StopToken& stop) {
    start.run(alpha, kNear, kNearPasses, stop);
    LassoActiveSet active_set(target, start, stop);
    active_set.solve(alpha, stop);
    Solution best(c_xx, target, active_set.weights());
    if (best.relative_gap(alpha) <= kTolerance) return best;
    for (const VectorXd& weights : {start.weights, VectorXd(VectorXd::Zero(target.size()))}) {
        Solution other(c_xx, target, weights);
        if (!(best.relative_gap(alpha) <= other.relative_gap(alpha))) best = std::move(other);
    }
    return best;
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
        const Solution found = solve(c_xx, target, path, alphas[k], stop);
        const Index place = k * n_y + unit;
        Eigen::Map<VectorXd>(out.weights + place * n_x, n_x) = found.weights;
        out.losses[place] = found.loss;
        out.gaps[place] = found.relative_gap(alphas[k]);
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
