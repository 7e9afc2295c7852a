#include "removal_state.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace convergent {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kLeastDiagonal =
    1e-6;                        // below this share of its first value a pivot has lost its digits
constexpr double kDoubt = 1e-8;  // relative error of what a residual grew by, generously
constexpr std::ptrdiff_t kStepsToSettle = 24;
constexpr std::ptrdiff_t kStepsToSettleInTrial = 128;
constexpr std::size_t kLocksToLookAt = 4;
/// Rows are settled once trials have cost this share of what settling costs, and that is about as
/// if there were so many steps more.
constexpr double kTrialsPerSettling = 0.3;
constexpr std::ptrdiff_t kStepsForMemory = 24;

}  // namespace

RemovalState::RemovalState(std::ptrdiff_t n_x, double threshold, std::vector<char> active,
                           std::vector<char> locked)
    : n_x_(n_x), threshold_(threshold), active_(std::move(active)), locked_(std::move(locked)) {
    waiting_.assign(active_.size(), 0);
}

/// The least residual r with |r - threshold| within the error of r - first, or above it.
double RemovalState::alarm(double first_residual) const {
    return (threshold_ + kDoubt * first_residual) / (1.0 + kDoubt);
}

RemovalState RemovalState::branch() const {
    if (saved_) return saved_->branch();
    RemovalState state(n_x_, threshold_, active_, locked_);
    state.watched_ = watched_;
    state.new_locks_ = new_locks_;
    state.closest_ = closest_;
    state.trial_work_ = trial_work_;
    for (int s = 0; s < 2; ++s) {
        const Side& from = sides_[s];
        Side& to = state.sides_[s];
        to.frame = from.frame;
        to.residuals = from.n_steps > from.n_steps_before ? from.residuals_before : from.residuals;
        to.alarms = from.alarms;
        to.steps = from.steps.topRows(from.n_steps_before);
        to.n_steps = to.n_steps_before = from.n_steps_before;
    }
    for (const std::ptrdiff_t unit : removed_) state.look_at(unit);
    return state;
}

Trial RemovalState::remove(const Units& leaving, std::ptrdiff_t n_may_go, const StopToken& stop) {
    removed_.clear();
    proposed_ = {};
    n_may_go_ = n_may_go;
    any_doubt_ = false;
    for (Side& side : sides_) side.n_steps_before = side.n_steps;
    Trial result = take_out(leaving);
    for (std::size_t next = 0; result == Trial::kept && next < removed_.size(); ++next) {
        stop.check();
        const std::ptrdiff_t unit = removed_[next];
        Side& side = sides_[unit < n_x_ ? 0 : 1];
        if (side.n_steps >= side.n_steps_before + kStepsToSettleInTrial) {
            if (!saved_) saved_ = std::make_unique<RemovalState>(branch());
            settle(side);
        }
        Units falling;
        result = step(side, unit, falling);
        waiting_[at(unit)] = 0;
        if (result == Trial::kept) result = take_out(falling);
    }
    if (result == Trial::kept && any_doubt_) {
        for (const Side& side : sides_) {
            if ((side.residuals >= side.alarms).any()) result = Trial::doubtful;
        }
    }
    if (result != Trial::kept) {
        const ClosestDecision decision = proposed_;
        undo();
        if (result == Trial::rejected) closest_.merge(decision);
    }
    return result;
}

/// Units that leave are no longer looked at.
Trial RemovalState::take_out(const Units& leaving) {
    for (const std::ptrdiff_t unit : leaving) {
        if (locked_[at(unit)] || (watched_[at(unit)] && n_may_go_-- == 0)) return Trial::rejected;
        Side& side = sides_[unit < n_x_ ? 1 : 0];
        active_[at(unit)] = 0;
        waiting_[at(unit)] = 1;
        side.alarms[side.frame->column_of_unit[at(unit)]] = kNever;
        removed_.push_back(unit);
    }
    return Trial::kept;
}

/// Takes one unit out of its network's span; units of the other network that then are too far are
/// added to `falling`.
Trial RemovalState::step(Side& side, std::ptrdiff_t unit, Units& falling) {
    const Frame& frame = *side.frame;
    const std::ptrdiff_t row = frame.row_of_unit[at(unit)];
    if (row < 0) return Trial::doubtful;
    const std::ptrdiff_t k = side.n_steps, n_others = frame.n_others(), n_rows = frame.n_rows();
    if (k == side.steps.rows()) {
        side.steps.conservativeResize(std::max<std::ptrdiff_t>(8, 2 * k), Eigen::NoChange);
    }
    trial_work_ += static_cast<double>((k + 4) * frame.rows.cols());
    const auto steps = side.steps.topRows(k);
    const Eigen::VectorXd factors = steps.col(n_others + row);
    const double pivot = frame.rows(row, n_others + row) - factors.squaredNorm();
    if (!(pivot > kLeastDiagonal * frame.first_diagonal[row])) return Trial::doubtful;

    auto step_row = side.steps.row(k);
    const double scale = 1.0 / std::sqrt(pivot);
    const auto compute = [&](std::ptrdiff_t begin, std::ptrdiff_t length) {
        auto part = step_row.segment(begin, length);
        part = frame.rows.row(row).segment(begin, length);
        if (k > 0) part.noalias() -= factors.transpose() * steps.middleCols(begin, length);
        part *= scale;
    };
    compute(0, n_others);
    if (k == side.n_steps_before) side.residuals.swap(side.residuals_before);
    const Eigen::ArrayXd& before =
        k == side.n_steps_before ? side.residuals_before : side.residuals;
    side.residuals = before + step_row.head(n_others).transpose().array().square();
    ++side.n_steps;
    if (n_others > 0 && (side.residuals - side.alarms).maxCoeff() >= 0.0) {
        const Trial result = judge(side, falling);
        if (result != Trial::kept) return result;
    }
    compute(n_others, n_rows);
    return Trial::kept;
}

/// Looks at the units whose residuals raised an alarm. A locked unit that fell clearly decides;
/// a unit in doubt stays for now, since it may fall yet, or not matter where others are lost.
Trial RemovalState::judge(Side& side, Units& falling) {
    const Frame& frame = *side.frame;
    double of_locked = -kNever, least = kNever;
    for (std::ptrdiff_t i = 0; i < frame.n_others(); ++i) {
        const double residual = side.residuals[i];
        if (residual < side.alarms[i]) continue;
        const std::ptrdiff_t unit = frame.other_units[at(i)];
        if (std::abs(residual - threshold_) <= kDoubt * (residual - frame.first_residuals[i])) {
            any_doubt_ = true;
        } else if (residual > threshold_) {
            if (locked_[at(unit)]) of_locked = std::max(of_locked, residual);
            falling.push_back(unit);
            least = std::min(least, residual);
        }
    }
    const bool rejected = of_locked > threshold_;
    proposed_.fell = std::min(proposed_.fell, rejected ? of_locked : least);
    return rejected ? Trial::rejected : Trial::kept;
}

void RemovalState::keep() {
    for (Side& side : sides_) {
        if ((saved_ || side.n_steps > side.n_steps_before) && side.residuals.size() > 0) {
            const auto stayed = (side.alarms < kNever).select(side.residuals, -kNever);
            proposed_.stayed = std::max(proposed_.stayed, stayed.maxCoeff());
        }
        side.n_steps_before = side.n_steps;
    }
    closest_.merge(proposed_);
    removed_.clear();
    if (!saved_) return;
    saved_.reset();
    renew_locks();
}

void RemovalState::undo() {
    if (saved_) {
        const std::unique_ptr<RemovalState> saved = std::move(saved_);
        *this = std::move(*saved);
        return;
    }
    for (Side& side : sides_) {
        if (side.n_steps > side.n_steps_before) side.residuals.swap(side.residuals_before);
        side.n_steps = side.n_steps_before;
    }
    for (const std::ptrdiff_t unit : removed_) {
        look_at(unit);
        waiting_[at(unit)] = 0;
    }
    removed_.clear();
}

/// Takes an active unit's residual into account (again).
void RemovalState::look_at(std::ptrdiff_t unit) {
    Side& side = sides_[unit < n_x_ ? 1 : 0];
    const std::ptrdiff_t column = side.frame->column_of_unit[at(unit)];
    active_[at(unit)] = 1;
    side.alarms[column] = alarm(side.frame->first_residuals[column]);
}

void RemovalState::lock(std::ptrdiff_t unit) {
    locked_[at(unit)] = 1;
    new_locks_.push_back(unit);
}

void RemovalState::watch(const Units& units) {
    watched_.assign(active_.size(), 0);
    for (const std::ptrdiff_t unit : units) watched_[at(unit)] = 1;
}

void RemovalState::settle() {
    if (new_locks_.size() >= kLocksToLookAt) lock_necessary();
    while (settling_pays()) {
        for (Side& side : sides_) settle(side);
        trial_work_ = 0.0;
        renew_locks();
        lock_necessary();
    }
}

bool RemovalState::settling_pays() const {
    std::ptrdiff_t n_rows = 0, n_needed = 0, n_steps = 0;
    double work = 0.0;
    for (const Side& side : sides_) {
        n_rows += side.frame->n_rows();
        n_steps = std::max(n_steps, side.n_steps);
        work += static_cast<double>(side.frame->rows.size() * (side.n_steps + kStepsForMemory));
        for (const std::ptrdiff_t unit : side.frame->row_units) {
            n_needed += active_[at(unit)] && !locked_[at(unit)];
        }
    }
    return n_steps >= kStepsToSettle || 3 * n_needed < 2 * n_rows ||
           (n_steps > 0 && trial_work_ > kTrialsPerSettling * work);
}

/// The frames are new: every locked unit is to be looked at.
void RemovalState::renew_locks() {
    new_locks_.clear();
    for (const Side& side : sides_) {
        for (const std::ptrdiff_t unit : side.frame->other_units) {
            if (locked_[at(unit)]) new_locks_.push_back(unit);
        }
    }
}

void RemovalState::lock_necessary() {
    Units found = std::move(new_locks_);
    new_locks_.clear();
    while (!found.empty()) {
        Units columns[2];
        for (const std::ptrdiff_t unit : found) {
            const int s = unit < n_x_ ? 1 : 0;
            columns[s].push_back(sides_[s].frame->column_of_unit[at(unit)]);
        }
        found.clear();
        for (int s = 0; s < 2; ++s) lock_necessary(*sides_[s].frame, columns[s], found);
    }
}

/// Locks, and appends to `found`, the units of rows without which one of the locked units in
/// `columns` would clearly have fallen when the frame was made.
void RemovalState::lock_necessary(const Frame& frame, const Units& columns, Units& found) {
    if (columns.empty()) return;
    const std::ptrdiff_t n_others = frame.n_others();
    const bool many = 8 * static_cast<std::ptrdiff_t>(columns.size()) > n_others;
    Eigen::RowVectorXd limits = Eigen::RowVectorXd::Constant(n_others, kNever);
    for (const std::ptrdiff_t i : columns) {
        // r + g is clearly too large where r + g - threshold > kDoubt (r + g - first).
        const double grown = frame.residuals[i] - frame.first_residuals[i];
        limits[i] = (threshold_ - frame.residuals[i] + kDoubt * grown) / (1.0 - kDoubt);
    }
    for (std::ptrdiff_t row = 0; row < frame.n_rows(); ++row) {
        const std::ptrdiff_t unit = frame.row_units[at(row)];
        if (locked_[at(unit)] || !active_[at(unit)]) continue;
        const double pivot = frame.rows(row, n_others + row);
        if (!(pivot > kLeastDiagonal * frame.first_diagonal[row])) continue;
        const auto values = frame.rows.row(row).head(n_others).array();
        const auto too_far = [&](std::ptrdiff_t i) {
            return values[i] * values[i] > pivot * limits[i];
        };
        if (many ? !((values.square() - pivot * limits.array()).maxCoeff() > 0.0)
                 : std::none_of(columns.begin(), columns.end(), too_far)) {
            continue;
        }
        double largest = -kNever;
        for (const std::ptrdiff_t i : columns) {
            largest = std::max(largest, frame.residuals[i] + values[i] * values[i] / pivot);
        }
        closest_.fell = std::min(closest_.fell, largest);
        locked_[at(unit)] = 1;
        found.push_back(unit);
    }
}

}  // namespace convergent
