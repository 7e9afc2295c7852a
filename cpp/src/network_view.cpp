#include "convergent/network_view.hpp"

#include <cstdlib>
#include <cstring>

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
                     double* out) {
    const auto size = static_cast<std::ptrdiff_t>(sizeof(Scalar));
    for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
        const char* const row = corner + e * network.example_stride;
        double* const to = out + e * part.n_units;
        if (network.unit_stride == size) {
            for (std::ptrdiff_t u = 0; u < part.n_units; ++u) to[u] = load<Scalar>(row + u * size);
        } else {
            for (std::ptrdiff_t u = 0; u < part.n_units; ++u) {
                to[u] = load<Scalar>(row + u * network.unit_stride);
            }
        }
    }
}

template <class Scalar>
void read_by_unit(const NetworkView& network, const Rectangle& part, const char* corner,
                  double* out) {
    for (std::ptrdiff_t u = 0; u < part.n_units; ++u) {
        const char* const column = corner + u * network.unit_stride;
        for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
            out[e * part.n_units + u] = load<Scalar>(column + e * network.example_stride);
        }
    }
}

template <class Scalar>
void read(const NetworkView& network, const Rectangle& part, double* out) {
    const char* const corner = static_cast<const char*>(network.values) +
                               part.first_example * network.example_stride +
                               part.first_unit * network.unit_stride;
    if (std::abs(network.unit_stride) <= std::abs(network.example_stride)) {
        read_by_example<Scalar>(network, part, corner, out);
    } else {
        read_by_unit<Scalar>(network, part, corner, out);
    }
}

}  // namespace

void read_rectangle(const NetworkView& network, const Rectangle& part, double* out) {
    if (network.is_single) {
        read<float>(network, part, out);
    } else {
        read<double>(network, part, out);
    }
    if (network.means == nullptr) return;
    const double* const means = network.means + part.first_unit;
    for (std::ptrdiff_t e = 0; e < part.n_examples; ++e) {
        double* const row = out + e * part.n_units;
        for (std::ptrdiff_t u = 0; u < part.n_units; ++u) row[u] -= means[u];
    }
}

}  // namespace convergent
