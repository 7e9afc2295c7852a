#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

// The widest vector of bits that the CPU level has, and the adders on it. Everything else about
// positional counting is plain C++.

namespace convergent {

#if defined(__AVX512F__)
using BitRegister = __m512i;
#elif defined(__GNUC__) && defined(__AVX2__)
typedef std::uint64_t BitRegister __attribute__((vector_size(32), may_alias));
#elif defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON))
typedef std::uint64_t BitRegister __attribute__((vector_size(16), may_alias));
#else
using BitRegister = std::uint64_t;
#endif

/// A register's worth of bits, to be kept in containers.
struct BitVector {
    BitRegister bits;
};

constexpr std::ptrdiff_t kVectorWords = sizeof(BitVector) / sizeof(std::uint64_t);
constexpr std::ptrdiff_t kVectorBits = 64 * kVectorWords;

/// In each position: the low bit of a + b + c; the high bit goes to `carry`, which may alias an
/// addend.
inline BitRegister sum(BitRegister a, BitRegister b, BitRegister c, BitRegister& carry) {
#if defined(__AVX512F__)
    carry = _mm512_ternarylogic_epi64(a, b, c, 0xe8);
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
#else
    const BitRegister either = a ^ b;
    carry = (a & b) | (either & c);
    return either ^ c;
#endif
}

/// The same for a + b.
inline BitRegister sum(BitRegister a, BitRegister b, BitRegister& carry) {
    carry = a & b;
    return a ^ b;
}

/// Sets bit (codes[i] - start) % 256 + first_bit of words[i] for i < n, if there is such a bit in
/// 64.
inline void set_bits(const std::uint8_t* codes, std::ptrdiff_t n, std::uint8_t start, int first_bit,
                     std::uint64_t* words) {
    std::ptrdiff_t i = 0;
#if defined(__AVX512F__)
    const __m128i starts = _mm_set1_epi8(static_cast<char>(start));
    const __m512i offsets = _mm512_set1_epi64(first_bit), ones = _mm512_set1_epi64(1);
    for (; i + 8 <= n; i += 8) {
        const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + i));
        const __m512i shifts =
            _mm512_add_epi64(_mm512_cvtepu8_epi64(_mm_sub_epi8(eight, starts)), offsets);
        _mm512_storeu_si512(words + i, _mm512_or_si512(_mm512_loadu_si512(words + i),
                                                       _mm512_sllv_epi64(ones, shifts)));
    }
#elif defined(__AVX2__)
    const __m128i starts = _mm_set1_epi8(static_cast<char>(start));
    const __m256i offsets = _mm256_set1_epi64x(first_bit), ones = _mm256_set1_epi64x(1);
    for (; i + 8 <= n; i += 8) {
        const __m128i eight =
            _mm_sub_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + i)), starts);
        auto* four = reinterpret_cast<__m256i*>(words + i);
        const __m256i low = _mm256_add_epi64(_mm256_cvtepu8_epi64(eight), offsets);
        const __m256i high =
            _mm256_add_epi64(_mm256_cvtepu8_epi64(_mm_srli_si128(eight, 4)), offsets);
        _mm256_storeu_si256(
            four, _mm256_or_si256(_mm256_loadu_si256(four), _mm256_sllv_epi64(ones, low)));
        _mm256_storeu_si256(
            four + 1, _mm256_or_si256(_mm256_loadu_si256(four + 1), _mm256_sllv_epi64(ones, high)));
    }
#endif
    const auto offset = static_cast<std::uint64_t>(std::int64_t{first_bit});
    for (; i < n; ++i) {
        const std::uint64_t bit = static_cast<std::uint8_t>(codes[i] - start) + offset;
        words[i] |= std::uint64_t{bit < 64} << (bit & 63);
    }
}

}  // namespace convergent
