#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace convergent {

/// Which of a unit's codes have lists of samples: those in use but for the most frequent, whose
/// counts follow from the others'.
struct ListedCodes {
    explicit ListedCodes(const std::uint32_t* marginal, int n_codes);

    /// The list of each code; n_lists for the code left out.
    std::array<std::uint8_t, 256> list_of_code{};
    /// The code of each list.
    std::vector<std::uint8_t> codes;
    std::uint32_t largest = 0;    // count of a code that has a list
    std::uint64_t n_samples = 0;  // in all lists

    int n_lists() const { return static_cast<int>(codes.size()); }
};

/// The samples of one unit's lists, block by block: 16-bit offsets of rows, each list padded to
/// whole steps.
class SampleLists {
 public:
    /// Samples of a block: few enough for their rows to stay in the second cache.
    static constexpr std::ptrdiff_t kBlock = 4096;

    /// Lists the samples of n_blocks blocks of codes (n in all).
    void make(const std::uint8_t* codes, std::ptrdiff_t n, const ListedCodes& listed);

    /// Steps of carry_save::kStep rows in each list of a block.
    const std::uint16_t* n_steps(std::ptrdiff_t block) const {
        return n_steps_.data() + block * n_lists_;
    }
    /// The offsets of a block's rows, list after list. The row for padding is that of sample
    /// kBlock.
    const std::uint16_t* offsets(std::ptrdiff_t block) const {
        return offsets_.data() + starts_[static_cast<std::size_t>(block)];
    }

 private:
    std::uint16_t* make_block(const std::uint8_t* codes, std::ptrdiff_t n,
                              const ListedCodes& listed, std::uint16_t* n_steps,
                              std::uint16_t* offsets);

    int n_lists_ = 0;
    std::vector<std::uint16_t> offsets_;
    std::vector<std::uint16_t> n_steps_;
    std::vector<std::size_t> starts_;
    std::array<std::uint16_t, kBlock> left_out_;
};

}  // namespace convergent
