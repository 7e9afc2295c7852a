#include "convergent/network_view.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace convergent {
namespace {

template <class Scalar>
double load(const char* address) {
    Scalar value;
    std::memcpy(&value, address, sizeof(Scalar));  // arrays need not be aligned
    return static_cast<double>(value);
}

template <class Scalar>
void read_by_example(const NetworkView& network, const Rectangle& part, const char* corner,
                     double* out, std::ptrdiff_t out_stride) {
    const auto size = static_cast<std::ptrdiff_t>(sizeof(Scalar));
    for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
        const char* const row = corner + e * network.example_stride;
        double* const to = out + e * out_stride;
        if (network.unit_stride == size) {
            for (std::ptrdiff_t u = 0; u < part.n_units; ++u) to[u] = load<Scalar>(row + u * size);
        } else {
            for (std::ptrdiff_t u = 0; u < part.n_units; ++u) {
                to[u] = load<Scalar>(row + u * network.unit_stride);
            }
        }
    }
}

/// Where the examples of a unit lie side by side: eight units at a time, so that what is written is
/// a cache line.
template <class Scalar>
void read_by_unit(const NetworkView& network, const Rectangle& part, const char* corner,
                  double* out, std::ptrdiff_t out_stride) {
    constexpr std::ptrdiff_t kUnits = 8;
    for (std::ptrdiff_t first = 0; first < part.n_units; first += kUnits) {
        const std::ptrdiff_t n_units = std::min(kUnits, part.n_units - first);
        const char* const columns = corner + first * network.unit_stride;
        for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
            const char* const row = columns + e * network.example_stride;
            double* const to = out + e * out_stride + first;
            for (std::ptrdiff_t u = 0; u < n_units; ++u) {
                to[u] = load<Scalar>(row + u * network.unit_stride);
            }
        }
    }
}

template <class Scalar>
void read(const NetworkView& network, const Rectangle& part, double* out,
          std::ptrdiff_t out_stride) {
    const char* const corner = static_cast<const char*>(network.values) +
                               part.first_example * network.example_stride +
                               part.first_unit * network.unit_stride;
    if (std::abs(network.unit_stride) <= std::abs(network.example_stride)) {
        read_by_example<Scalar>(network, part, corner, out, out_stride);
    } else {
        read_by_unit<Scalar>(network, part, corner, out, out_stride);
    }
}

/// Calls change(value, unit) for every value that was read.
template <class Change>
void for_each_value(const Rectangle& part, double* out, std::ptrdiff_t out_stride,
                    const Change& change) {
    for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
        double* const row = out + e * out_stride;
        for (std::ptrdiff_t u = 0; u < part.n_units; ++u) change(row[u], u);
    }
}

}  // namespace

void read_rectangle(const NetworkView& network, const Rectangle& part, double* out) {
    read_rectangle(network, part, out, part.n_units);
}

void read_rectangle(const NetworkView& network, const Rectangle& part, double* out,
                    std::ptrdiff_t out_stride) {
    if (network.is_single) {
        read<float>(network, part, out, out_stride);
    } else {
        read<double>(network, part, out, out_stride);
    }
    if (network.scales != nullptr) {
        const double* const scales = network.scales + part.first_unit;
        for_each_value(part, out, out_stride, [=](double& value, auto u) { value *= scales[u]; });
    }
    if (network.means != nullptr) {
        const double* const means = network.means + part.first_unit;
        for_each_value(part, out, out_stride, [=](double& value, auto u) { value -= means[u]; });
    }
    if (network.rests != nullptr) {
        const double* const rests = network.rests + part.first_unit;
        for_each_value(part, out, out_stride, [=](double& value, auto u) { value -= rests[u]; });
    }
}

void read_rectangle(const NetworkView& network, const Rectangle& part, double factor, float* out,
                    std::ptrdiff_t out_stride) {
    constexpr std::ptrdiff_t kExamples = 16;  // a strip that stays in the first caches
    std::vector<double> strip(static_cast<std::size_t>(kExamples * part.n_units));
    for (std::ptrdiff_t first = 0; first < part.n_examples; first += kExamples) {
        const std::ptrdiff_t count = std::min(kExamples, part.n_examples - first);
        read_rectangle(network, {part.first_example + first, count, part.first_unit, part.n_units},
                       strip.data());
        for (std::ptrdiff_t e = 0; e < count; ++e) {
            const double* const from = strip.data() + e * part.n_units;
            float* const to = out + (first + e) * out_stride;
            for (std::ptrdiff_t u = 0; u < part.n_units; ++u) {
                to[u] = static_cast<float>(from[u] * factor);
            }
        }
    }
}

void read_rectangle(const NetworkView& network, const Rectangle& part, double factor, double* out,
                    std::ptrdiff_t out_stride) {
    read_rectangle(network, part, out, out_stride);
    if (factor == 1.0) return;
    for_each_value(part, out, out_stride, [=](double& value, auto) { value *= factor; });
}

}  // namespace convergent
