#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bit_vector.hpp"
#include "count_sums.hpp"

namespace convergent {

/// Bits of a group of units: each unit has one for each of its codes above the lowest that it uses,
/// and the example's code sets one of them, or none.
constexpr std::ptrdiff_t kGroupBits = 512;
/// Units with more bits are none of this method's.
constexpr int kMostBits = 128;
constexpr std::ptrdiff_t kGroupVectors = kGroupBits / kVectorBits;

/// The bits of one unit within its group.
struct UnitBits {
    UnitBits(const std::uint32_t* marginal, int n_codes);

    int lowest_code = 0;
    int n_bits;
    int first_bit = 0;
};

/// Which units make up which group: neighbours, as many as there is space for.
class OneHotLayout {
 public:
    explicit OneHotLayout(const CountedCodes& counted);

    std::ptrdiff_t n_groups() const { return static_cast<std::ptrdiff_t>(starts_.size()) - 1; }
    std::ptrdiff_t first_unit(std::ptrdiff_t group) const {
        return starts_[static_cast<std::size_t>(group)];
    }
    std::ptrdiff_t end_unit(std::ptrdiff_t group) const { return first_unit(group + 1); }
    /// The first group that holds none of the units before `unit`.
    std::ptrdiff_t group_from(std::ptrdiff_t unit) const {
        return std::lower_bound(starts_.begin(), starts_.end(), unit) - starts_.begin();
    }
    const UnitBits& unit(std::ptrdiff_t i) const { return units_[static_cast<std::size_t>(i)]; }

 private:
    std::vector<UnitBits> units_;
    std::vector<std::ptrdiff_t> starts_;
};

/// Makes the rows of bits of one group, block by block.
class RowPacker {
 public:
    /// What is passed must outlive this.
    RowPacker(const BinCodes& codes, const OneHotLayout& layout, std::ptrdiff_t group);

    /// Writes the rows of n examples from `begin` on: vector v of example i to rows[v * stride +
    /// i].
    void pack(std::ptrdiff_t begin, std::ptrdiff_t n, BitVector* rows, std::ptrdiff_t stride) const;

 private:
    /// The bits of a unit in one word: the code lowest_code + 1 + k sets bit first_bit + k of the
    /// word, if there is such a bit.
    struct Part {
        const std::uint8_t* codes;
        int lowest_code;
        int first_bit;
    };

    std::vector<std::vector<Part>> words_;
};

}  // namespace convergent
