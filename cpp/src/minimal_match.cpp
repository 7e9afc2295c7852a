#include "convergent/minimal_match.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "parallel.hpp"
#include "removal_state.hpp"

namespace convergent {

namespace {

std::vector<char> joined(const MatchCascade& cascade) {
    std::vector<char> active = cascade.active_x();
    active.insert(active.end(), cascade.active_y().begin(), cascade.active_y().end());
    return active;
}

std::vector<char> complement(const std::vector<char>& flags) {
    std::vector<char> others(flags.size());
    std::transform(flags.begin(), flags.end(), others.begin(), [](char flag) { return !flag; });
    return others;
}

std::vector<std::ptrdiff_t> members_of(const std::vector<std::ptrdiff_t>& units,
                                       const std::vector<char>& flags) {
    std::vector<std::ptrdiff_t> found;
    for (const std::ptrdiff_t unit : units) {
        if (flags[static_cast<std::size_t>(unit)]) found.push_back(unit);
    }
    return found;
}

/// Units that gave the same answer to every removal so far, and the match that is left.
struct Group {
    std::ptrdiff_t order;
    std::size_t position;
    std::vector<std::ptrdiff_t> units;
    std::vector<char> active, locked;
    std::optional<RemovalState> state;  ///< where the units allow it
    std::optional<MatchCascade> exact;  ///< else
};

/// Runs Algorithm 2 for groups of units until each is left with a minimal match.
class Search {
 public:
    Search(const MatchCascade& maximum, double epsilon, const std::vector<RemovalOrder>& orders,
           const StopToken& stop, const StopToken& halt)
        : maximum_(maximum), epsilon_(epsilon), orders_(orders), stop_(stop), halt_(halt) {}

    Group start(std::ptrdiff_t order, std::vector<std::ptrdiff_t> units) const {
        Group group{order, 0, std::move(units), joined(maximum_), {}, {}, {}};
        group.locked.assign(group.active.size(), 0);
        return group;
    }

    /// Refines one group to the end, following the smaller half at each split; the other halves go
    /// to `later`. Returns nothing when halted.
    template <class Later>
    std::optional<FoundMatch> refine(Group group, Later&& later) const {
        if (halt_.requested()) return std::nullopt;  // before the work that a new order begins with
        if (!group.state && !group.exact) take_up(group, maximum_);
        lock_last(group);
        const RemovalOrder& order = orders_[static_cast<std::size_t>(group.order)];
        while (group.position < order.size()) {
            stop_.check();
            if (halt_.requested()) return std::nullopt;
            const std::ptrdiff_t unit = order[group.position++];
            const std::size_t index = static_cast<std::size_t>(unit);
            if (!group.active[index] || group.locked[index]) continue;
            std::optional<Group> other = try_without(group, unit);
            if (other) {
                if (other->units.size() < group.units.size()) std::swap(*other, group);
                later(std::move(*other));
            }
            lock_last(group);
        }
        return FoundMatch{group.order, std::move(group.active), std::move(group.units)};
    }

 private:
    void take_up(Group& group, const MatchCascade& cascade) const {
        group.active = joined(cascade);
        if (RemovalState::suits(cascade)) {
            group.exact.reset();
            group.state.emplace(cascade, group.locked, epsilon_);
        } else {
            group.state.reset();
            group.exact.emplace(cascade);
        }
    }

    /// A unit that is alone in its group may not leave.
    void lock_last(Group& group) const {
        if (group.units.size() == 1) lock(group, group.units.front());
    }

    void lock(Group& group, std::ptrdiff_t unit) const {
        group.locked[static_cast<std::size_t>(unit)] = 1;
        if (group.state) group.state->lock(unit);
    }

    /// Removes a unit for those of the group that can do without it. Those that cannot are returned
    /// as a group of their own, if there are both; the unit is locked for them.
    std::optional<Group> try_without(Group& group, std::ptrdiff_t unit) const {
        if (!group.state) return try_exactly(group, unit, *group.exact);
        Trial trial = group.state->remove(unit);
        if (trial == Trial::doubtful) {
            MatchCascade cascade = maximum_;
            cascade.remove(complement(group.active), stop_);
            take_up(group, cascade);
            trial = group.state ? group.state->remove(unit) : Trial::doubtful;
            if (trial == Trial::doubtful) return try_exactly(group, unit, cascade);
        }
        if (trial == Trial::rejected) {
            lock(group, unit);
            return std::nullopt;
        }
        return keep_fast(group, unit);
    }

    std::optional<Group> keep_fast(Group& group, std::ptrdiff_t unit) const {
        std::vector<std::ptrdiff_t> kept = members_of(group.units, group.state->active());
        if (kept.empty()) {
            group.state->undo();
            lock(group, unit);
            return std::nullopt;
        }
        std::optional<Group> without;
        if (kept.size() < group.units.size()) {
            without.emplace(group);
            without->units = members_of(group.units, complement(group.state->active()));
            without->state->undo();
            lock(*without, unit);
            group.units = std::move(kept);
        }
        group.active = group.state->active();
        group.state->settle();
        return without;
    }

    std::optional<Group> try_exactly(Group& group, std::ptrdiff_t unit,
                                     const MatchCascade& before) const {
        MatchCascade cascade = before;
        std::vector<char> leaving(group.active.size(), 0);
        leaving[static_cast<std::size_t>(unit)] = 1;
        cascade.remove(leaving, stop_);
        cascade.shrink_to(epsilon_, stop_);
        const std::vector<char> active = joined(cascade);
        std::vector<std::ptrdiff_t> kept = members_of(group.units, active);
        if (kept.empty()) {
            lock(group, unit);
            return std::nullopt;
        }
        std::optional<Group> without;
        if (kept.size() < group.units.size()) {
            without.emplace(group);
            without->units = members_of(group.units, complement(active));
            lock(*without, unit);
            group.units = std::move(kept);
        }
        take_up(group, cascade);
        return without;
    }

    const MatchCascade& maximum_;
    double epsilon_;
    const std::vector<RemovalOrder>& orders_;
    const StopToken& stop_;
    const StopToken& halt_;
};

/// Groups that wait for a thread. The last one in is the first one out: it is the smallest, and few
/// wait at a time.
class Waiting {
 public:
    void add(Group group) {
        const std::lock_guard<std::mutex> lock(mutex_);
        groups_.push_back(std::move(group));
        changed_.notify_one();
    }

    /// Calls work(group) until no group waits and none is being worked on.
    template <class Work>
    void serve(Work&& work) {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            changed_.wait(lock, [&] { return failed_ || !groups_.empty() || n_busy_ == 0; });
            if (failed_ || groups_.empty()) return;
            Group group = std::move(groups_.back());
            groups_.pop_back();
            ++n_busy_;
            lock.unlock();
            try {
                work(std::move(group));
            } catch (...) {
                fail();
                throw;
            }
            lock.lock();
            if (--n_busy_ == 0 && groups_.empty()) changed_.notify_all();
        }
    }

 private:
    void fail() {
        const std::lock_guard<std::mutex> lock(mutex_);
        failed_ = true;
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Group> groups_;
    std::ptrdiff_t n_busy_ = 0;
    bool failed_ = false;
};

}  // namespace

std::vector<FoundMatch> minimal_matches(const MatchCascade& maximum, double epsilon,
                                        const std::vector<char>& wanted,
                                        const std::vector<RemovalOrder>& orders, int n_threads,
                                        const StopToken& stop, const StopToken& halt,
                                        std::atomic<std::ptrdiff_t>& n_done) {
    std::vector<std::ptrdiff_t> units;
    const std::vector<char> active = joined(maximum);
    for (std::size_t unit = 0; unit < active.size(); ++unit) {
        if (active[unit] && wanted[unit]) units.push_back(static_cast<std::ptrdiff_t>(unit));
    }
    std::vector<FoundMatch> found;
    if (units.empty()) return found;
    const Search search(maximum, epsilon, orders, stop, halt);
    Waiting waiting;
    std::mutex found_mutex;
    for (std::size_t order = orders.size(); order-- > 0;) {
        waiting.add(search.start(static_cast<std::ptrdiff_t>(order), units));
    }
    const auto work = [&](Group group) {
        std::optional<FoundMatch> match =
            search.refine(std::move(group), [&](Group other) { waiting.add(std::move(other)); });
        if (!match) return;
        n_done += static_cast<std::ptrdiff_t>(match->of_units.size());
        const std::lock_guard<std::mutex> lock(found_mutex);
        found.push_back(std::move(*match));
    };
    parallel_for(n_threads, n_threads, stop, [&](std::ptrdiff_t) { waiting.serve(work); });
    std::sort(found.begin(), found.end(), [](const FoundMatch& a, const FoundMatch& b) {
        return std::make_tuple(a.order, a.of_units.front()) <
               std::make_tuple(b.order, b.of_units.front());
    });
    return found;
}

AllMatches all_minimal_matches(const MatchCascade& maximum, double epsilon, std::ptrdiff_t unit,
                               const RemovalOrder& order, std::ptrdiff_t n_limit,
                               std::ptrdiff_t n_searches, const StopToken& stop) {
    AllMatches result{{}, true};
    const std::vector<RemovalOrder> orders{order};
    const StopToken never;
    std::vector<std::vector<std::ptrdiff_t>> pending{{}};  // units to leave out, ascending
    std::set<std::vector<std::ptrdiff_t>> seen{{}};
    for (std::size_t next = 0; next < pending.size(); ++next) {
        if (n_searches-- == 0) {
            result.complete = false;
            return result;
        }
        const std::vector<std::ptrdiff_t> left_out = pending[next];
        const auto avoids = [&](const FoundMatch& match) {
            return members_of(left_out, match.members).empty();
        };
        auto match = std::find_if(result.matches.begin(), result.matches.end(), avoids);
        if (match == result.matches.end()) {
            MatchCascade cascade = maximum;
            std::vector<char> leaving(order.size(), 0);
            for (const std::ptrdiff_t u : left_out) leaving[static_cast<std::size_t>(u)] = 1;
            cascade.remove(leaving, stop);
            cascade.shrink_to(epsilon, stop);
            if (!joined(cascade)[static_cast<std::size_t>(unit)]) continue;
            if (static_cast<std::ptrdiff_t>(result.matches.size()) == n_limit) {
                result.complete = false;
                return result;
            }
            const Search search(cascade, epsilon, orders, stop, never);
            result.matches.push_back(*search.refine(search.start(0, {unit}), [](Group) {}));
            match = result.matches.end() - 1;
        }
        for (std::size_t u = 0; u < match->members.size(); ++u) {
            const std::ptrdiff_t member = static_cast<std::ptrdiff_t>(u);
            if (!match->members[u] || member == unit) continue;
            std::vector<std::ptrdiff_t> more = left_out;
            more.insert(std::upper_bound(more.begin(), more.end(), member), member);
            if (seen.insert(more).second) pending.push_back(std::move(more));
        }
    }
    return result;
}

}  // namespace convergent
