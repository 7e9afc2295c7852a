#include "convergent/subspace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace convergent {

namespace {

/// Marks the active units farther than epsilon from the other network's span as leaving, and takes
/// them out of `active`. Returns whether there are any.
bool take_out(const std::vector<double>& residuals, double epsilon, std::vector<char>& active,
              std::vector<char>& leaving, ClosestDecisions& closest) {
    bool any = false;
    leaving.assign(active.size(), 0);
    for (std::size_t unit = 0; unit < active.size(); ++unit) {
        if (!active[unit]) continue;
        const double beyond = std::sqrt(std::max(residuals[unit], 0.0)) - epsilon;
        if (residuals[unit] > epsilon * epsilon) {
            active[unit] = 0;
            leaving[unit] = 1;
            any = true;
            closest.leaving = std::min(closest.leaving, std::abs(beyond));
        } else {
            closest.staying = std::min(closest.staying, std::abs(beyond));
        }
    }
    return any;
}

void copy_flags(const std::vector<char>& flags, Eigen::Ref<Membership> rows, std::ptrdiff_t row) {
    for (std::ptrdiff_t unit = 0; unit < rows.cols(); ++unit) {
        rows(row, unit) = flags[static_cast<std::size_t>(unit)] != 0;
    }
}

}  // namespace

MatchCascade::MatchCascade(const SpanFactor& span_x, const SpanFactor& span_y)
    : span_x_(span_x),
      span_y_(span_y),
      active_x_(static_cast<std::size_t>(span_x.order.size()), 1),
      active_y_(static_cast<std::size_t>(span_y.order.size()), 1) {
    if (span_x.residuals.size() != span_y.order.size() ||
        span_y.residuals.size() != span_x.order.size()) {
        throw std::invalid_argument("each span factor must hold the units of the other network");
    }
}

ClosestDecisions MatchCascade::shrink_to(double epsilon, const StopToken& stop) {
    ClosestDecisions closest;
    std::vector<char> leaving;
    for (bool first = true;; first = false) {
        stop.check();
        const bool x_left = take_out(span_y_.residuals(), epsilon, active_x_, leaving, closest);
        if (x_left) span_x_.remove(leaving, active_y_, stop);
        if (!x_left && !first) return closest;
        const bool y_left = take_out(span_x_.residuals(), epsilon, active_y_, leaving, closest);
        if (!y_left) return closest;
        span_y_.remove(leaving, active_x_, stop);
    }
}

void MatchCascade::remove(const std::vector<char>& leaving, const StopToken& stop) {
    const auto middle = leaving.begin() + static_cast<std::ptrdiff_t>(active_x_.size());
    const auto remove_from = [&stop](std::vector<char> flags, std::vector<char>& active,
                                     const std::vector<char>& others, ActiveSpan& span) {
        bool any = false;
        for (std::size_t unit = 0; unit < flags.size(); ++unit) {
            flags[unit] = flags[unit] && active[unit];
            if (flags[unit]) active[unit] = 0;
            any = any || flags[unit];
        }
        if (any) span.remove(flags, others, stop);
    };
    remove_from({leaving.begin(), middle}, active_x_, active_y_, span_x_);
    remove_from({middle, leaving.end()}, active_y_, active_x_, span_y_);
}

void MatchCascade::peel(Eigen::Ref<Eigen::VectorXd> levels, const StopToken& stop) {
    const std::size_t n_x = active_x_.size(), n_units = n_x + active_y_.size();
    const auto residual = [&](std::size_t unit) {
        if (unit < n_x) return active_x_[unit] ? span_y_.residuals()[unit] : -1.0;
        return active_y_[unit - n_x] ? span_x_.residuals()[unit - n_x] : -1.0;
    };
    double level = std::numeric_limits<double>::infinity();
    for (;;) {
        stop.check();
        double largest = -1.0;
        for (std::size_t unit = 0; unit < n_units; ++unit) {
            largest = std::max(largest, residual(unit));
        }
        if (largest < 0.0) return;
        level = std::min(level, largest);
        std::vector<char> leaving(n_units, 0);
        for (std::size_t unit = 0; unit < n_units; ++unit) {
            leaving[unit] = residual(unit) >= level;
            if (leaving[unit]) levels[static_cast<std::ptrdiff_t>(unit)] = std::sqrt(level);
        }
        remove(leaving, stop);
    }
}

void max_match(const SpanFactor& span_x, const SpanFactor& span_y,
               const Eigen::Ref<const Eigen::VectorXd>& epsilons, const StopToken& stop,
               Eigen::Ref<Membership> in_x, Eigen::Ref<Membership> in_y,
               Eigen::Ref<Eigen::VectorXd> margins) {
    MatchCascade cascade(span_x, span_y);
    if (in_x.rows() != epsilons.size() || in_y.rows() != epsilons.size() ||
        in_x.cols() != span_x.order.size() || in_y.cols() != span_y.order.size() ||
        margins.size() != epsilons.size()) {
        throw std::invalid_argument(
            "the outputs must have one row an epsilon and one column a unit");
    }
    double left_by = std::numeric_limits<double>::infinity();  // of those that are gone already
    for (std::ptrdiff_t row = 0; row < epsilons.size(); ++row) {
        if (row > 0 && epsilons[row] > epsilons[row - 1]) {
            throw std::invalid_argument("the epsilons must descend");
        }
        if (row > 0) left_by += epsilons[row - 1] - epsilons[row];
        const ClosestDecisions closest = cascade.shrink_to(epsilons[row], stop);
        left_by = std::min(left_by, closest.leaving);
        margins[row] = std::min(left_by, closest.staying);
        copy_flags(cascade.active_x(), in_x, row);
        copy_flags(cascade.active_y(), in_y, row);
    }
}

}  // namespace convergent
