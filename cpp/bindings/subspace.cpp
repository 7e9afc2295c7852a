#include "convergent/subspace.hpp"

#include <cstdint>

#include "border.hpp"
#include "span_arrays.hpp"

namespace convergent::border {

void bind_subspace(py::module_& m);

namespace {

using Epsilons = py::array_t<double, py::array::c_style>;
using Flags = py::array_t<bool, py::array::c_style>;

py::tuple max_match_of_arrays(const py::tuple& x_span, const py::tuple& y_span,
                              const Epsilons& epsilons) {
    const SpanArrays x(x_span), y(y_span);
    if (epsilons.ndim() != 1) throw py::value_error("the epsilons must be a vector");
    const Eigen::Map<const Eigen::VectorXd> levels(epsilons.data(), epsilons.size());
    Flags in_x({epsilons.size(), x.order.size()});
    Flags in_y({epsilons.size(), y.order.size()});
    Eigen::Map<Membership> x_rows(in_x.mutable_data(), in_x.shape(0), in_x.shape(1));
    Eigen::Map<Membership> y_rows(in_y.mutable_data(), in_y.shape(0), in_y.shape(1));
    py::array_t<double> margins(epsilons.size());
    Eigen::Map<Eigen::VectorXd> closest(margins.mutable_data(), margins.size());
    run_interruptible([&](const StopToken& stop) {
        max_match(x.factor, y.factor, levels, stop, x_rows, y_rows, closest);
    });
    return py::make_tuple(std::move(in_x), std::move(in_y), std::move(margins));
}

}  // namespace

void bind_subspace(py::module_& m) {
    m.def("max_match", &max_match_of_arrays, py::arg("x"), py::arg("y"),
          py::arg("epsilons").noconvert(),
          "Maximum matches for descending epsilons: two bool arrays (n_epsilons, n_units) of "
          "membership, and the closest decision of each.");
}

}  // namespace convergent::border
