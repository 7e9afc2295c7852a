#pragma once

#include <cstddef>
#include <cstdint>

#include "convergent/stop_token.hpp"

namespace convergent {

/// Bin indices of one network, unit after unit: example i of unit u is data[u * n_examples + i], in
/// [0, n_codes).
struct BinCodes {
    const std::uint8_t* data;
    std::ptrdiff_t n_examples;
    std::ptrdiff_t n_units;
    int n_codes;
};

/// How joint counts are made: they are the same.
enum class CountMethod {
    /// The one that is expected to take less time.
    cheapest,
    /// An increment in memory for each sample of each pair: for few units, few examples, many
    /// codes.
    scatter,
    /// Sums of rows of bits, one for each code of each unit (positional population count). For
    /// units that use a range of at most 129 codes.
    positional,
};

/// Would CountMethod::cheapest count by position?
bool counts_by_position(const BinCodes& x, const BinCodes& y);

/// Mutual information in nats between each unit of x and each unit of y (Li et al. 2016,
/// Section 3.2): the plug-in estimate sum_ab p_ab ln(p_ab / (p_a p_b)).
///
/// x, y: the same examples, at least one and fewer than 2^32; n_codes in [1, 256]. Checked here,
/// the codes too. method: std::invalid_argument if it is positional, and both x and y have units
/// with too many codes for that. miller_madow: adds (K_x + K_y - K_xy - 1) / (2 n_examples), K
/// being numbers of bins in use. The result may then be negative; without it, it is at least 0.
/// nats: (n_units_x, n_units_y) row-major, overwritten; must not alias the inputs. Exactly
/// symmetric under a swap of x and y, exactly 0 where a unit uses one bin only, and equal to the
/// unit's entropy where x and y are the same unit: the sums of c ln c are kept in fixed point. Same
/// bits for every n_threads and every CPU level.
void mutual_information(const BinCodes& x, const BinCodes& y, bool miller_madow, CountMethod method,
                        int n_threads, const StopToken& stop, double* nats);

}  // namespace convergent
