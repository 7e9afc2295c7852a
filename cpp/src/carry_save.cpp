#include "carry_save.hpp"

#include <array>
#include <cstring>

namespace convergent::carry_save {
namespace {

using EightBytes = std::array<std::uint8_t, 8>;

/// The bits of a byte, each in a byte of its own.
constexpr std::array<EightBytes, 256> spread_bits() {
    std::array<EightBytes, 256> bits{};
    for (unsigned byte = 0; byte < 256; ++byte) {
        for (unsigned i = 0; i < 8; ++i) bits[byte][i] = static_cast<std::uint8_t>(byte >> i & 1);
    }
    return bits;
}

constexpr std::array<EightBytes, 256> kSpread = spread_bits();

/// The numbers' bytes that n <= 8 planes hold.
void read_bytes(const BitVector* planes, int n, std::uint8_t* bytes) {
    const auto* bits = reinterpret_cast<const std::uint8_t*>(planes);
    for (std::size_t i = 0; i < sizeof(BitVector); ++i) {
        std::uint64_t eight = 0;
        for (int k = 0; k < n; ++k) {
            std::uint64_t spread;
            std::memcpy(&spread,
                        kSpread[bits[static_cast<std::size_t>(k) * sizeof(BitVector) + i]].data(),
                        8);
            eight |= spread << k;
        }
        std::memcpy(bytes + 8 * i, &eight, 8);
    }
}

}  // namespace

void read_counts(const BitVector* planes, int n_planes, std::uint32_t* counts) {
    std::array<std::uint8_t, kVectorBits> low, high;
    read_bytes(planes, 8, low.data());
    read_bytes(planes + 8, std::min(n_planes - 8, 8), high.data());
    for (std::size_t i = 0; i < low.size(); ++i) counts[i] = low[i] | std::uint32_t{high[i]} << 8;
    for (int first = 16; first < n_planes; first += 8) {
        read_bytes(planes + first, std::min(n_planes - first, 8), high.data());
        for (std::size_t i = 0; i < high.size(); ++i) counts[i] |= std::uint32_t{high[i]} << first;
    }
}

}  // namespace convergent::carry_save
