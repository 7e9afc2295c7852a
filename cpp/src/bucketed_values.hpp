#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace convergent {

/// The values of one unit, sorted into buckets by their leading bits (the bits of positive
/// floating-point numbers have the order of the numbers). Order statistics need a look into the few
/// buckets that hold them; in all others, the bucket alone tells on which side of the thresholds
/// around those order statistics a value lies. Holds buffers, to be used for one unit after the
/// other.
template <class Scalar>
class BucketedValues {
 public:
    /// n < 2^32
    explicit BucketedValues(std::ptrdiff_t n)
        : n_(n),
          buckets_(static_cast<std::size_t>(n)),
          // One more: a position is written before it is known whether it is wanted.
          listed_(static_cast<std::size_t>(n) + 1) {}

    /// values: n finite ones, which must stay while this is used; those above `low_end` > 0, the
    /// active ones, are sorted into buckets.
    void assign(const Scalar* values, Scalar low_end);

    std::ptrdiff_t n_low() const { return n_low_; }
    /// The largest value that is not active; - infinity if there is none.
    Scalar low_max() const { return low_max_; }

    /// Finds order statistics among the active values: ascending ranks, from 0. list_low: encode()
    /// will get thresholds below low_max().
    void select(const std::vector<std::ptrdiff_t>& ranks, bool list_low);

    /// One of the order statistics asked for.
    Scalar order_statistic(std::ptrdiff_t rank) const {
        const auto place = std::lower_bound(ranks_.begin(), ranks_.end(), rank) - ranks_.begin();
        return selected_[static_cast<std::size_t>(place)];
    }

    /// Writes the number of thresholds that each value exceeds; there must be order statistics r
    /// and r + 1 that were asked for at or below and at or above each threshold (or it is low_end).
    void encode(const std::vector<Scalar>& thresholds, std::uint8_t* codes);

 private:
    using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
    using Rank = std::ptrdiff_t;
    /// What is not active goes to the first buckets, to one after the other: increments of one and
    /// the same counter would wait for each other.
    static constexpr Bits kLowBuckets = 16;
    static constexpr Bits kMostBuckets = 4096;
    static constexpr Bits kLeastBuckets = 64;

    static Bits bits_of(Scalar value) {
        Bits bits;
        std::memcpy(&bits, &value, sizeof(bits));
        return bits;
    }

    /// The bucket of a value above low_end_; of the lowest active one if it lies below that.
    std::size_t bucket_of(Scalar value) const {
        const Bits bits = std::max(bits_of(value), first_bits_);
        return static_cast<std::size_t>(kLowBuckets + ((bits - first_bits_) >> shift_));
    }

    void find_range();
    void fill_buckets();
    void list_wanted();
    void select_in_buckets();
    void encode_listed(const std::vector<Scalar>& thresholds, std::uint8_t* codes);

    std::ptrdiff_t n_;
    const Scalar* values_ = nullptr;
    Scalar low_end_ = 0;
    std::ptrdiff_t n_low_ = 0;
    Scalar low_max_ = 0;
    Bits first_bits_ = 0, last_bits_ = 0;  // of the active values
    int shift_ = 0;
    std::vector<std::uint16_t> buckets_;  // of each value
    std::vector<std::uint32_t> counts_;   // of each bucket
    std::vector<std::uint8_t> wanted_;    // whether a bucket's values are listed
    std::vector<std::uint32_t> listed_;   // positions of values in wanted buckets
    std::size_t n_listed_ = 0;
    std::vector<Rank> ranks_;
    std::vector<Scalar> selected_;
    std::vector<Scalar> gathered_;
    std::vector<std::uint8_t> code_of_bucket_;
};

}  // namespace convergent
