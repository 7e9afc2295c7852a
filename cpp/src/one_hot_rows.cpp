#include "one_hot_rows.hpp"

#include <algorithm>
#include <array>

namespace convergent {
namespace {

constexpr std::ptrdiff_t kAtOnce = 128;
using Words = std::array<std::uint64_t, kAtOnce>;

}  // namespace

UnitBits::UnitBits(const std::uint32_t* marginal, int n_codes) : n_bits(n_codes - 1) {
    while (marginal[lowest_code] == 0) ++lowest_code;
    while (marginal[n_bits] == 0) --n_bits;
    n_bits -= lowest_code;
}

OneHotLayout::OneHotLayout(const CountedCodes& counted) {
    int next_bit = 0;
    starts_.push_back(0);
    for (std::ptrdiff_t i = 0; i < counted.codes.n_units; ++i) {
        UnitBits unit(counted.marginal(i), counted.codes.n_codes);
        if (next_bit + unit.n_bits > kGroupBits) {
            starts_.push_back(i);
            next_bit = 0;
        }
        unit.first_bit = next_bit;
        next_bit += unit.n_bits;
        units_.push_back(unit);
    }
    starts_.push_back(counted.codes.n_units);
}

RowPacker::RowPacker(const BinCodes& codes, const OneHotLayout& layout, std::ptrdiff_t group)
    : words_(kGroupBits / 64) {
    for (std::ptrdiff_t i = layout.first_unit(group); i < layout.end_unit(group); ++i) {
        const UnitBits& unit = layout.unit(i);
        const int end_bit = unit.first_bit + unit.n_bits;
        for (int word = unit.first_bit / 64; 64 * word < end_bit; ++word) {
            words_[static_cast<std::size_t>(word)].push_back(
                {codes.data + i * codes.n_examples, unit.lowest_code, unit.first_bit - 64 * word});
        }
    }
}

void RowPacker::pack(std::ptrdiff_t begin, std::ptrdiff_t n, BitVector* rows,
                     std::ptrdiff_t stride) const {
    Words bits;
    for (std::ptrdiff_t first = 0; first < n; first += kAtOnce) {
        const std::ptrdiff_t n_rows = std::min(kAtOnce, n - first);
        for (std::ptrdiff_t word = 0; word < kGroupBits / 64; ++word) {
            const std::vector<Part>& parts = words_[static_cast<std::size_t>(word)];
            bits.fill(0);
            for (const Part& part : parts) {
                // The lowest code gives a shift by 255 + first_bit, which is too far in any case,
                // since a unit has at most kMostBits bits.
                set_bits(part.codes + begin + first, n_rows,
                         static_cast<std::uint8_t>(part.lowest_code + 1), part.first_bit,
                         bits.data());
            }
            auto* to =
                reinterpret_cast<std::uint64_t*>(rows + word / kVectorWords * stride + first) +
                word % kVectorWords;
            for (std::ptrdiff_t i = 0; i < n_rows; ++i)
                to[i * kVectorWords] = bits[static_cast<std::size_t>(i)];
        }
    }
}

}  // namespace convergent
