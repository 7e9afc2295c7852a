#include "convergent/cross_products.hpp"

#include "border.hpp"
#include "network_arrays.hpp"

namespace convergent::border {

void bind_cross_products(py::module_& m);

namespace {

using Products = py::array_t<double, py::array::f_style>;

Products cross_products_of(const std::vector<py::array>& networks, const py::object& means,
                           int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const std::vector<NetworkView> views = network_views_of(networks, means);
    py::ssize_t n_units = 0;
    for (const NetworkView& view : views) n_units += view.n_units;
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
