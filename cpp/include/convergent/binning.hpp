#pragma once

#include <cstddef>
#include <cstdint>

#include "convergent/stop_token.hpp"

namespace convergent {

/// Activations as they lie in memory: example i of unit u is the Scalar at byte
/// i * example_stride + u * unit_stride after `data`. Strides are in bytes, may be negative, and
/// need not be multiples of sizeof(Scalar).
template <class Scalar>
struct ActivationView {
    const Scalar* data;
    std::ptrdiff_t n_examples;
    std::ptrdiff_t n_units;
    std::ptrdiff_t example_stride;
    std::ptrdiff_t unit_stride;
};

/// How the range of a unit is cut into bins. `quantile(q)` is the linear interpolation of the order
/// statistics around (n_examples - 1) q (Hyndman and Fan's definition 7), in float64, and z is the
/// share of examples at zero.
enum class BinConvention {
    /// Li et al. (2016), Section 3.2: the special bin (-inf, 1e-6], then the quantiles k / n_bins,
    /// k = 1 ..
    /// n_bins - 1, that lie above 1e-6; intervals (lo, hi]. n_bins + 1 bins at the most.
    paper,
    /// Their program: interior edges at the quantiles 1.001 z + (1 - 1.001 z) k / (n_bins - 1), k =
    /// 0 .. n_bins - 2,
    /// z being the share of examples below 1e-6; intervals [lo, hi). z takes the place of 1.001 z
    /// where that
    /// exceeds 1. n_bins bins at the most.
    authors,
};

/// Cuts the range of every unit into bins and gives every example the index of its bin.
///
/// x: finite values of at least one and fewer than 2^32 examples; 1 <= n_bins <= 255 (paper), 2 <=
/// n_bins <= 256 (authors), checked here. codes: (n_units, n_examples) row-major, overwritten: how
/// many edges of the unit lie below the value (paper), or at it or below (authors). edges:
/// (n_units, n_bins) row-major, overwritten: the distinct interior edges, ascending, then NaN.
/// n_edges: (n_units), overwritten: how many edges the unit has. Outputs must not alias the input.
/// Memory: column buffers of up to 64 bytes an example per thread. Same bits for every n_threads.
template <class Scalar>
void bin_units(const ActivationView<Scalar>& x, int n_bins, BinConvention convention, int n_threads,
               const StopToken& stop, std::uint8_t* codes, double* edges, std::int64_t* n_edges);

}  // namespace convergent
