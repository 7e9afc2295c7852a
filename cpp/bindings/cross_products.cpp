#include "convergent/cross_products.hpp"

#include "border.hpp"
#include "convergent/unit_summary.hpp"
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

void add_cross_products_to(const std::vector<py::array>& networks, const py::object& means,
                           Products products, int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const std::vector<NetworkView> views = network_views_of(networks, means);
    if (products.ndim() != 2) throw py::value_error("products must be two-dimensional");
    Eigen::Map<Eigen::MatrixXd> values(products.mutable_data(), products.shape(0),
                                       products.shape(1));
    run_interruptible(
        [&](const StopToken& stop) { add_cross_products(views, n_threads, stop, values); });
}

py::tuple products_between(const py::array& x, const py::array& y, const py::object& x_means,
                           const py::object& y_means, int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const NetworkView x_view = network_view_of(x, x_means), y_view = network_view_of(y, y_means);
    Products products({x_view.n_units, y_view.n_units});
    py::array_t<double> x_squares(x_view.n_units), y_squares(y_view.n_units);
    Eigen::Map<Eigen::MatrixXd> values(products.mutable_data(), x_view.n_units, y_view.n_units);
    Eigen::Map<Eigen::VectorXd> x_values(x_squares.mutable_data(), x_view.n_units);
    Eigen::Map<Eigen::VectorXd> y_values(y_squares.mutable_data(), y_view.n_units);
    run_interruptible([&](const StopToken& stop) {
        values.setZero();
        x_values.setZero();
        y_values.setZero();
        add_products_between(x_view, y_view, n_threads, stop, {values, x_values, y_values});
    });
    return py::make_tuple(products, x_squares, y_squares);
}

py::tuple unit_summary(const py::array& network, const py::object& means, int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const NetworkView view = network_view_of(network, means);
    UnitSummary summary;
    run_interruptible(
        [&](const StopToken& stop) { summary = summarise_units(view, n_threads, stop); });
    const auto array = [](const Eigen::ArrayXd& values) {
        return py::array_t<double>(values.size(), values.data());
    };
    return py::make_tuple(array(summary.low), array(summary.high), array(summary.mean),
                          array(summary.rest));
}

}  // namespace

void bind_cross_products(py::module_& m) {
    m.def("cross_products", &cross_products_of, py::arg("networks").noconvert(), py::arg("means"),
          py::arg("n_threads"),
          "Gram matrix of the units of all networks side by side, less the means if given.");
    m.def("add_cross_products", &add_cross_products_to, py::arg("networks").noconvert(),
          py::arg("means"), py::arg("products").noconvert(), py::arg("n_threads"),
          "Add the upper triangle of that matrix to the one of `products`, in Fortran order.");
    m.def("products_between", &products_between, py::arg("x").noconvert(), py::arg("y").noconvert(),
          py::arg("x_means"), py::arg("y_means"), py::arg("n_threads"),
          "Products of the units of two networks, and the squares of either's units.");
    m.def("unit_summary", &unit_summary, py::arg("network").noconvert(), py::arg("means"),
          py::arg("n_threads"), "Least and largest value, mean and rest of the mean of each unit.");
}

}  // namespace convergent::border
