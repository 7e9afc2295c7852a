#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "convergent/mutual_information.hpp"
#include "convergent/stop_token.hpp"
#include "count_sums.hpp"
#include "one_hot_rows.hpp"
#include "sample_lists.hpp"

namespace convergent {

/// Joint counts of all pairs by positional population count: the rows of bits of y, in the order of
/// the bins of a unit of x, are added up bin by bin.
class PositionalCounts {
 public:
    /// What is passed must outlive this; possible(y).
    PositionalCounts(const CountedCodes& x, const CountedCodes& y, const CountLogCount& c_ln_c);

    /// Do all units have few enough bits?
    static bool possible(const CountedCodes& y);

    /// Tiles that fit the cache, and so many that every thread is busy.
    std::vector<PairTile> tiles(int n_threads) const;

    /// Roughly how many nanoseconds one thread takes.
    double cost() const;

    /// Sums over the joint counts of the pairs of one of tiles(), (n_x, n_y) row-major.
    std::vector<CountSum> sums(const PairTile& tile, const StopToken& stop) const;

 private:
    friend class PositionalTile;

    const CountedCodes& x_;
    const CountedCodes& y_;
    const CountLogCount& c_ln_c_;
    OneHotLayout layout_;
    std::vector<ListedCodes> listed_;
};

}  // namespace convergent
