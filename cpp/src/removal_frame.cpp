#include <utility>

#include "removal_state.hpp"

// How the rows of a removal state are made: from the spans of a cascade, or from older rows and the
// steps since.

namespace convergent {

namespace {

using Eigen::MatrixXd;

constexpr double kLargestPrecision =
    1e10;  // a unit closer than 1e-5 to the others is left to the exact cascade

}  // namespace

std::optional<RemovalState> RemovalState::of(const MatchCascade& cascade,
                                             const std::vector<char>& locked, double epsilon,
                                             const StopToken& stop) {
    const ActiveSpan &x = cascade.span_x(), &y = cascade.span_y();
    if (!x.independent() || !y.independent()) return std::nullopt;
    std::vector<char> active = cascade.active_x();
    active.insert(active.end(), cascade.active_y().begin(), cascade.active_y().end());
    RemovalState state(static_cast<std::ptrdiff_t>(cascade.active_x().size()), epsilon * epsilon,
                       std::move(active), locked);
    if (!state.fill(state.sides_[0], x, 0, state.n_x_, stop)) return std::nullopt;
    if (!state.fill(state.sides_[1], y, state.n_x_, 0, stop)) return std::nullopt;
    state.renew_locks();
    return state;
}

/// Takes one side from the span of its network; false if a unit is too close to the others.
bool RemovalState::fill(Side& side, const ActiveSpan& span, std::ptrdiff_t first,
                        std::ptrdiff_t first_other, const StopToken& stop) {
    MatrixXd precision, coefficients;
    span.inverse(precision, coefficients, stop);
    if (span.rank() > 0 && !(precision.diagonal().maxCoeff() < kLargestPrecision)) return false;
    Frame frame;
    Units chosen, columns;
    for (std::size_t i = 0; i < span.basis().size(); ++i) {
        const std::ptrdiff_t unit = first + span.basis()[i];
        if (locked_[at(unit)]) continue;
        chosen.push_back(static_cast<std::ptrdiff_t>(i));
        frame.row_units.push_back(unit);
    }
    for (std::size_t i = 0; i < span.others().size(); ++i) {
        const std::ptrdiff_t unit = first_other + span.others()[i];
        if (!active_[at(unit)]) continue;
        columns.push_back(static_cast<std::ptrdiff_t>(i));
        frame.other_units.push_back(unit);
    }
    const std::ptrdiff_t n_rows = static_cast<std::ptrdiff_t>(chosen.size());
    const std::ptrdiff_t n_others = static_cast<std::ptrdiff_t>(columns.size());
    frame.rows.resize(n_rows, n_others + n_rows);
    frame.rows.leftCols(n_others) = coefficients(chosen, columns);
    frame.rows.rightCols(n_rows) = precision(chosen, chosen);
    frame.first_diagonal = frame.rows.rightCols(n_rows).diagonal();
    side.residuals.resize(n_others);
    for (std::ptrdiff_t i = 0; i < n_others; ++i) {
        side.residuals[i] = span.residuals()[at(frame.other_units[at(i)] - first_other)];
    }
    frame.first_residuals = side.residuals;
    begin(side, std::move(frame));
    return true;
}

/// Makes the frame that of the side, whose residuals are set, and forgets its steps.
void RemovalState::begin(Side& side, Frame frame) const {
    frame.row_of_unit.assign(active_.size(), -1);
    frame.column_of_unit.assign(active_.size(), -1);
    std::ptrdiff_t place = 0;
    for (const std::ptrdiff_t unit : frame.row_units) frame.row_of_unit[at(unit)] = place++;
    place = 0;
    for (const std::ptrdiff_t unit : frame.other_units) frame.column_of_unit[at(unit)] = place++;
    side.alarms = frame.first_residuals.unaryExpr([this](double first) { return alarm(first); });
    side.steps.resize(0, frame.rows.cols());
    side.n_steps = side.n_steps_before = 0;
    frame.residuals = side.residuals;
    side.frame = std::make_shared<const Frame>(std::move(frame));
}

/// Applies the steps to the rows of units that may still leave; what is not needed is dropped.
void RemovalState::settle(Side& side) const {
    const Frame& frame = *side.frame;
    Frame next;
    Units chosen, columns;
    for (std::ptrdiff_t i = 0; i < frame.n_others(); ++i) {
        const std::ptrdiff_t unit = frame.other_units[at(i)];
        if (!active_[at(unit)]) continue;
        columns.push_back(i);
        next.other_units.push_back(unit);
    }
    side.residuals = side.residuals(columns).eval();
    next.first_residuals = frame.first_residuals(columns);
    for (std::ptrdiff_t row = 0; row < frame.n_rows(); ++row) {
        const std::ptrdiff_t unit = frame.row_units[at(row)];
        if (locked_[at(unit)] || !(active_[at(unit)] || waiting_[at(unit)])) continue;
        chosen.push_back(row);
        columns.push_back(frame.n_others() + row);
        next.row_units.push_back(unit);
    }
    next.first_diagonal = frame.first_diagonal(chosen);
    const auto gather = [&columns](const double* from, double* to) {
        for (const std::ptrdiff_t column : columns) *to++ = from[column];
    };
    const std::ptrdiff_t n_rows = static_cast<std::ptrdiff_t>(chosen.size());
    const std::ptrdiff_t n_columns = static_cast<std::ptrdiff_t>(columns.size());
    next.rows.resize(n_rows, n_columns);
    for (std::ptrdiff_t row = 0; row < n_rows; ++row) {
        gather(&frame.rows(chosen[at(row)], 0), &next.rows(row, 0));
    }
    if (side.n_steps > 0 && n_rows > 0) {
        Rows steps(side.n_steps, n_columns);
        for (std::ptrdiff_t k = 0; k < side.n_steps; ++k) gather(&side.steps(k, 0), &steps(k, 0));
        next.rows.noalias() -= steps.rightCols(n_rows).transpose() * steps;
    }
    begin(side, std::move(next));
}

}  // namespace convergent
