#pragma once

#include "border.hpp"
#include "convergent/subspace.hpp"

namespace convergent::border {

/// A span as Python holds it: (triangle, order, coefficients, residuals, tolerance), matrices in
/// Fortran order. Keeps the arrays alive while the kernel reads them.
struct SpanArrays {
    using Matrix = py::array_t<double, py::array::f_style>;
    using Vector = py::array_t<double, py::array::c_style>;
    using Units = py::array_t<std::ptrdiff_t, py::array::c_style>;

    explicit SpanArrays(const py::tuple& parts)
        : triangle(part<Matrix>(parts, 0, 2)),
          order(part<Units>(parts, 1, 1)),
          coefficients(part<Matrix>(parts, 2, 2)),
          residuals(part<Vector>(parts, 3, 1)),
          factor{Map(triangle.data(), triangle.shape(0), triangle.shape(1)),
                 Eigen::Map<const Eigen::Matrix<std::ptrdiff_t, Eigen::Dynamic, 1>>(order.data(),
                                                                                    order.size()),
                 Map(coefficients.data(), coefficients.shape(0), coefficients.shape(1)),
                 Eigen::Map<const Eigen::VectorXd>(residuals.data(), residuals.size()),
                 parts[4].cast<double>()} {}

    Matrix triangle;
    Units order;
    Matrix coefficients;
    Vector residuals;
    SpanFactor factor;

 private:
    using Map = Eigen::Map<const Eigen::MatrixXd>;

    template <class Array>
    static Array part(const py::tuple& parts, std::size_t index, int n_dimensions) {
        if (parts.size() != 5) throw py::value_error("a span has five parts");
        if (!py::isinstance<Array>(parts[index])) {
            throw py::type_error(
                "a span's matrices must be float64 in Fortran order, its order int64");
        }
        auto array = py::reinterpret_borrow<Array>(parts[index]);
        if (array.ndim() != n_dimensions) {
            throw py::value_error("a span needs matrices and vectors where they belong");
        }
        return array;
    }
};

}  // namespace convergent::border
