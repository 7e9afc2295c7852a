#include "convergent/scaled_cholesky.hpp"

#include <algorithm>

#include "border.hpp"

namespace convergent::border {

void bind_scaled_cholesky(py::module_& m);

namespace {

using ColumnMatrix = py::array_t<double, py::array::f_style>;
using Values = py::array_t<double, py::array::c_style>;

Eigen::Map<const Eigen::MatrixXd> matrix_view(const ColumnMatrix& matrix) {
    if (matrix.ndim() != 2) throw py::value_error("a matrix must have two dimensions");
    return {matrix.data(), matrix.shape(0), matrix.shape(1)};
}

py::object scaled_cholesky_of(const ColumnMatrix& gram, int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const auto values = matrix_view(gram);
    ScaledCholesky found;
    run_interruptible(
        [&](const StopToken& stop) { found = scaled_cholesky(values, n_threads, stop); });
    if (!found.positive_definite) return py::none();
    ColumnMatrix triangle({found.triangle.rows(), found.triangle.cols()});
    std::copy(found.triangle.data(), found.triangle.data() + found.triangle.size(),
              triangle.mutable_data());
    Values norms(found.norms.size(), found.norms.data());
    return py::make_tuple(std::move(triangle), std::move(norms), found.inverse_norm);
}

py::tuple project_on_triangle_of(const ColumnMatrix& triangle, const ColumnMatrix& cross,
                                 int n_threads) {
    const auto basis = matrix_view(triangle), products = matrix_view(cross);
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    ColumnMatrix coefficients({cross.shape(0), cross.shape(1)});
    Values residuals(cross.shape(1)), weights(cross.shape(1));
    Eigen::Map<Eigen::MatrixXd> columns(coefficients.mutable_data(), cross.shape(0),
                                        cross.shape(1));
    Eigen::Map<Eigen::VectorXd> squares(residuals.mutable_data(), residuals.size());
    Eigen::Map<Eigen::VectorXd> sums(weights.mutable_data(), weights.size());
    run_interruptible([&](const StopToken& stop) {
        columns = products;
        project_on_triangle(basis, n_threads, stop, columns, squares, sums);
    });
    return py::make_tuple(std::move(coefficients), std::move(residuals), std::move(weights));
}

}  // namespace

void bind_scaled_cholesky(py::module_& m) {
    m.def("scaled_cholesky", &scaled_cholesky_of, py::arg("gram").noconvert(), py::arg("n_threads"),
          "Cholesky factor of a Gram matrix scaled to norm 1, the norms, and the 1-norm of the "
          "inverse; None when it is not positive definite.");
    m.def("project_on_triangle", &project_on_triangle_of, py::arg("triangle").noconvert(),
          py::arg("cross").noconvert(), py::arg("n_threads"),
          "Coefficients of other units in a triangle's basis, their squared distances, and the "
          "norms of their coefficients on the units.");
}

}  // namespace convergent::border
