#pragma once

#include <cstddef>

namespace convergent {

/// The activations of one network, (n_examples, n_units), read where they lie: any strides, float
/// or double.
struct NetworkView {
    const void* values = nullptr;
    bool is_single = false;  ///< float when true, double otherwise
    std::ptrdiff_t n_examples = 0;
    std::ptrdiff_t n_units = 0;
    std::ptrdiff_t example_stride = 0;  ///< in bytes
    std::ptrdiff_t unit_stride = 0;     ///< in bytes
    const double* means = nullptr;      ///< (n_units,) subtracted on reading; null for none
    const double* scales = nullptr;     ///< (n_units,) multiplied before that; null for none
    const double* rests = nullptr;      ///< (n_units,) subtracted after that; null for none
};

/// A rectangle of a network: examples [first_example, first_example + n_examples), units likewise.
struct Rectangle {
    std::ptrdiff_t first_example;
    std::ptrdiff_t n_examples;
    std::ptrdiff_t first_unit;
    std::ptrdiff_t n_units;
};

/// Copies a rectangle, (value * scale - mean) - rest, to `out` (n_examples, n_units), overwritten:
/// the units of an example lie side by side, those of the next one begin `out_stride` numbers on.
/// The rectangle must lie inside the network; out must not alias it.
void read_rectangle(const NetworkView& network, const Rectangle& part, double* out,
                    std::ptrdiff_t out_stride);
/// The same without gaps between the examples.
void read_rectangle(const NetworkView& network, const Rectangle& part, double* out);
/// The same times `factor`, rounded once, to single or to double precision. That to single
/// precision returns the sum of squares in double, without the factor, and adds the examples, in
/// double without it too, to `sums` (part.n_units,) unless that is null.
double read_rectangle(const NetworkView& network, const Rectangle& part, double factor, float* out,
                      std::ptrdiff_t out_stride, double* sums = nullptr);
void read_rectangle(const NetworkView& network, const Rectangle& part, double factor, double* out,
                    std::ptrdiff_t out_stride);

}  // namespace convergent
