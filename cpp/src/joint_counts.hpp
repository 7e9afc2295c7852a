#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "convergent/mutual_information.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

/// A rectangle of pairs of units: x_begin <= unit of x < x_end, and so for y.
struct PairTile {
    std::ptrdiff_t x_begin, x_end;
    std::ptrdiff_t y_begin, y_end;

    std::ptrdiff_t n_x() const { return x_end - x_begin; }
    std::ptrdiff_t n_y() const { return y_end - y_begin; }
};

/// How often each unit has each code: (n_units, n_codes) row-major.
/// Throws std::invalid_argument for a code that is not below n_codes.
std::vector<std::uint32_t> marginal_counts(const BinCodes& codes, int n_threads,
                                           const StopToken& stop);

/// How often each pair of units has each pair of codes, the code 0 of x left out: element
/// ((i * n_y + j) * n_codes_x + a) * n_codes_y + b counts the examples with code a in unit x_begin
/// + i and code b in unit y_begin + j. The row a = 0 is left at 0; it follows from the marginal
/// counts of y.
std::vector<std::uint32_t> joint_counts(const BinCodes& x, const BinCodes& y, const PairTile& tile,
                                        const StopToken& stop);

}  // namespace convergent
