#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "bit_vector.hpp"

// Positional population count by a tree of carry-save adders (Klarqvist, Mula and Lemire 2019,
// "Efficient computation of positional population counts using SIMD instructions"). A counter of
// kVectorBits numbers is kept bit-sliced: plane k holds the bits of weight 2^k of all of them.

namespace convergent::carry_save {

/// Rows that are added in one step; lists of rows are padded to a multiple of it.
constexpr std::ptrdiff_t kStep = 16;
constexpr int kLowPlanes = 4;
constexpr int kHighPlanes = 4;
/// A counter has this many planes at the least.
constexpr int kLeastPlanes = kLowPlanes + kHighPlanes;

struct LowPlanes {
    BitRegister ones, twos, fours, eights;
};

/// Adds sixteen rows, and returns what is carried into the plane of weight 16. Row k lies
/// 8 * offsets[k] bytes after `rows`.
inline BitRegister add_sixteen(const BitVector* rows, const std::uint16_t* offsets,
                               LowPlanes& low) {
    const auto row = [&](int k) {
        const char* address = reinterpret_cast<const char*>(rows) + 8 * std::size_t{offsets[k]};
        return reinterpret_cast<const BitVector*>(address)->bits;
    };
    BitRegister twos[8], fours[4], eights[2], sixteen;
    const BitRegister a = sum(row(0), row(1), row(2), twos[0]);
    const BitRegister b = sum(row(3), row(4), row(5), twos[1]);
    const BitRegister c = sum(row(6), row(7), row(8), twos[2]);
    const BitRegister d = sum(a, b, c, twos[3]);
    const BitRegister two_a = sum(twos[0], twos[1], twos[2], fours[0]);
    const BitRegister e = sum(row(9), row(10), row(11), twos[4]);
    const BitRegister f = sum(row(12), row(13), row(14), twos[5]);
    const BitRegister g = sum(e, f, row(15), twos[6]);
    const BitRegister two_b = sum(twos[3], twos[4], twos[5], fours[1]);
    low.ones = sum(low.ones, d, g, twos[7]);
    const BitRegister two_c = sum(twos[6], two_a, two_b, fours[2]);
    low.twos = sum(low.twos, two_c, twos[7], fours[3]);
    const BitRegister four = sum(fours[0], fours[1], fours[2], eights[0]);
    low.fours = sum(low.fours, four, fours[3], eights[1]);
    low.eights = sum(low.eights, eights[0], eights[1], sixteen);
    return sixteen;
}

/// Adds 16 * n_steps rows to the counter of n_planes >= kLeastPlanes planes, which must not
/// overflow.
inline void add_rows(const BitVector* rows, const std::uint16_t* offsets, int n_steps,
                     BitVector* planes, int n_planes) {
    constexpr int kStepsAtOnce = (1 << kHighPlanes) - 1;
    LowPlanes low{planes[0].bits, planes[1].bits, planes[2].bits, planes[3].bits};
    while (n_steps > 0) {
        const int n = std::min(n_steps, kStepsAtOnce);
        n_steps -= n;
        BitRegister high[kHighPlanes] = {};
        for (int pair = 0; pair < n / 2; ++pair, offsets += 2 * kStep) {
            const BitRegister first = add_sixteen(rows, offsets, low);
            const BitRegister second = add_sixteen(rows, offsets + kStep, low);
            BitRegister carry;
            high[0] = sum(high[0], first, second, carry);
            for (int k = 1; k < kHighPlanes; ++k) high[k] = sum(high[k], carry, carry);
        }
        if (n % 2 != 0) {
            BitRegister carry = add_sixteen(rows, offsets, low);
            offsets += kStep;
            for (BitRegister& plane : high) plane = sum(plane, carry, carry);
        }
        BitRegister carry{};
        for (int k = 0; k < kHighPlanes; ++k) {
            BitRegister& plane = planes[kLowPlanes + k].bits;
            plane = sum(plane, high[k], carry, carry);
        }
        for (int k = kLeastPlanes; k < n_planes; ++k) {
            planes[k].bits = sum(planes[k].bits, carry, carry);
        }
    }
    planes[0].bits = low.ones;
    planes[1].bits = low.twos;
    planes[2].bits = low.fours;
    planes[3].bits = low.eights;
}

/// The counters' numbers; counts: kVectorBits numbers, overwritten.
void read_counts(const BitVector* planes, int n_planes, std::uint32_t* counts);

}  // namespace convergent::carry_save
