#include "sample_lists.hpp"

#include <algorithm>

#include "carry_save.hpp"

namespace convergent {
namespace {

/// Neighbouring samples often go to the same list, and a store that waits for the one before it is
/// slow, so that a block's quarters are walked side by side.
constexpr int kWalks = 4;
constexpr std::uint16_t kOffsetUnits = sizeof(BitVector) / 8;
static_assert(SampleLists::kBlock * kOffsetUnits < 65536, "offsets have 16 bits");

}  // namespace

ListedCodes::ListedCodes(const std::uint32_t* marginal, int n_codes) {
    const auto left_out = std::max_element(marginal, marginal + n_codes) - marginal;
    for (int code = 0; code < n_codes; ++code) {
        if (marginal[code] == 0 || code == left_out) continue;
        list_of_code[static_cast<std::size_t>(code)] = static_cast<std::uint8_t>(codes.size());
        codes.push_back(static_cast<std::uint8_t>(code));
        largest = std::max(largest, marginal[code]);
        n_samples += marginal[code];
    }
    list_of_code[static_cast<std::size_t>(left_out)] = static_cast<std::uint8_t>(codes.size());
}

void SampleLists::make(const std::uint8_t* codes, std::ptrdiff_t n, const ListedCodes& listed) {
    n_lists_ = listed.n_lists();
    const std::ptrdiff_t n_blocks = (n + kBlock - 1) / kBlock;
    const auto most = static_cast<std::ptrdiff_t>(
        std::min<std::uint64_t>(listed.n_samples, static_cast<std::uint64_t>(n)));
    offsets_.resize(static_cast<std::size_t>(most + n_blocks * n_lists_ * (carry_save::kStep - 1)));
    n_steps_.resize(static_cast<std::size_t>(n_blocks * n_lists_));
    starts_.clear();
    std::uint16_t* end = offsets_.data();
    for (std::ptrdiff_t block = 0; block < n_blocks; ++block) {
        starts_.push_back(static_cast<std::size_t>(end - offsets_.data()));
        end = make_block(codes + block * kBlock, std::min(kBlock, n - block * kBlock), listed,
                         n_steps_.data() + block * n_lists_, end);
    }
}

std::uint16_t* SampleLists::make_block(const std::uint8_t* codes, std::ptrdiff_t n,
                                       const ListedCodes& listed, std::uint16_t* n_steps,
                                       std::uint16_t* offsets) {
    std::array<std::uint8_t, kBlock> lists;
    for (std::ptrdiff_t i = 0; i < n; ++i)
        lists[static_cast<std::size_t>(i)] = listed.list_of_code[codes[i]];
    const std::ptrdiff_t walk = n / kWalks;
    const auto walk_side_by_side = [&](auto&& visit) {
        for (std::ptrdiff_t i = 0; i < walk; ++i)
            for (int k = 0; k < kWalks; ++k) visit(k, k * walk + i);
        for (std::ptrdiff_t i = kWalks * walk; i < n; ++i) visit(kWalks - 1, i);
    };
    std::uint16_t counts[kWalks][256] = {};
    walk_side_by_side(
        [&](int k, std::ptrdiff_t i) { ++counts[k][lists[static_cast<std::size_t>(i)]]; });

    std::uint16_t* next[kWalks][256];
    for (int list = 0; list <= n_lists_; ++list) {
        std::uint16_t* end = list < n_lists_ ? offsets : left_out_.data();
        for (int k = 0; k < kWalks; ++k) {
            next[k][list] = end;
            end += counts[k][list];
        }
        if (list == n_lists_) break;
        n_steps[list] =
            static_cast<std::uint16_t>((end - offsets + carry_save::kStep - 1) / carry_save::kStep);
        offsets += n_steps[list] * carry_save::kStep;
        std::fill(end, offsets, static_cast<std::uint16_t>(kBlock * kOffsetUnits));
    }
    walk_side_by_side([&](int k, std::ptrdiff_t i) {
        *next[k][lists[static_cast<std::size_t>(i)]]++ =
            static_cast<std::uint16_t>(i * kOffsetUnits);
    });
    return offsets;
}

}  // namespace convergent
