#include "convergent/minimal_match.hpp"

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "parallel.hpp"
#include "removal_search.hpp"

namespace convergent {

namespace {

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

MinimalMatches minimal_matches(const MatchCascade& maximum, double epsilon,
                               const std::vector<char>& wanted,
                               const std::vector<RemovalOrder>& orders, int n_threads,
                               const StopToken& stop, const StopToken& halt,
                               std::atomic<std::ptrdiff_t>& n_done) {
    std::vector<std::ptrdiff_t> units;
    const std::vector<char> active = joined(maximum);
    for (std::size_t unit = 0; unit < active.size(); ++unit) {
        if (active[unit] && wanted[unit]) units.push_back(static_cast<std::ptrdiff_t>(unit));
    }
    ClosestDecision closest = decisions_of(maximum, epsilon);
    std::vector<FoundMatch> found;
    if (units.empty()) return {found, closest.margin(epsilon)};
    const StopToken either(stop, halt);
    const RemovalSearch search(maximum, epsilon, orders, either);
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
    try {
        parallel_for(n_threads, n_threads, stop, [&](std::ptrdiff_t) { waiting.serve(work); });
    } catch (const Interrupted&) {
        if (stop.requested()) throw;  // else it was halted: what there is will do
    }
    std::sort(found.begin(), found.end(), [](const FoundMatch& a, const FoundMatch& b) {
        return std::make_tuple(a.order, a.of_units.front()) <
               std::make_tuple(b.order, b.of_units.front());
    });
    closest.merge(search.closest());
    return {std::move(found), closest.margin(epsilon)};
}

AllMatches all_minimal_matches(const MatchCascade& maximum, double epsilon, std::ptrdiff_t unit,
                               const RemovalOrder& order, std::ptrdiff_t n_limit,
                               std::ptrdiff_t n_searches, const StopToken& stop) {
    AllMatches result{{}, true, 0.0};
    ClosestDecision closest = decisions_of(maximum, epsilon);
    const std::vector<RemovalOrder> orders{order};
    std::vector<std::vector<std::ptrdiff_t>> pending{{}};  // units to leave out, ascending
    std::set<std::vector<std::ptrdiff_t>> seen{{}};
    for (std::size_t next = 0; next < pending.size(); ++next) {
        if (n_searches-- == 0) {
            result.complete = false;
            break;
        }
        const std::vector<std::ptrdiff_t> left_out = pending[next];
        const auto avoids = [&](const FoundMatch& match) {
            return std::none_of(left_out.begin(), left_out.end(), [&](std::ptrdiff_t u) {
                return match.members[static_cast<std::size_t>(u)] != 0;
            });
        };
        auto match = std::find_if(result.matches.begin(), result.matches.end(), avoids);
        if (match == result.matches.end()) {
            MatchCascade cascade = maximum;
            std::vector<char> leaving(order.size(), 0);
            for (const std::ptrdiff_t u : left_out) leaving[static_cast<std::size_t>(u)] = 1;
            cascade.remove(leaving, stop);
            cascade.shrink_to(epsilon, stop);
            closest.merge(decisions_of(cascade, epsilon));
            if (!joined(cascade)[static_cast<std::size_t>(unit)]) continue;
            if (static_cast<std::ptrdiff_t>(result.matches.size()) == n_limit) {
                result.complete = false;
                break;
            }
            const RemovalSearch search(cascade, epsilon, orders, stop);
            result.matches.push_back(*search.refine(search.start(0, {unit}), [](Group) {}));
            closest.merge(search.closest());
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
    result.margin = closest.margin(epsilon);
    return result;
}

}  // namespace convergent
