#include "removal_search.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace convergent {

namespace {

using Units = std::vector<std::ptrdiff_t>;

/// A run goes back as a whole once more than this share of a group does not survive a part of it:
/// units that need each other should stay together.
constexpr std::size_t kSurvivorsPerFailure = 8;

std::vector<char> complement(const std::vector<char>& flags) {
    std::vector<char> others(flags.size());
    std::transform(flags.begin(), flags.end(), others.begin(), [](char flag) { return !flag; });
    return others;
}

Units members_of(const Units& units, const std::vector<char>& flags, bool wanted = true) {
    Units found;
    for (const std::ptrdiff_t unit : units) {
        if ((flags[static_cast<std::size_t>(unit)] != 0) == wanted) found.push_back(unit);
    }
    return found;
}

/// What an ascending list shares with another.
Units shared(const Units& a, Units b) {
    std::sort(b.begin(), b.end());
    Units both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    return both;
}

Units difference(const Units& a, const Units& b) {
    Units rest;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest));
    return rest;
}

std::ptrdiff_t count(const Units& units) { return static_cast<std::ptrdiff_t>(units.size()); }

}  // namespace

std::vector<char> joined(const MatchCascade& cascade) {
    std::vector<char> active = cascade.active_x();
    active.insert(active.end(), cascade.active_y().begin(), cascade.active_y().end());
    return active;
}

ClosestDecision decisions_of(const MatchCascade& cascade, double epsilon) {
    ClosestDecision closest;
    const auto add = [&](const std::vector<char>& active, const std::vector<double>& residuals) {
        for (std::size_t unit = 0; unit < active.size(); ++unit) {
            if (active[unit]) {
                closest.stayed = std::max(closest.stayed, residuals[unit]);
            } else if (residuals[unit] > epsilon * epsilon) {  // as it was when the unit fell
                closest.fell = std::min(closest.fell, residuals[unit]);
            }
        }
    };
    add(cascade.active_x(), cascade.span_y().residuals());
    add(cascade.active_y(), cascade.span_x().residuals());
    return closest;
}

Group RemovalSearch::start(std::ptrdiff_t order, Units units) const {
    Group group;
    group.order = order;
    group.units = std::move(units);
    group.active = joined(maximum_);
    group.locked.assign(group.active.size(), 0);
    return group;
}

std::optional<FoundMatch> RemovalSearch::refine(Group group, const Later& later) const {
    if (!group.state && !group.exact) take_up(group, maximum_);
    if (!group.origin) lock_last(group);
    const std::size_t n_units = orders_[static_cast<std::size_t>(group.order)].size();
    while (group.origin || group.position < n_units) {
        stop_.check();
        if (!group.origin) {
            try_next(group, later);
        } else if (!share_run(group, later)) {
            return std::nullopt;
        }
    }
    end_run(group, n_units, later);
    if (group.state) note(group.state->closest());
    return FoundMatch{group.order, std::move(group.active), std::move(group.units)};
}

ClosestDecision RemovalSearch::closest() const {
    const std::lock_guard<std::mutex> lock(closest_mutex_);
    return closest_;
}

void RemovalSearch::note(const ClosestDecision& decision) const {
    const std::lock_guard<std::mutex> lock(closest_mutex_);
    closest_.merge(decision);
}

void RemovalSearch::take_up(Group& group, const MatchCascade& cascade) const {
    group.active = joined(cascade);
    if (group.state) note(group.state->closest());
    group.state = RemovalState::of(cascade, group.locked, epsilon_, stop_);
    group.exact.reset();
    if (!group.state) group.exact.emplace(cascade);
    if (group.state) group.state->watch(group.units);
}

void RemovalSearch::lock(Group& group, std::ptrdiff_t unit) const {
    group.locked[static_cast<std::size_t>(unit)] = 1;
    if (group.state) group.state->lock(unit);
}

/// A unit that is alone in its group may not leave.
void RemovalSearch::lock_last(Group& group) const {
    if (group.units.size() == 1) lock(group, group.units.front());
}

void RemovalSearch::settle(Group& group) const {
    group.state->settle();
    group.locked = group.state->locked();
}

/// Restricts a group to some of its units.
void RemovalSearch::narrow(Group& group, Units units) const {
    group.units = std::move(units);
    if (group.state) group.state->watch(group.units);
}

/// A group of its own for some of the units, with the same state.
Group RemovalSearch::branch(const Group& group, Units units) const {
    Group other;
    other.order = group.order;
    other.position = group.position;
    other.units = std::move(units);
    other.active = group.active;
    other.locked = group.locked;
    if (group.state) other.state.emplace(group.state->branch());
    if (group.exact) other.exact = group.exact;
    if (other.state) other.state->watch(other.units);
    other.longest_run = group.longest_run;
    other.pending = group.pending;
    other.origin = group.origin;
    return other;
}

void RemovalSearch::try_next(Group& group, const Later& later) const {
    const std::size_t position = group.position;
    const std::ptrdiff_t unit = orders_[static_cast<std::size_t>(group.order)][position];
    const std::size_t index = static_cast<std::size_t>(unit);
    std::optional<Group> other;
    if (group.active[index] && !group.locked[index]) {
        begin_run(group);
        ++group.position;
        other = try_without(group, unit);
    } else {
        ++group.position;
    }
    if (group.active[index]) {
        end_run(group, position, later);
    } else if (group.run) {
        group.run->removed.push_back(unit);
        if (group.run->removed.size() >= group.longest_run) {
            end_run(group, group.position, later);
        }
    }
    if (!other) return;
    if (other->units.size() < group.units.size()) std::swap(*other, group);
    later(std::move(*other));
}

/// Removes a unit for those of the group that can do without it. Those that cannot are returned as
/// a group of their own, if there are both; the unit is locked for them.
std::optional<Group> RemovalSearch::try_without(Group& group, std::ptrdiff_t unit) const {
    if (!group.state) return try_exactly(group, unit, *group.exact);
    const std::ptrdiff_t n_may_go = count(group.units) - 1;
    Trial trial = group.state->remove({unit}, n_may_go, stop_);
    if (trial == Trial::doubtful) {
        MatchCascade cascade = maximum_;
        cascade.remove(complement(group.active), stop_);
        take_up(group, cascade);
        trial = group.state ? group.state->remove({unit}, n_may_go, stop_) : Trial::doubtful;
        if (trial == Trial::doubtful) return try_exactly(group, unit, cascade);
    }
    if (trial == Trial::kept) return keep_fast(group, unit);
    lock(group, unit);
    settle(group);
    return std::nullopt;
}

std::optional<Group> RemovalSearch::keep_fast(Group& group, std::ptrdiff_t unit) const {
    std::vector<char> active = group.state->active();
    Units kept = members_of(group.units, active), fallen = members_of(group.units, active, false);
    std::optional<Group> without;
    if (group.run && fallen.size() == 1 && fallen.front() == unit) {
        group.run->put_off.push_back(unit);
        narrow(group, std::move(kept));
    } else if (!fallen.empty()) {
        without.emplace(branch(group, std::move(fallen)));
        lock(*without, unit);
        lock_last(*without);
        if (without->units.size() == 1) settle(*without);
        narrow(group, std::move(kept));
    }
    group.state->keep();
    group.active = std::move(active);
    lock_last(group);
    settle(group);
    return without;
}

std::optional<Group> RemovalSearch::try_exactly(Group& group, std::ptrdiff_t unit,
                                                const MatchCascade& before) const {
    MatchCascade cascade = before;
    std::vector<char> leaving(group.active.size(), 0);
    leaving[static_cast<std::size_t>(unit)] = 1;
    cascade.remove(leaving, stop_);
    cascade.shrink_to(epsilon_, stop_);
    const std::vector<char> active = joined(cascade);
    Units kept = members_of(group.units, active);
    ClosestDecision decisions = decisions_of(cascade, epsilon_);
    if (kept.empty()) decisions.stayed = ClosestDecision().stayed;  // that others fell suffices
    note(decisions);
    if (kept.empty()) {
        lock(group, unit);
        return std::nullopt;
    }
    std::optional<Group> without;
    if (kept.size() < group.units.size()) {
        without.emplace(branch(group, members_of(group.units, active, false)));
        lock(*without, unit);
        narrow(group, std::move(kept));
    }
    take_up(group, cascade);
    return without;
}

void RemovalSearch::begin_run(Group& group) const {
    if (group.run || !group.state || group.units.size() == 1 || group.longest_run == 1) return;
    group.run = Run{std::make_shared<const Group>(branch(group, group.units)), {}, {}};
}

/// Sends the units that were put off on their way.
void RemovalSearch::end_run(Group& group, std::size_t position, const Later& later) const {
    if (!group.run) return;
    Run run = std::move(*group.run);
    group.run.reset();
    if (run.put_off.empty()) return;
    std::sort(run.put_off.begin(), run.put_off.end());
    Group others = branch(*run.origin, std::move(run.put_off));
    others.position = position;
    others.longest_run = std::max<std::size_t>(1, run.removed.size() / 2);
    others.pending = std::move(run.removed);
    others.origin = std::move(run.origin);
    later(std::move(others));
}

/// Removes the second half of what is pending for the units that are in the first half, and the
/// first half for the others. Returns whether anyone is left.
bool RemovalSearch::share_run(Group& group, const Later& later) const {
    group.pending = members_of(group.pending, group.active);
    const std::size_t n_pending = group.pending.size();
    const bool shares = !shared(group.units, group.pending).empty();
    if (n_pending == 0 || (n_pending == 1 && shares && group.units.size() == 1)) {
        group.pending.clear();
        group.origin.reset();
        group.longest_run *= 4;
        lock_last(group);
        if (group.units.size() == 1) settle(group);
        return true;
    }
    const auto middle = group.pending.begin() + (count(group.pending) + 1) / 2;
    const Units first(group.pending.begin(), shares ? middle : group.pending.end());
    const Units second(shares ? middle : group.pending.end(), group.pending.end());
    Units of_first = shared(group.units, first), rest = difference(group.units, of_first);
    if (rest.empty()) {
        leave(group, second, first, later);
        return !group.units.empty();
    }
    std::optional<Group> other;
    if (!of_first.empty()) {
        other.emplace(branch(group, std::move(of_first)));
        narrow(group, std::move(rest));
        leave(*other, second, first, later);
    }
    leave(group, first, second, later);
    if (!other || other->units.empty()) return !group.units.empty();
    if (group.units.empty() || other->units.size() < group.units.size()) std::swap(*other, group);
    if (!other->units.empty()) later(std::move(*other));
    return true;
}

/// Removes units from a group in the middle of a run, others being pending still; who does not
/// survive goes back.
void RemovalSearch::leave(Group& group, const Units& leaving, const Units& pending,
                          const Later& later) const {
    group.pending = pending;
    if (group.units.size() == 1) lock_last(group);
    const std::ptrdiff_t n_may_go = count(group.units) / kSurvivorsPerFailure;
    Units units = members_of(leaving, group.active);
    if (units.empty()) return;
    if (group.state->remove(units, n_may_go, stop_) != Trial::kept) {
        go_back(group, std::exchange(group.units, {}), later);
        return;
    }
    group.state->keep();
    group.active = group.state->active();
    Units fallen = members_of(group.units, group.active, false);
    if (!fallen.empty()) {
        narrow(group, members_of(group.units, group.active));
        go_back(group, std::move(fallen), later);
    }
    settle(group);
}

/// Puts units of a group that do not survive its run back to where it began.
void RemovalSearch::go_back(const Group& group, Units units, const Later& later) const {
    Group again = branch(*group.origin, std::move(units));
    again.longest_run = group.longest_run;
    later(std::move(again));
}

}  // namespace convergent
