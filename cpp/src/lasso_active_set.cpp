#include "lasso_active_set.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kExact = 1e-10;  // violation of |gradient| <= alpha, in parts of alpha
constexpr Index kPanel = 256;
constexpr double kDependent = 1e-13;  // squared distance from the span of the active units

}  // namespace

LassoActiveSet::LassoActiveSet(const Eigen::Ref<const VectorXd>& target,
                               const LassoDescent& descent, const StopToken& stop)
    : c_xx_(descent.c_xx),
      target_(target.data(), target.size()),
      weights_(descent.weights),
      gradient_(descent.gradient),
      is_active_(static_cast<std::size_t>(target.size()), 0),
      is_refused_(static_cast<std::size_t>(target.size()), 0) {
    start_from(descent.weights, stop);
}

/// Makes the non-zero weights active. Those that depend on others, which only a factor of one row
/// after the other tells, are left out.
void LassoActiveSet::start_from(const VectorXd& weights, const StopToken& stop) {
    for (Index j = 0; j < weights.size(); ++j) {
        if (weights[j] == 0.0) continue;
        active_.push_back(j);
        signs_.push_back(weights[j] > 0.0 ? 1.0 : -1.0);
        is_active_[static_cast<std::size_t>(j)] = 1;
    }
    if (factor_at_once(stop)) return;
    const std::vector<Index> wanted = std::move(active_);
    active_.clear();
    signs_.clear();
    for (const Index unit : wanted) {
        stop.check();
        const VectorXd row = row_of(unit);
        const double pivot = c_xx_(unit, unit) - row.squaredNorm();
        if (pivot > kDependent) {
            append(unit, weights[unit] > 0.0 ? 1.0 : -1.0, row, pivot);
        } else {
            weights_[unit] = 0.0;
            is_active_[static_cast<std::size_t>(unit)] = 0;
        }
    }
    recompute_gradient();
}

/// Factors c_xx on the active set in panels, since a whole one may take minutes. Returns false
/// where a unit depends on others.
bool LassoActiveSet::factor_at_once(const StopToken& stop) {
    const Index n = static_cast<Index>(active_.size());
    factor_.resize(n, n);
    for (Index i = 0; i < n; ++i) {
        const auto column = c_xx_.col(active_[static_cast<std::size_t>(i)]);
        for (Index k = i; k < n; ++k) factor_(k, i) = column[active_[static_cast<std::size_t>(k)]];
    }
    for (Index begin = 0; begin < n; begin += kPanel) {
        stop.check();
        const Index width = std::min(kPanel, n - begin), rest = n - begin - width;
        auto corner = factor_.block(begin, begin, width, width);
        const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> in_place(corner);
        if (in_place.info() != Eigen::Success) return false;
        if (!(corner.diagonal().cwiseAbs2().minCoeff() > kDependent)) return false;
        if (rest == 0) break;
        auto below = factor_.block(begin + width, begin, rest, width);
        corner.triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(below);
        factor_.bottomRightCorner(rest, rest)
            .selfadjointView<Eigen::Lower>()
            .rankUpdate(below, -1.0);
    }
    return true;
}

void LassoActiveSet::solve(double alpha, const StopToken& stop) {
    steps_left_ = 20 * target_.size() + 200;
    bool fresh = false;
    settle(alpha);
    while (steps_left_ > 0) {
        stop.check();
        const double rounding = 16.0 * kEpsilon * weights_.lpNorm<1>();
        const Index unit = most_violating(alpha + std::max(kExact * alpha, rounding));
        if (unit >= 0) {
            if (!enter(unit, alpha)) is_refused_[static_cast<std::size_t>(unit)] = 1;
            fresh = false;
        } else if (fresh) {
            return;
        } else {
            recompute_gradient();
            settle(alpha);
            fresh = true;
        }
    }
}

/// The unit, neither active nor refused, whose |gradient| exceeds the bound most, or -1.
Index LassoActiveSet::most_violating(double bound) const {
    Index found = -1;
    for (Index j = 0; j < gradient_.size(); ++j) {
        const double size = std::abs(gradient_[j]);
        const auto unit = static_cast<std::size_t>(j);
        if (size > bound && !is_active_[unit] && !is_refused_[unit]) {
            bound = size;
            found = j;
        }
    }
    return found;
}

/// Makes the active weights stationary again after a change of alpha; those that reach zero leave.
void LassoActiveSet::settle(double alpha) {
    while (steps_left_ > 0 && !active_.empty()) {
        const Index n = static_cast<Index>(active_.size());
        VectorXd direction(n);
        for (Index i = 0; i < n; ++i) {
            const auto place = static_cast<std::size_t>(i);
            direction[i] = gradient_[active_[place]] - alpha * signs_[place];
        }
        solve_lower(direction);
        solve_upper(direction);
        const double step = std::min(1.0, step_to_zero(direction));
        advance(step, direction);
        if (step == 1.0) return;
    }
}

/// Lets the unit's weight grow, the active ones following so as to stay stationary, until it is
/// stationary itself. Active weights that reach zero on the way leave. Returns false, the unit's
/// weight being 0 again, if the objective falls for ever: for rounded correlations it may.
bool LassoActiveSet::enter(Index unit, double alpha) {
    const double sign = gradient_[unit] > 0.0 ? 1.0 : -1.0;
    while (steps_left_ > 0) {
        const std::size_t n_active = active_.size();
        const VectorXd row = row_of(unit);
        const double pivot = c_xx_(unit, unit) - row.squaredNorm();
        VectorXd direction = -sign * row;
        solve_upper(direction);
        const double excess = sign * gradient_[unit] - alpha;
        const double full = pivot > kDependent ? std::max(excess, 0.0) / pivot : kInfinity;
        const double step = std::min(full, step_to_zero(direction));
        if (step == kInfinity) break;
        weights_[unit] += step * sign;
        gradient_ -= (step * sign) * c_xx_.col(unit);
        advance(step, direction);
        if (step == full && active_.size() == n_active) {
            append(unit, sign, row, pivot);
            return true;
        }
    }
    weights_[unit] = 0.0;
    recompute_gradient();
    settle(alpha);
    return false;
}

/// The row that the unit would have in the factor.
VectorXd LassoActiveSet::row_of(Index unit) const {
    VectorXd row(static_cast<Index>(active_.size()));
    for (Index i = 0; i < row.size(); ++i) {
        row[i] = c_xx_(active_[static_cast<std::size_t>(i)], unit);
    }
    solve_lower(row);
    return row;
}

void LassoActiveSet::solve_lower(VectorXd& right_side) const {
    const Index n = right_side.size();
    if (n == 0) return;
    factor_.topLeftCorner(n, n).triangularView<Eigen::Lower>().solveInPlace(right_side);
}

void LassoActiveSet::solve_upper(VectorXd& right_side) const {
    const Index n = right_side.size();
    if (n == 0) return;
    factor_.topLeftCorner(n, n).triangularView<Eigen::Lower>().transpose().solveInPlace(right_side);
}

/// The step along a direction of the active weights at which the first of them is zero.
double LassoActiveSet::step_to_zero(const VectorXd& direction) const {
    double step = kInfinity;
    for (Index i = 0; i < direction.size(); ++i) {
        const auto place = static_cast<std::size_t>(i);
        const double towards_zero = -signs_[place] * direction[i];
        if (towards_zero > 0.0) {
            step = std::min(step, std::abs(weights_[active_[place]]) / towards_zero);
        }
    }
    return step;
}

void LassoActiveSet::advance(double step, const VectorXd& direction) {
    --steps_left_;
    subtract_from_gradient(step, direction);
    drop_zeros(step, direction);
}

/// gradient -= step * c_xx[:, active] * direction, four columns a pass.
void LassoActiveSet::subtract_from_gradient(double step, const VectorXd& direction) {
    const auto column = [&](Index i) { return c_xx_.col(active_[static_cast<std::size_t>(i)]); };
    Index i = 0;
    for (; i + 4 <= direction.size(); i += 4) {
        gradient_ -= (step * direction[i]) * column(i) + (step * direction[i + 1]) * column(i + 1) +
                     (step * direction[i + 2]) * column(i + 2) +
                     (step * direction[i + 3]) * column(i + 3);
    }
    for (; i < direction.size(); ++i) gradient_ -= (step * direction[i]) * column(i);
}

/// Moves the active weights; those that reach zero, or would pass it by rounding, leave.
void LassoActiveSet::drop_zeros(double step, const VectorXd& direction) {
    for (Index i = direction.size() - 1; i >= 0; --i) {
        const auto place = static_cast<std::size_t>(i);
        const double towards_zero = -signs_[place] * direction[i];
        double& weight = weights_[active_[place]];
        const bool reached = towards_zero > 0.0 && std::abs(weight) / towards_zero <= step;
        weight += step * direction[i];
        if (reached || !(signs_[place] * weight > 0.0)) drop(i);
    }
}

void LassoActiveSet::append(Index unit, double sign, const VectorXd& row, double pivot) {
    const Index n = static_cast<Index>(active_.size());
    if (n == factor_.rows()) {
        const Index room = std::min<Index>(target_.size(), std::max<Index>(16, 2 * n));
        factor_.conservativeResize(room, room);
    }
    factor_.row(n).head(n) = row.transpose();
    factor_(n, n) = std::sqrt(pivot);
    active_.push_back(unit);
    signs_.push_back(sign);
    is_active_[static_cast<std::size_t>(unit)] = 1;
}

/// Takes one unit out of the active set: its row leaves the factor, and rotations of neighbouring
/// columns make it triangular again.
void LassoActiveSet::drop(Index place) {
    const Index n = static_cast<Index>(active_.size());
    const Index unit = active_[static_cast<std::size_t>(place)];
    weights_[unit] = 0.0;
    is_active_[static_cast<std::size_t>(unit)] = 0;
    active_.erase(active_.begin() + place);
    signs_.erase(signs_.begin() + place);
    for (Index column = 0; column < n; ++column) {
        double* values = factor_.col(column).data();
        std::copy(values + place + 1, values + n, values + place);
    }
    for (Index i = place; i + 1 < n; ++i) {
        const double a = factor_(i, i), b = factor_(i, i + 1);
        const double length = std::hypot(a, b), c = a / length, s = b / length;
        auto left = factor_.col(i).segment(i, n - 1 - i);
        auto right = factor_.col(i + 1).segment(i, n - 1 - i);
        for (Index k = 0; k < left.size(); ++k) {
            const double x = left[k], y = right[k];
            left[k] = c * x + s * y;
            right[k] = c * y - s * x;
        }
    }
}

void LassoActiveSet::recompute_gradient() {
    gradient_ = target_;
    VectorXd values(static_cast<Index>(active_.size()));
    for (Index i = 0; i < values.size(); ++i) {
        values[i] = weights_[active_[static_cast<std::size_t>(i)]];
    }
    subtract_from_gradient(1.0, values);
}

}  // namespace convergent
