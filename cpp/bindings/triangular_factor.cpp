#include "convergent/triangular_factor.hpp"

#include <algorithm>

#include "border.hpp"

namespace convergent::border {

void bind_triangular_factor(py::module_& m);

namespace {

using Rows = py::array_t<double, py::array::c_style>;

Rows fold_rows_of_arrays(const Rows& triangle, const Rows& rows) {
    if (triangle.ndim() != 2 || rows.ndim() != 2)
        throw py::value_error("`triangle` and `rows` must be matrices");
    Rows folded({triangle.shape(0), triangle.shape(1)});
    std::copy(triangle.data(), triangle.data() + triangle.size(), folded.mutable_data());
    const Eigen::Map<const RowMatrix> new_rows(rows.data(), rows.shape(0), rows.shape(1));
    Eigen::Map<RowMatrix> result(folded.mutable_data(), folded.shape(0), folded.shape(1));
    run_interruptible([&](const StopToken& stop) { fold_rows(new_rows, stop, result); });
    return folded;
}

}  // namespace

void bind_triangular_factor(py::module_& m) {
    m.def("fold_rows", &fold_rows_of_arrays, py::arg("triangle").noconvert(),
          py::arg("rows").noconvert(),
          "The upper triangular factor of [triangle; rows], a new array; what is below the "
          "diagonal is copied.");
}

}  // namespace convergent::border
