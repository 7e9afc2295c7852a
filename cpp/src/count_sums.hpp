#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "convergent/mutual_information.hpp"

namespace convergent {

/// Bin indices with their marginal counts.
struct CountedCodes {
    const BinCodes& codes;
    std::vector<std::uint32_t> marginals;  // (n_units, n_codes) row-major

    const std::uint8_t* of_unit(std::ptrdiff_t i) const {
        return codes.data + i * codes.n_examples;
    }
    const std::uint32_t* marginal(std::ptrdiff_t i) const {
        return marginals.data() + i * codes.n_codes;
    }
};

/// A rectangle of pairs of units: x_begin <= unit of x < x_end, and so for y.
struct PairTile {
    std::ptrdiff_t x_begin, x_end;
    std::ptrdiff_t y_begin, y_end;

    std::ptrdiff_t n_x() const { return x_end - x_begin; }
    std::ptrdiff_t n_y() const { return y_end - y_begin; }
};

/// c ln c for counts up to n, in fixed point: whole numbers of 2^-shift, so that sums do not depend
/// on their order.
class CountLogCount {
 public:
    explicit CountLogCount(std::int64_t n) {
        const double largest = static_cast<double>(n) * std::log(static_cast<double>(n));
        shift_ = 60 - (n > 1 ? std::ilogb(largest) + 1 : 1);
        table_.resize(static_cast<std::size_t>(std::min<std::int64_t>(n, kTabulated) + 1));
        for (std::size_t c = 0; c < table_.size(); ++c)
            table_[c] = compute(static_cast<std::uint32_t>(c));
    }

    std::int64_t operator()(std::uint32_t c) const {
        return c < table_.size() ? table_[c] : compute(c);
    }

    double to_double(std::int64_t sum) const {
        return std::ldexp(static_cast<double>(sum), -shift_);
    }

 private:
    static constexpr std::int64_t kTabulated = 1 << 14;

    std::int64_t compute(std::uint32_t c) const {
        return c == 0 ? 0 : std::llround(std::ldexp(c * std::log(static_cast<double>(c)), shift_));
    }

    int shift_ = 0;
    std::vector<std::int64_t> table_;
};

/// sum c ln c over some counts, and how many of them are not 0.
struct CountSum {
    std::int64_t c_ln_c = 0;
    std::int64_t n_used = 0;

    void add(std::uint32_t count, const CountLogCount& c_ln_c_of) {
        c_ln_c += c_ln_c_of(count);
        n_used += count != 0;
    }
};

}  // namespace convergent
