#include "assignment_candidates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "column_blocks.hpp"

namespace convergent {

namespace {

using column_blocks::kLength;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr std::int64_t kWanted = 12;   // columns of a first list at least; a third more are usual
constexpr std::ptrdiff_t kGroup = 16;  // columns that are asked together whether one is cheap

// At most x, also where float has no such number.
float rounded_down(double x) {
    constexpr double kLargestFloat = std::numeric_limits<float>::max();
    if (x < -kLargestFloat / 2) return -std::numeric_limits<float>::infinity();
    return float(std::min(x, kLargestFloat) - std::fabs(std::min(x, kLargestFloat)) * 0x1p-23 -
                 0x1p-149);
}

}  // namespace

template <class Scalar>
CandidateRows<Scalar>::CandidateRows(const CostRows<Scalar>& cost)
    : cost_(cost),
      reduced_(column_blocks::count(cost.n_columns) * kLength, kInfinity),
      least_(kLength),
      n_lesser_(kLength),
      places_(cost.n_rows) {
    for (Place& place : places_) place.bound = -kInfinity;
    entries_.reserve(std::size_t(cost.n_rows) * kGroup);
}

template <class Scalar>
void CandidateRows<Scalar>::reduce(std::int32_t i, const std::vector<double>& v) {
    double least[kLength];
    std::fill(least, least + kLength, kInfinity);
    const Scalar* row = cost_.row(i);
    const std::ptrdiff_t n_whole = cost_.n_columns / kLength * kLength;
    for (std::ptrdiff_t begin = 0; begin < n_whole; begin += kLength) {
        column_blocks::reduce(row + begin, cost_.factor, v.data() + begin, &reduced_[begin], least);
    }
    for (std::ptrdiff_t j = n_whole; j < cost_.n_columns; ++j) {
        reduced_[j] = cost_.factor * double(row[j]) - v[j];
        least[j - n_whole] = std::min(least[j - n_whole], reduced_[j]);
    }
    std::copy(least, least + kLength, least_.begin());
    column_blocks::count_lesser(least, n_lesser_.data());
}

// A limit that at least n_wanted reduced costs do not exceed, and seldom many more: that many of
// the classes' least.
template <class Scalar>
double CandidateRows<Scalar>::limit_for(std::int64_t n_wanted) const {
    double limit = -kInfinity;
    for (std::ptrdiff_t k = 0; k < kLength; ++k) {
        if (n_lesser_[k] < n_wanted) limit = std::max(limit, least_[k]);
    }
    return limit;
}

// Takes what does not exceed the limit, unless that is more than a block.
template <class Scalar>
bool CandidateRows<Scalar>::gather(double limit) {
    limit = std::min(limit, kLargest);
    found_.resize(kLength + kGroup);
    std::ptrdiff_t count = 0;
    const auto n = std::ptrdiff_t(reduced_.size());
    for (std::ptrdiff_t begin = 0; begin < n; begin += kGroup) {
        const double* reduced = &reduced_[begin];
        std::int64_t any = 0;
        for (std::ptrdiff_t k = 0; k < kGroup; ++k) any += reduced[k] <= limit;
        if (any == 0) continue;
        for (std::ptrdiff_t k = 0; k < kGroup; ++k) {
            found_[count] = {reduced[k], std::int32_t(begin + k)};
            count += reduced[k] <= limit;
        }
        if (count > kLength) return false;
    }
    found_.resize(count);
    return true;
}

// Makes room for as many entries as were found.
template <class Scalar>
auto CandidateRows<Scalar>::make_room(std::int32_t i, double bound) -> Entry* {
    Place& place = places_[i];
    place.bound = bound;
    place.size = std::int32_t(found_.size());
    if (place.size > place.room) {
        place.begin = entries_.size();
        place.room = place.size;
        entries_.resize(entries_.size() + found_.size());
    }
    return entries_.data() + place.begin;
}

template <class Scalar>
auto CandidateRows<Scalar>::entry(std::int32_t i, const Found& found) const -> Entry {
    return {cost_.at(i, found.column), rounded_down(found.reduced), found.column};
}

template <class Scalar>
bool CandidateRows<Scalar>::read(std::int32_t i, const std::vector<double>& v) {
    reduce(i, v);
    double limit = limit_for(kWanted);
    // Cheap columns at regular distances are all in the same few classes.
    for (std::int64_t n_wanted = kWanted / 4; !gather(limit); n_wanted /= 3) {
        if (n_wanted == 0) {
            found_.clear();
            make_room(i, limit);
            return false;
        }
        limit = limit_for(n_wanted);
    }
    Entry* entries = make_room(i, limit);
    double values[kLength];
    std::int64_t n_lesser[kLength];
    std::fill(values, values + kLength, kInfinity);
    for (std::size_t k = 0; k < found_.size(); ++k) values[k] = found_[k].reduced;
    column_blocks::count_lesser(values, n_lesser);
    bool taken[kLength] = {};
    for (std::size_t k = 0; k < found_.size(); ++k) {
        std::int64_t to = n_lesser[k];
        while (taken[to]) ++to;
        taken[to] = true;
        entries[to] = entry(i, found_[k]);
    }
    return true;
}

template <class Scalar>
std::int32_t CandidateRows<Scalar>::free_cheapest(const Matching& matching) const {
    const double least = limit_for(1);
    for (std::ptrdiff_t j = 0; j < cost_.n_columns; ++j) {
        if (reduced_[j] == least && matching.row_of_column[j] == Matching::kFree) {
            return std::int32_t(j);
        }
    }
    return Matching::kFree;
}

// Takes what is below the limit, which may be much.
template <class Scalar>
void CandidateRows<Scalar>::gather_below(double limit) {
    found_.clear();
    const auto n = std::ptrdiff_t(reduced_.size());
    for (std::ptrdiff_t begin = 0; begin < n; begin += kGroup) {
        const double* reduced = &reduced_[begin];
        std::int64_t any = 0;
        for (std::ptrdiff_t k = 0; k < kGroup; ++k) any += reduced[k] < limit;
        if (any == 0) continue;
        for (std::ptrdiff_t k = 0; k < kGroup; ++k) {
            if (reduced[k] < limit) found_.push_back({reduced[k], std::int32_t(begin + k)});
        }
    }
}

template <class Scalar>
bool CandidateRows<Scalar>::extend(std::int32_t i, const std::vector<double>& v, double need) {
    reduce(i, v);
    const double known = places_[i].bound;
    double bound = limit_for(kLength);
    if (!(known < bound && bound < need)) bound = need;
    gather_below(bound);
    const auto n_known = std::count_if(found_.begin(), found_.end(),
                                       [=](const Found& found) { return found.reduced <= known; });
    const auto less = [](const Found& a, const Found& b) {
        return a.reduced < b.reduced || (a.reduced == b.reduced && a.column < b.column);
    };
    const std::ptrdiff_t n_wanted = n_known + std::max<std::ptrdiff_t>(n_known, kLength);
    if (std::ptrdiff_t(found_.size()) > n_wanted) {
        const auto last = found_.begin() + n_wanted - 1;
        std::nth_element(found_.begin(), last, found_.end(), less);
        bound = last->reduced;
        found_.erase(std::partition(last, found_.end(),
                                    [=](const Found& found) { return found.reduced <= bound; }),
                     found_.end());
    }
    std::sort(found_.begin(), found_.end(), less);
    std::transform(found_.begin(), found_.end(), make_room(i, bound),
                   [&](const Found& found) { return entry(i, found); });
    return bound == need;
}

template class CandidateRows<float>;
template class CandidateRows<double>;

}  // namespace convergent
