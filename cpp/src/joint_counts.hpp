#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "convergent/mutual_information.hpp"
#include "convergent/stop_token.hpp"
#include "count_sums.hpp"

namespace convergent {

/// How often each unit has each code: (n_units, n_codes) row-major.
/// Throws std::invalid_argument for a code that is not below n_codes.
std::vector<std::uint32_t> marginal_counts(const BinCodes& codes, int n_threads,
                                           const StopToken& stop);

/// Joint counts by an increment in memory for each sample of each pair.
class ScatterCounts {
 public:
    /// What is passed must outlive this.
    ScatterCounts(const CountedCodes& x, const CountedCodes& y, const CountLogCount& c_ln_c)
        : x_(x), y_(y), c_ln_c_(c_ln_c) {}

    /// Rectangles of pairs whose counts fit the cache, and so many that every thread is busy.
    std::vector<PairTile> tiles(int n_threads) const;

    /// Roughly how many nanoseconds one thread takes.
    double cost() const;

    /// Sums over the joint counts of the tile's pairs, (n_x, n_y) row-major.
    std::vector<CountSum> sums(const PairTile& tile, const StopToken& stop) const;

 private:
    const CountedCodes& x_;
    const CountedCodes& y_;
    const CountLogCount& c_ln_c_;
};

}  // namespace convergent
