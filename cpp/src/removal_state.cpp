#include "removal_state.hpp"

#include <algorithm>
#include <cmath>

namespace convergent {

namespace {

using Eigen::MatrixXd;

constexpr double kLargestPrecision =
    1e10;  // a unit closer than 1e-5 to the others is left to the exact cascade
constexpr double kLeastDiagonal =
    1e-6;                        // below this share of its first value a pivot has lost its digits
constexpr double kDoubt = 1e-8;  // relative error of what a residual grew by, generously
constexpr std::ptrdiff_t kStepsToSettle = 24;

bool precise(const ActiveSpan& span) {
    if (!span.independent()) return false;
    MatrixXd precision, coefficients;
    span.inverse(precision, coefficients);
    return span.rank() == 0 || precision.diagonal().maxCoeff() < kLargestPrecision;
}

}  // namespace

bool RemovalState::suits(const MatchCascade& cascade) {
    return precise(cascade.span_x()) && precise(cascade.span_y());
}

RemovalState::RemovalState(const MatchCascade& cascade, const std::vector<char>& locked,
                           double epsilon)
    : n_x_(static_cast<std::ptrdiff_t>(cascade.active_x().size())),
      threshold_(epsilon * epsilon),
      active_(cascade.active_x()),
      locked_(locked) {
    const std::vector<char>& active_y = cascade.active_y();
    active_.insert(active_.end(), active_y.begin(), active_y.end());
    residuals_ = cascade.span_y().residuals();
    const std::vector<double>& of_y = cascade.span_x().residuals();
    residuals_.insert(residuals_.end(), of_y.begin(), of_y.end());
    first_residuals_ = residuals_;
    fill(sides_[0], cascade.span_x(), 0, n_x_);
    fill(sides_[1], cascade.span_y(), n_x_, 0);
}

void RemovalState::fill(Side& side, const ActiveSpan& span, std::ptrdiff_t first,
                        std::ptrdiff_t first_other) {
    MatrixXd precision, coefficients;
    span.inverse(precision, coefficients);
    std::vector<std::ptrdiff_t> chosen, columns;
    for (std::size_t i = 0; i < span.basis().size(); ++i) {
        const std::ptrdiff_t unit = first + span.basis()[i];
        if (locked_[static_cast<std::size_t>(unit)]) continue;
        chosen.push_back(static_cast<std::ptrdiff_t>(i));
        side.row_units.push_back(unit);
    }
    for (std::size_t i = 0; i < span.others().size(); ++i) {
        const std::ptrdiff_t unit = first_other + span.others()[i];
        if (!active_[static_cast<std::size_t>(unit)]) continue;
        columns.push_back(static_cast<std::ptrdiff_t>(i));
        side.other_units.push_back(unit);
    }
    const std::ptrdiff_t n_rows = static_cast<std::ptrdiff_t>(chosen.size());
    side.rows.resize(n_rows, n_rows + static_cast<std::ptrdiff_t>(columns.size()));
    side.rows.leftCols(n_rows) = precision(chosen, chosen);
    side.rows.rightCols(side.rows.cols() - n_rows) = coefficients(chosen, columns);
    side.row_of_unit.assign(active_.size(), -1);
    for (std::ptrdiff_t row = 0; row < n_rows; ++row) {
        side.row_of_unit[static_cast<std::size_t>(side.row_units[static_cast<std::size_t>(row)])] =
            row;
        side.first_diagonal.push_back(side.rows(row, row));
    }
    side.steps.resize(kStepsToSettle + 8, side.rows.cols());
}

Trial RemovalState::remove(std::ptrdiff_t unit) {
    residuals_before_ = residuals_;
    removed_.assign(1, unit);
    for (int s = 0; s < 2; ++s) steps_before_[s] = sides_[s].n_steps;
    active_[static_cast<std::size_t>(unit)] = 0;
    std::vector<std::ptrdiff_t> falling{unit};
    while (!falling.empty()) {
        const std::ptrdiff_t next = falling.back();
        falling.pop_back();
        const Trial result = step(sides_[next < n_x_ ? 0 : 1], next, falling);
        if (result != Trial::kept) {
            undo();
            return result;
        }
    }
    return Trial::kept;
}

/// Takes one unit out of its network's span; units of the other network that then are too far are
/// added to `falling`.
Trial RemovalState::step(Side& side, std::ptrdiff_t unit, std::vector<std::ptrdiff_t>& falling) {
    const std::ptrdiff_t row = side.row_of_unit[static_cast<std::size_t>(unit)];
    if (row < 0) return Trial::doubtful;
    if (side.n_steps == side.steps.rows()) {
        side.steps.conservativeResize(2 * side.n_steps, Eigen::NoChange);
    }
    auto step_row = side.steps.row(side.n_steps);
    step_row = side.rows.row(row);
    for (std::ptrdiff_t k = 0; k < side.n_steps; ++k) {
        step_row -= side.steps(k, row) * side.steps.row(k);
    }
    const double pivot = step_row[row];
    if (!(pivot > kLeastDiagonal * side.first_diagonal[static_cast<std::size_t>(row)])) {
        return Trial::doubtful;
    }
    step_row *= 1.0 / std::sqrt(pivot);
    ++side.n_steps;
    const double* growth = step_row.data() + side.rows.rows();
    for (std::size_t i = 0; i < side.other_units.size(); ++i) {
        const std::size_t other = static_cast<std::size_t>(side.other_units[i]);
        if (!active_[other]) continue;
        const double residual = residuals_[other] += growth[i] * growth[i];
        if (std::abs(residual - threshold_) <= kDoubt * (residual - first_residuals_[other])) {
            return Trial::doubtful;
        }
        if (residual <= threshold_) continue;
        if (locked_[other]) return Trial::rejected;
        active_[other] = 0;
        removed_.push_back(side.other_units[i]);
        falling.push_back(side.other_units[i]);
    }
    return Trial::kept;
}

void RemovalState::undo() {
    residuals_.swap(residuals_before_);
    for (const std::ptrdiff_t unit : removed_) active_[static_cast<std::size_t>(unit)] = 1;
    removed_.clear();
    for (int s = 0; s < 2; ++s) sides_[s].n_steps = steps_before_[s];
}

void RemovalState::settle() {
    for (Side& side : sides_) {
        if (side.n_steps >= kStepsToSettle) settle(side);
    }
}

/// Applies the steps to the rows of units that may still leave, and drops all that is not needed.
void RemovalState::settle(Side& side) {
    const std::ptrdiff_t n_rows = side.rows.rows();
    std::vector<std::ptrdiff_t> chosen, columns, row_units, other_units;
    std::vector<double> first_diagonal;
    for (std::ptrdiff_t row = 0; row < n_rows; ++row) {
        const std::size_t unit =
            static_cast<std::size_t>(side.row_units[static_cast<std::size_t>(row)]);
        side.row_of_unit[unit] = -1;
        if (!active_[unit] || locked_[unit]) continue;
        side.row_of_unit[unit] = static_cast<std::ptrdiff_t>(chosen.size());
        chosen.push_back(row);
        row_units.push_back(side.row_units[static_cast<std::size_t>(row)]);
        first_diagonal.push_back(side.first_diagonal[static_cast<std::size_t>(row)]);
    }
    columns = chosen;
    for (std::size_t i = 0; i < side.other_units.size(); ++i) {
        if (!active_[static_cast<std::size_t>(side.other_units[i])]) continue;
        columns.push_back(n_rows + static_cast<std::ptrdiff_t>(i));
        other_units.push_back(side.other_units[i]);
    }
    const auto steps = side.steps.topRows(side.n_steps);
    const Rows step_columns = steps(Eigen::all, columns);
    const MatrixXd factors = steps(Eigen::all, chosen);
    Rows rows = side.rows(chosen, columns);
    rows.noalias() -= factors.transpose() * step_columns;
    side.rows.swap(rows);
    side.row_units.swap(row_units);
    side.other_units.swap(other_units);
    side.first_diagonal.swap(first_diagonal);
    side.n_steps = 0;
    side.steps.resize(kStepsToSettle + 8, side.rows.cols());
}

}  // namespace convergent
