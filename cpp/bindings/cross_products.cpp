#include "convergent/cross_products.hpp"

#include <pybind11/stl.h>

#include "border.hpp"
#include "network_arrays.hpp"

namespace convergent::border {

void bind_cross_products(py::module_& m);

namespace {

using Products = py::array_t<double, py::array::f_style>;

Products cross_products_of(const std::vector<py::array>& networks, const py::object& means,
                           int n_threads) {
    const auto mean_list = means.is_none() ? std::vector<py::object>(networks.size(), py::none())
                                           : means.cast<std::vector<py::object>>();
    if (mean_list.size() != networks.size() || n_threads < 1) {
        throw py::value_error("means must be as many as networks, n_threads at least 1");
    }
    std::vector<NetworkView> views;
    py::ssize_t n_units = 0;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        views.push_back(network_view_of(networks[i], mean_list[i]));
        n_units += views.back().n_units;
    }
    Products products({n_units, n_units});
    Eigen::Map<Eigen::MatrixXd> values(products.mutable_data(), n_units, n_units);
    run_interruptible([&](const StopToken& stop) {
        values.setZero();
        add_cross_products(views, n_threads, stop, values);
        values.triangularView<Eigen::StrictlyLower>() = values.transpose();
    });
    return products;
}

}  // namespace

void bind_cross_products(py::module_& m) {
    m.def("cross_products", &cross_products_of, py::arg("networks").noconvert(), py::arg("means"),
          py::arg("n_threads"),
          "Gram matrix of the units of all networks side by side, less the means if given.");
}

}  // namespace convergent::border
