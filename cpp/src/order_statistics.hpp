#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

namespace convergent {

/// Finds order statistics of positive values: one pass sorts them into buckets by their leading
/// bits (the bits of positive floating-point numbers have the order of the numbers), and only
/// buckets that hold a wanted rank are looked into.
template <class Scalar>
class OrderStatistics {
 public:
    /// Afterwards result()[r] is the r-th smallest value for every r of `ranks` (ascending, in [0,
    /// n)). values: n positive finite values in [low, high]; overwritten.
    void select(Scalar* values, std::ptrdiff_t n, Scalar low, Scalar high,
                const std::vector<std::ptrdiff_t>& ranks) {
        const Rank* first = ranks.data();
        if (n < kFewValues) {
            result_ = values;
            select_ranks(0, n, first, first + ranks.size());
            return;
        }
        distribute(values, n, low, high);
        for (const Rank* end = first + ranks.size(); first != end;) {
            const auto bucket =
                std::upper_bound(ends_.begin(), ends_.end(), *first) - ends_.begin();
            const Rank* last = first;
            while (last != end && *last < ends_[static_cast<std::size_t>(bucket)]) ++last;
            const std::ptrdiff_t begin =
                bucket == 0 ? 0 : ends_[static_cast<std::size_t>(bucket - 1)];
            select_ranks(begin, ends_[static_cast<std::size_t>(bucket)], first, last);
            first = last;
        }
    }

    const Scalar* result() const { return result_; }

 private:
    using Rank = std::ptrdiff_t;
    using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
    static constexpr std::ptrdiff_t kFewValues = 4096;
    static constexpr std::size_t kBuckets = 4096;

    static Bits bits_of(Scalar value) {
        Bits bits;
        std::memcpy(&bits, &value, sizeof(bits));
        return bits;
    }

    void distribute(const Scalar* values, std::ptrdiff_t n, Scalar low, Scalar high) {
        const Bits first = bits_of(low);
        int shift = 0;
        while (((bits_of(high) - first) >> shift) >= kBuckets) ++shift;
        ends_.assign(kBuckets, 0);
        for (std::ptrdiff_t i = 0; i < n; ++i) ++ends_[(bits_of(values[i]) - first) >> shift];
        std::ptrdiff_t begin = 0;
        for (std::ptrdiff_t& end : ends_) begin += std::exchange(end, begin);
        bucketed_.resize(static_cast<std::size_t>(n));
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            bucketed_[static_cast<std::size_t>(ends_[(bits_of(values[i]) - first) >> shift]++)] =
                values[i];
        }
        result_ = bucketed_.data();
    }

    /// Puts the values of some ranks in place; positions in [begin, end) hold the ranks of that
    /// range.
    void select_ranks(std::ptrdiff_t begin, std::ptrdiff_t end, const Rank* first,
                      const Rank* last) {
        if (first == last) return;
        const Rank* middle = first + (last - first) / 2;
        std::nth_element(result_ + begin, result_ + *middle, result_ + end);
        select_ranks(begin, *middle, first, middle);
        const Rank* above = middle + 1;
        while (above != last && *above == *middle) ++above;
        select_ranks(*middle + 1, end, above, last);
    }

    std::vector<std::ptrdiff_t> ends_;
    std::vector<Scalar> bucketed_;
    Scalar* result_ = nullptr;
};

}  // namespace convergent
