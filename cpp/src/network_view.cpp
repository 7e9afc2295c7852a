#include "convergent/network_view.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace convergent {
namespace {

using Eigen::ArrayXd;

constexpr std::ptrdiff_t kRowsTogether = 16;  // examples that stay in the second cache

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
        const bool is_aligned = reinterpret_cast<std::uintptr_t>(row) % sizeof(Scalar) == 0;
        if (network.unit_stride == size && is_aligned) {
            using Row = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
            const Eigen::Map<const Row> from(reinterpret_cast<const Scalar*>(row), part.n_units);
            Eigen::Map<ArrayXd>(to, part.n_units) = from.template cast<double>();
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

const char* corner_of(const NetworkView& network, const Rectangle& part) {
    return static_cast<const char*>(network.values) + part.first_example * network.example_stride +
           part.first_unit * network.unit_stride;
}

bool lies_by_example(const NetworkView& network) {
    return std::abs(network.unit_stride) <= std::abs(network.example_stride);
}

template <class Scalar>
void read(const NetworkView& network, const Rectangle& part, double* out,
          std::ptrdiff_t out_stride) {
    const char* const corner = corner_of(network, part);
    if (lies_by_example(network)) {
        read_by_example<Scalar>(network, part, corner, out, out_stride);
    } else {
        read_by_unit<Scalar>(network, part, corner, out, out_stride);
    }
}

/// (row * scales - means) - rests of an example, in place.
void shift_row(const NetworkView& network, const Rectangle& part, Eigen::Map<ArrayXd> row) {
    const auto of_units = [&](const double* values) {
        return Eigen::Map<const ArrayXd>(values + part.first_unit, part.n_units);
    };
    if (network.scales != nullptr) row *= of_units(network.scales);
    if (network.means != nullptr) row -= of_units(network.means);
    if (network.rests != nullptr) row -= of_units(network.rests);
}

/// Reads some examples, and calls work(example, row) for each, while it is in a cache where it was
/// read by itself.
template <class Work>
void for_each_row(const NetworkView& network, const Rectangle& part, double* out,
                  std::ptrdiff_t out_stride, const Work& work) {
    const std::ptrdiff_t most = lies_by_example(network) ? kRowsTogether : part.n_examples;
    for (std::ptrdiff_t first = 0; first < part.n_examples; first += most) {
        const std::ptrdiff_t count = std::min(most, part.n_examples - first);
        const Rectangle rows{part.first_example + first, count, part.first_unit, part.n_units};
        double* const to = out + first * out_stride;
        if (network.is_single) {
            read<float>(network, rows, to, out_stride);
        } else {
            read<double>(network, rows, to, out_stride);
        }
        for (std::ptrdiff_t e = 0; e < count; ++e) {
            Eigen::Map<ArrayXd> row(to + e * out_stride, part.n_units);
            shift_row(network, part, row);
            work(first + e, row);
        }
    }
}

/// Whether the units of an example lie side by side, each at an address that suits it.
bool is_packed(const NetworkView& network) {
    const auto size =
        static_cast<std::ptrdiff_t>(network.is_single ? sizeof(float) : sizeof(double));
    const auto begin = reinterpret_cast<std::intptr_t>(network.values);
    return network.unit_stride == size && begin % size == 0 && network.example_stride % size == 0;
}

/// Whether they are, and nothing but means is to be subtracted.
bool is_plain(const NetworkView& network) {
    return is_packed(network) && network.scales == nullptr && network.rests == nullptr;
}

template <class Scalar>
inline void shift_plain(const Scalar* __restrict from, const double* __restrict means,
                        std::ptrdiff_t n_units, double* __restrict to) {
    for (std::ptrdiff_t u = 0; u < n_units; ++u) to[u] = static_cast<double>(from[u]) - means[u];
}

template <class Scalar>
inline void shift_scaled(const Scalar* __restrict from, const double* __restrict scales,
                         const double* __restrict means, const double* __restrict rests,
                         std::ptrdiff_t n_units, double* __restrict to) {
    for (std::ptrdiff_t u = 0; u < n_units; ++u) {
        to[u] = (static_cast<double>(from[u]) * scales[u] - means[u]) - rests[u];
    }
}

/// Reads packed examples in one go: with means, and with scales and rests or neither.
template <class Scalar>
void read_packed(const NetworkView& network, const Rectangle& part, double* out,
                 std::ptrdiff_t out_stride) {
    const char* const corner = corner_of(network, part);
    const double* const means = network.means + part.first_unit;
    for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
        const auto* const row =
            reinterpret_cast<const Scalar*>(corner + e * network.example_stride);
        double* const to = out + e * out_stride;
        if (network.scales == nullptr) {
            shift_plain(row, means, part.n_units, to);
        } else {
            shift_scaled(row, network.scales + part.first_unit, means,
                         network.rests + part.first_unit, part.n_units, to);
        }
    }
}

/// Some units of an example, while they are in registers.
template <class Scalar, bool kSums>
inline void narrow_units(const Scalar* __restrict from, const double* __restrict means,
                         double factor, std::ptrdiff_t count, double* __restrict lanes,
                         float* __restrict to, double* __restrict sums) {
    for (std::ptrdiff_t u = 0; u < count; ++u) {
        const double value = static_cast<double>(from[u]) - means[u];
        lanes[u] += value * value;
        if (kSums) sums[u] += value;
        to[u] = static_cast<float>(value * factor);
    }
}

/// Reads plain examples in one go; returns the sum of squares.
template <class Scalar, bool kSums>
double narrow_rows(const NetworkView& network, const Rectangle& part, const double* means,
                   double factor, float* out, std::ptrdiff_t out_stride, double* sums) {
    constexpr std::ptrdiff_t kLanes = 32;
    double lanes[kLanes] = {};
    const char* const corner = corner_of(network, part);
    for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
        const auto* const row =
            reinterpret_cast<const Scalar*>(corner + e * network.example_stride);
        float* const to = out + e * out_stride;
        std::ptrdiff_t u = 0;
        for (; u + kLanes <= part.n_units; u += kLanes) {
            narrow_units<Scalar, kSums>(row + u, means + u, factor, kLanes, lanes, to + u,
                                        kSums ? sums + u : nullptr);
        }
        narrow_units<Scalar, kSums>(row + u, means + u, factor, part.n_units - u, lanes, to + u,
                                    kSums ? sums + u : nullptr);
    }
    double squares = 0.0;
    for (const double lane : lanes) squares += lane;
    return squares;
}

template <class Scalar>
double narrow(const NetworkView& network, const Rectangle& part, const double* means, double factor,
              float* out, std::ptrdiff_t out_stride, double* sums) {
    const auto read = sums != nullptr ? narrow_rows<Scalar, true> : narrow_rows<Scalar, false>;
    return read(network, part, means, factor, out, out_stride, sums);
}

}  // namespace

void read_rectangle(const NetworkView& network, const Rectangle& part, double* out) {
    read_rectangle(network, part, out, part.n_units);
}

void read_rectangle(const NetworkView& network, const Rectangle& part, double* out,
                    std::ptrdiff_t out_stride) {
    const bool has_both = (network.scales == nullptr) == (network.rests == nullptr);
    if (is_packed(network) && network.means != nullptr && has_both) {
        return network.is_single ? read_packed<float>(network, part, out, out_stride)
                                 : read_packed<double>(network, part, out, out_stride);
    }
    for_each_row(network, part, out, out_stride, [](std::ptrdiff_t, const auto&) {});
}

double read_rectangle(const NetworkView& network, const Rectangle& part, double factor, float* out,
                      std::ptrdiff_t out_stride, double* sums) {
    const ArrayXd nothing = ArrayXd::Zero(network.means == nullptr ? part.n_units : 0);
    const double* const means =
        network.means == nullptr ? nothing.data() : network.means + part.first_unit;
    if (is_plain(network)) {
        return network.is_single
                   ? narrow<float>(network, part, means, factor, out, out_stride, sums)
                   : narrow<double>(network, part, means, factor, out, out_stride, sums);
    }
    ArrayXd strip(kRowsTogether * part.n_units);
    double squares = 0.0;
    for (std::ptrdiff_t first = 0; first < part.n_examples; first += kRowsTogether) {
        const std::ptrdiff_t count = std::min(kRowsTogether, part.n_examples - first);
        const Rectangle rows{part.first_example + first, count, part.first_unit, part.n_units};
        for_each_row(network, rows, strip.data(), part.n_units,
                     [&](std::ptrdiff_t e, const Eigen::Map<ArrayXd>& row) {
                         Eigen::Map<Eigen::ArrayXf> to(out + (first + e) * out_stride,
                                                       part.n_units);
                         squares += row.square().sum();
                         if (sums != nullptr) Eigen::Map<ArrayXd>(sums, part.n_units) += row;
                         to = (row * factor).cast<float>();
                     });
    }
    return squares;
}

void read_rectangle(const NetworkView& network, const Rectangle& part, double factor, double* out,
                    std::ptrdiff_t out_stride) {
    if (factor == 1.0) return read_rectangle(network, part, out, out_stride);
    for_each_row(network, part, out, out_stride,
                 [=](std::ptrdiff_t, Eigen::Map<ArrayXd>& row) { row *= factor; });
}

}  // namespace convergent
