#include "bucketed_values.hpp"

#include <array>
#include <limits>
#include <utility>

namespace convergent {
namespace {

constexpr std::size_t kAtOnce = 256;

/// Counts and extremes of some values; every lane has its own, so that loops over lanes become
/// vector code.
template <class Scalar>
struct Ranges {
    static constexpr std::ptrdiff_t kLanes = 64 / sizeof(Scalar);
    using Count = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;

    explicit Ranges(Scalar low_end) : low_end_(low_end) {
        low_max.fill(-std::numeric_limits<Scalar>::infinity());
        active_min.fill(std::numeric_limits<Scalar>::infinity());
        active_max.fill(low_end);
    }

    void add(std::size_t lane, Scalar value) {
        const bool active = value > low_end_;
        const Scalar low = active ? low_max[lane] : value;
        const Scalar high = active ? value : active_min[lane];
        low_max[lane] = low > low_max[lane] ? low : low_max[lane];
        active_min[lane] = high < active_min[lane] ? high : active_min[lane];
        active_max[lane] = value > active_max[lane] ? value : active_max[lane];
        n_low[lane] += !active;
    }

    std::array<Scalar, kLanes> low_max, active_min, active_max;
    std::array<Count, kLanes> n_low{};

 private:
    Scalar low_end_;
};

/// Puts the values of some ranks in place; values[0, n) hold the ranks from `begin` on.
template <class Scalar>
void select_ranks(Scalar* values, std::ptrdiff_t begin, std::ptrdiff_t n,
                  const std::ptrdiff_t* first, const std::ptrdiff_t* last) {
    if (first == last) return;
    const std::ptrdiff_t* middle = first + (last - first) / 2;
    const std::ptrdiff_t place = *middle - begin;
    std::nth_element(values, values + place, values + n);
    select_ranks(values, begin, place, first, middle);
    select_ranks(values + place + 1, *middle + 1, n - place - 1, middle + 1, last);
}

}  // namespace

template <class Scalar>
void BucketedValues<Scalar>::assign(const Scalar* values, Scalar low_end) {
    values_ = values;
    low_end_ = low_end;
    find_range();
    fill_buckets();
}

template <class Scalar>
void BucketedValues<Scalar>::find_range() {
    Ranges<Scalar> ranges(low_end_);
    constexpr std::ptrdiff_t kLanes = Ranges<Scalar>::kLanes;
    std::ptrdiff_t i = 0;
    for (; i + kLanes <= n_; i += kLanes) {
        for (std::ptrdiff_t lane = 0; lane < kLanes; ++lane)
            ranges.add(static_cast<std::size_t>(lane), values_[i + lane]);
    }
    for (; i < n_; ++i) ranges.add(0, values_[i]);
    n_low_ = 0;
    for (const auto n : ranges.n_low) n_low_ += static_cast<std::ptrdiff_t>(n);
    low_max_ = *std::max_element(ranges.low_max.begin(), ranges.low_max.end());
    first_bits_ = last_bits_ = bits_of(low_end_);
    if (n_low_ == n_) return;
    first_bits_ = bits_of(*std::min_element(ranges.active_min.begin(), ranges.active_min.end()));
    last_bits_ = bits_of(*std::max_element(ranges.active_max.begin(), ranges.active_max.end()));
}

template <class Scalar>
void BucketedValues<Scalar>::fill_buckets() {
    Bits n_buckets = kLeastBuckets;
    while (n_buckets < kMostBuckets && static_cast<std::ptrdiff_t>(n_buckets) < n_ - n_low_)
        n_buckets *= 2;
    shift_ = 0;
    while ((last_bits_ - first_bits_) >> shift_ >= n_buckets) ++shift_;
    for (std::ptrdiff_t i = 0; i < n_; ++i) {
        const Bits bucket = kLowBuckets + ((bits_of(values_[i]) - first_bits_) >> shift_);
        const Bits low_bucket = static_cast<Bits>(i) % kLowBuckets;
        buckets_[static_cast<std::size_t>(i)] =
            static_cast<std::uint16_t>(values_[i] > low_end_ ? bucket : low_bucket);
    }
    counts_.assign(kLowBuckets + n_buckets, 0);
    for (const std::uint16_t bucket : buckets_) ++counts_[bucket];
}

template <class Scalar>
void BucketedValues<Scalar>::select(const std::vector<std::ptrdiff_t>& ranks, bool list_low) {
    ranks_ = ranks;
    wanted_.assign(counts_.size(), 0);
    std::fill_n(wanted_.begin(), kLowBuckets, list_low);
    Rank end = 0;
    auto rank = ranks_.begin();
    for (std::size_t bucket = kLowBuckets; bucket < counts_.size(); ++bucket) {
        end += counts_[bucket];
        for (; rank != ranks_.end() && *rank < end; ++rank) wanted_[bucket] = 1;
    }
    list_wanted();
    select_in_buckets();
}

template <class Scalar>
void BucketedValues<Scalar>::list_wanted() {
    std::size_t n_listed = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        listed_[n_listed] = static_cast<std::uint32_t>(i);
        n_listed += wanted_[buckets_[i]];
    }
    n_listed_ = n_listed;
}

template <class Scalar>
void BucketedValues<Scalar>::select_in_buckets() {
    std::vector<std::size_t> next(counts_.size());
    std::size_t n_gathered = 0;
    for (std::size_t bucket = kLowBuckets; bucket < counts_.size(); ++bucket) {
        next[bucket] = n_gathered;
        if (wanted_[bucket]) n_gathered += counts_[bucket];
    }
    gathered_.resize(n_gathered);
    for (std::size_t k = 0; k < n_listed_; ++k) {
        const std::size_t bucket = buckets_[listed_[k]];
        if (bucket >= kLowBuckets) gathered_[next[bucket]++] = values_[listed_[k]];
    }
    selected_.resize(ranks_.size());
    Scalar* values = gathered_.data();
    Rank begin = 0;
    const Rank* rank = ranks_.data();
    const Rank* const last = rank + ranks_.size();
    for (std::size_t bucket = kLowBuckets; bucket < counts_.size(); ++bucket) {
        const Rank n = counts_[bucket];
        if (wanted_[bucket]) {
            const Rank* first = rank;
            while (rank != last && *rank < begin + n) ++rank;
            select_ranks(values, begin, n, first, rank);
            for (; first != rank; ++first)
                selected_[static_cast<std::size_t>(first - ranks_.data())] = values[*first - begin];
            values += n;
        }
        begin += n;
    }
}

template <class Scalar>
void BucketedValues<Scalar>::encode(const std::vector<Scalar>& thresholds, std::uint8_t* codes) {
    code_of_bucket_.assign(counts_.size(), 0);
    std::size_t code = 0;
    for (std::size_t bucket = kLowBuckets; bucket < counts_.size(); ++bucket) {
        while (code < thresholds.size() &&
               (thresholds[code] <= low_end_ || bucket_of(thresholds[code]) < bucket)) {
            ++code;
        }
        code_of_bucket_[bucket] = static_cast<std::uint8_t>(code);
    }
    for (std::size_t i = 0; i < buckets_.size(); ++i) codes[i] = code_of_bucket_[buckets_[i]];
    encode_listed(thresholds, codes);
}

template <class Scalar>
void BucketedValues<Scalar>::encode_listed(const std::vector<Scalar>& thresholds,
                                           std::uint8_t* codes) {
    std::array<Scalar, kAtOnce> values{};
    std::array<Bits, kAtOnce> exceeded;
    for (std::size_t begin = 0; begin < n_listed_; begin += kAtOnce) {
        const std::size_t n = std::min(kAtOnce, n_listed_ - begin);
        const std::uint32_t* places = listed_.data() + begin;
        for (std::size_t k = 0; k < n; ++k) values[k] = values_[places[k]];
        exceeded.fill(0);
        for (const Scalar threshold : thresholds) {
            for (std::size_t k = 0; k < kAtOnce; ++k) exceeded[k] += values[k] > threshold;
        }
        for (std::size_t k = 0; k < n; ++k)
            codes[places[k]] = static_cast<std::uint8_t>(exceeded[k]);
    }
}

template class BucketedValues<float>;
template class BucketedValues<double>;

}  // namespace convergent
