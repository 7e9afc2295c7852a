#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace convergent {

/// Asks the system for large pages for memory that has not been written to yet: the first touch of
/// small ones costs as much as filling them. Where there are none, nothing happens.
inline void prefer_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t n_bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t kHuge = std::uintptr_t{1} << 21;
    const auto begin = reinterpret_cast<std::uintptr_t>(data);
    const std::uintptr_t first = (begin + kHuge - 1) / kHuge * kHuge;
    const std::uintptr_t last = (begin + n_bytes) / kHuge * kHuge;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

/// Gives an Eigen matrix a size, without values, in such memory.
template <class Matrix>
void resize_in_huge_pages(Matrix& matrix, std::ptrdiff_t rows, std::ptrdiff_t columns) {
    matrix.resize(rows, columns);
    prefer_huge_pages(matrix.data(),
                      sizeof(typename Matrix::Scalar) * static_cast<std::size_t>(matrix.size()));
}

}  // namespace convergent
