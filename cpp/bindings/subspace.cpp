#include "convergent/subspace.hpp"

#include <cstdint>

#include "border.hpp"

namespace convergent::border {

void bind_subspace(py::module_& m);

namespace {

using Matrix = py::array_t<double, py::array::f_style>;
using Vector = py::array_t<double, py::array::c_style>;
using Units = py::array_t<std::ptrdiff_t, py::array::c_style>;
using Flags = py::array_t<bool, py::array::c_style>;

void require(bool condition, const char* message) {
    if (!condition) throw py::value_error(message);
}

SpanFactor view(const Matrix& triangle, const Units& order, const Matrix& coefficients,
                const Vector& residuals, double tolerance) {
    require(triangle.ndim() == 2 && coefficients.ndim() == 2, "a span needs matrices");
    require(order.ndim() == 1 && residuals.ndim() == 1, "a span needs vectors");
    using Map = Eigen::Map<const Eigen::MatrixXd>;
    return {Map(triangle.data(), triangle.shape(0), triangle.shape(1)),
            Eigen::Map<const Eigen::Matrix<std::ptrdiff_t, Eigen::Dynamic, 1>>(order.data(),
                                                                               order.size()),
            Map(coefficients.data(), coefficients.shape(0), coefficients.shape(1)),
            Eigen::Map<const Eigen::VectorXd>(residuals.data(), residuals.size()), tolerance};
}

py::tuple max_match_of_arrays(const Matrix& x_triangle, const Units& x_order,
                              const Matrix& x_coefficients, const Vector& y_residuals,
                              double x_tolerance, const Matrix& y_triangle, const Units& y_order,
                              const Matrix& y_coefficients, const Vector& x_residuals,
                              double y_tolerance, const Vector& epsilons) {
    const SpanFactor span_x = view(x_triangle, x_order, x_coefficients, y_residuals, x_tolerance);
    const SpanFactor span_y = view(y_triangle, y_order, y_coefficients, x_residuals, y_tolerance);
    require(epsilons.ndim() == 1, "the epsilons must be a vector");
    const Eigen::Map<const Eigen::VectorXd> levels(epsilons.data(), epsilons.size());
    Flags in_x({epsilons.size(), x_order.size()});
    Flags in_y({epsilons.size(), y_order.size()});
    Eigen::Map<Membership> x_rows(in_x.mutable_data(), in_x.shape(0), in_x.shape(1));
    Eigen::Map<Membership> y_rows(in_y.mutable_data(), in_y.shape(0), in_y.shape(1));
    run_interruptible(
        [&](const StopToken& stop) { max_match(span_x, span_y, levels, stop, x_rows, y_rows); });
    return py::make_tuple(std::move(in_x), std::move(in_y));
}

}  // namespace

void bind_subspace(py::module_& m) {
    m.def("max_match", &max_match_of_arrays, py::arg("x_triangle").noconvert(),
          py::arg("x_order").noconvert(), py::arg("x_coefficients").noconvert(),
          py::arg("y_residuals").noconvert(), py::arg("x_tolerance"),
          py::arg("y_triangle").noconvert(), py::arg("y_order").noconvert(),
          py::arg("y_coefficients").noconvert(), py::arg("x_residuals").noconvert(),
          py::arg("y_tolerance"), py::arg("epsilons").noconvert(),
          "Maximum matches for descending epsilons: two bool arrays (n_epsilons, n_units) of "
          "membership.");
}

}  // namespace convergent::border
