#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

#include "convergent/stop_token.hpp"
#include "convergent/subspace.hpp"

namespace convergent {

/// A minimal match, and the units for which it was found. Units count x first, then y.
struct FoundMatch {
    std::ptrdiff_t order;                  ///< which of the orders of removal led to it
    std::vector<char> members;             ///< (n_x + n_y), whether each unit belongs to it
    std::vector<std::ptrdiff_t> of_units;  ///< ascending
};

/// The order in which units are tried for removal: a permutation of [0, n_x + n_y).
using RemovalOrder = std::vector<std::ptrdiff_t>;

/// Minimal matches, and how clear the decisions were that led to them.
struct MinimalMatches {
    std::vector<FoundMatch> matches;
    /// Least |distance - epsilon| of the decisions taken; the same matches are found for every
    /// epsilon that differs by less. Infinite if nothing was decided.
    double margin;
};

/// For every wanted unit in the maximum match and every order, the minimal match that contains the
/// unit (Wang et al. 2018, Algorithm 2 with that order).
///
/// maximum: the cascade that shrink_to(epsilon) left. wanted: (n_x + n_y) flags. Units that
/// give the same answer to every removal so far share one state. The result is sorted by order and
/// first unit, and is the same for every n_threads. n_done counts finished pairs of unit and order.
/// When `halt` is requested, what is finished by then is returned; throws Interrupted on `stop`.
MinimalMatches minimal_matches(const MatchCascade& maximum, double epsilon,
                               const std::vector<char>& wanted,
                               const std::vector<RemovalOrder>& orders, int n_threads,
                               const StopToken& stop, const StopToken& halt,
                               std::atomic<std::ptrdiff_t>& n_done);

/// All minimal matches of one unit (Wang et al. 2018, Algorithm 3).
struct AllMatches {
    std::vector<FoundMatch> matches;
    bool complete;  ///< whether the search ended by itself rather than by a limit
    double margin;  ///< as in MinimalMatches
};

/// Finds at most n_limit minimal matches of `unit`, in at most n_searches runs of Algorithm 2:
/// after each match, every one of its units in turn is left out, so that the next match is another
/// one.
AllMatches all_minimal_matches(const MatchCascade& maximum, double epsilon, std::ptrdiff_t unit,
                               const RemovalOrder& order, std::ptrdiff_t n_limit,
                               std::ptrdiff_t n_searches, const StopToken& stop);

}  // namespace convergent
