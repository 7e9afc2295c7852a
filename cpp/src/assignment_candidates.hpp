#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dense_assignment.hpp"

namespace convergent {

/// Of each row that was read, the columns that were cheapest then, and a bound for the others.
/// Prices only fall, so reduced costs only rise: what was left out never comes below the bound, and
/// what is in the list never below its `floor`. So all that lies below the bound is known without
/// another look at the row.
template <class Scalar>
class CandidateRows {
 public:
    struct Entry {
        double cost;
        float floor;  ///< cost - v when the row was read, rounded down
        std::int32_t column;
    };
    struct List {
        const Entry* begin;
        const Entry* end;
        double bound;  ///< +inf if all that is allowed is in the list, -inf if the row was not read
    };

    explicit CandidateRows(const CostRows<Scalar>& cost);

    /// Ascending in cost - v at the time of reading. Valid until that row or another is read.
    List operator[](std::int32_t row) const {
        const Place& place = places_[row];
        const Entry* begin = entries_.data() + place.begin;
        return {begin, begin + place.size, place.bound};
    }

    /// Reads a row, whose list then holds at least the cheapest column. Returns false, with an
    /// empty list and the least reduced cost as its bound, if more than a block of columns have it.
    bool read(std::int32_t row, const std::vector<double>& v);

    /// Of the row that `read` refused, a cheapest column that is free; kFree if there is none.
    std::int32_t free_cheapest(const Matching& matching) const;

    /// Reads a row again for a list that is longer, up to twice as long, or holds all that is below
    /// `need`; returns whether it does.
    bool extend(std::int32_t row, const std::vector<double>& v, double need);

    /// The number of entries in memory, those of lists since replaced included.
    std::size_t n_entries() const { return entries_.size(); }

 private:
    struct Place {
        std::size_t begin = 0;
        std::int32_t size = 0;
        std::int32_t room = 0;
        double bound;
    };
    struct Found {
        double reduced;
        std::int32_t column;
    };

    void reduce(std::int32_t row, const std::vector<double>& v);
    double limit_for(std::int64_t n_wanted) const;
    bool gather(double limit);
    void gather_below(double limit);
    Entry* make_room(std::int32_t row, double bound);
    Entry entry(std::int32_t row, const Found& found) const;

    CostRows<Scalar> cost_;
    std::vector<double> reduced_;         // cost - v of the row being read, padded with +inf
    std::vector<double> least_;           // of the columns whose indices have the same remainder
    std::vector<std::int64_t> n_lesser_;  // of least_, for each of least_
    std::vector<Found> found_;            // the cheap ones of reduced_
    std::vector<Entry> entries_;
    std::vector<Place> places_;
};

}  // namespace convergent
