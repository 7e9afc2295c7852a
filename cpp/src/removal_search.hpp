#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "closest_decision.hpp"
#include "convergent/minimal_match.hpp"
#include "removal_state.hpp"

namespace convergent {

/// Whether each unit is still in the match, x first.
std::vector<char> joined(const MatchCascade& cascade);
/// The closest of the decisions that shrink_to(epsilon) took last.
ClosestDecision decisions_of(const MatchCascade& cascade, double epsilon);

struct Group;

/// Removals in a row that a group survives. A unit that leaves the group only since it is removed
/// itself is put off: with itself kept it probably survives all of them.
struct Run {
    std::shared_ptr<const Group> origin;  ///< the group as it was before
    std::vector<std::ptrdiff_t> removed;  ///< in order
    std::vector<std::ptrdiff_t> put_off;
};

/// Units that gave the same answer to every removal so far, and the match that is left.
struct Group {
    std::ptrdiff_t order = 0;
    std::size_t position = 0;
    std::vector<std::ptrdiff_t> units;
    std::vector<char> active, locked;
    std::optional<RemovalState> state;  ///< where the units allow it
    std::optional<MatchCascade> exact;  ///< else
    std::optional<Run> run;             ///< the one that goes on
    std::size_t longest_run = std::numeric_limits<std::size_t>::max();
    /// For units that were put off: what of the run is still to be removed, each unit keeping
    /// itself, and where to go back to if they do not survive it.
    std::vector<std::ptrdiff_t> pending;
    std::shared_ptr<const Group> origin;
};

/// Runs Algorithm 2 for groups of units until each is left with a minimal match.
///
/// Most units leave their group only because they are removed themselves: as many groups of one
/// that have all but one of a run of removals in common. They share those by halves: the second
/// half is removed for those of the first, the first half for those of the second, and so on. Who
/// survives the run as a whole survives every trial of it, and is left with the same match, since
/// matches within smaller sets are smaller; the others go back to where the run began.
class RemovalSearch {
 public:
    using Later = std::function<void(Group)>;

    RemovalSearch(const MatchCascade& maximum, double epsilon,
                  const std::vector<RemovalOrder>& orders, const StopToken& stop)
        : maximum_(maximum), epsilon_(epsilon), orders_(orders), stop_(stop) {}

    Group start(std::ptrdiff_t order, std::vector<std::ptrdiff_t> units) const;
    /// Refines one group to the end, following the smaller part at each split; the other parts go
    /// to `later`. Returns nothing when nobody survived the group's run.
    std::optional<FoundMatch> refine(Group group, const Later& later) const;
    /// The closest of the decisions of the groups that were refined so far.
    ClosestDecision closest() const;

 private:
    void take_up(Group& group, const MatchCascade& cascade) const;
    void lock(Group& group, std::ptrdiff_t unit) const;
    void lock_last(Group& group) const;
    void settle(Group& group) const;
    void narrow(Group& group, std::vector<std::ptrdiff_t> units) const;
    void note(const ClosestDecision& decision) const;
    Group branch(const Group& group, std::vector<std::ptrdiff_t> units) const;

    void try_next(Group& group, const Later& later) const;
    std::optional<Group> try_without(Group& group, std::ptrdiff_t unit) const;
    std::optional<Group> keep_fast(Group& group, std::ptrdiff_t unit) const;
    std::optional<Group> try_exactly(Group& group, std::ptrdiff_t unit,
                                     const MatchCascade& before) const;
    void begin_run(Group& group) const;
    void end_run(Group& group, std::size_t position, const Later& later) const;
    bool share_run(Group& group, const Later& later) const;
    void leave(Group& group, const std::vector<std::ptrdiff_t>& leaving,
               const std::vector<std::ptrdiff_t>& pending, const Later& later) const;
    void go_back(const Group& group, std::vector<std::ptrdiff_t> units, const Later& later) const;

    const MatchCascade& maximum_;
    double epsilon_;
    const std::vector<RemovalOrder>& orders_;
    const StopToken& stop_;
    mutable std::mutex closest_mutex_;
    mutable ClosestDecision closest_;
};

}  // namespace convergent
