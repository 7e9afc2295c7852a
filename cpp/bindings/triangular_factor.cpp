#include "convergent/triangular_factor.hpp"

#include <pybind11/stl.h>

#include <algorithm>

#include "border.hpp"
#include "network_arrays.hpp"

namespace convergent::border {

void bind_triangular_factor(py::module_& m);

namespace {

using Rows = py::array_t<double, py::array::c_style>;

using OrderArray64 = py::array_t<std::ptrdiff_t, py::array::c_style>;

/// A copy of `triangle` that work(copy, stop) has changed.
template <class Work>
Rows folded_of(const Rows& triangle, Work&& work) {
    if (triangle.ndim() != 2) throw py::value_error("the triangle must be a matrix");
    Rows folded({triangle.shape(0), triangle.shape(1)});
    std::copy(triangle.data(), triangle.data() + triangle.size(), folded.mutable_data());
    Eigen::Map<RowMatrix> result(folded.mutable_data(), folded.shape(0), folded.shape(1));
    run_interruptible([&](const StopToken& stop) { work(result, stop); });
    return folded;
}

Rows fold_examples_of_arrays(const Rows& triangle, const std::vector<py::array>& networks,
                             const py::object& means, const py::object& order, int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const std::vector<NetworkView> views = network_views_of(networks, means);
    ColumnOrder columns;
    if (!order.is_none()) {
        const auto given = order.cast<OrderArray64>();
        columns.assign(given.data(), given.data() + given.size());
    }
    return folded_of(triangle, [&](Eigen::Map<RowMatrix>& result, const StopToken& stop) {
        fold_examples(views, columns, n_threads, stop, result);
    });
}

Rows fold_triangle_of_arrays(const Rows& triangle, const Rows& other) {
    if (other.ndim() != 2) throw py::value_error("the triangle must be a matrix");
    const Eigen::Map<const RowMatrix> rows(other.data(), other.shape(0), other.shape(1));
    return folded_of(triangle, [&](Eigen::Map<RowMatrix>& result, const StopToken& stop) {
        fold_triangle(rows, stop, result);
    });
}

}  // namespace

void bind_triangular_factor(py::module_& m) {
    m.def("fold_examples", &fold_examples_of_arrays, py::arg("triangle").noconvert(),
          py::arg("networks").noconvert(), py::arg("means"), py::arg("order"), py::arg("n_threads"),
          "The upper triangular factor of the triangle over the units of all networks side by side "
          "(less the means, in an order, if given), a new array; what is below the diagonal is "
          "copied.");
    m.def("fold_triangle", &fold_triangle_of_arrays, py::arg("triangle").noconvert(),
          py::arg("other").noconvert(),
          "The same for another upper triangle, which is zero below its diagonal.");
}

}  // namespace convergent::border
