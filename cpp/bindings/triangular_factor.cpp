#include "convergent/triangular_factor.hpp"

#include <algorithm>

#include "border.hpp"

namespace convergent::border {

void bind_triangular_factor(py::module_& m);

namespace {

using Rows = py::array_t<double, py::array::c_style>;

using RowMap = Eigen::Map<RowMatrix>;
using ConstRowMap = Eigen::Map<const RowMatrix>;

/// A copy of `triangle` that work(rows, copy, stop) has changed.
template <class Work>
Rows folded_of(const Rows& triangle, const Rows& rows, Work&& work) {
    if (triangle.ndim() != 2 || rows.ndim() != 2)
        throw py::value_error("the triangle and what is folded into it must be matrices");
    Rows folded({triangle.shape(0), triangle.shape(1)});
    std::copy(triangle.data(), triangle.data() + triangle.size(), folded.mutable_data());
    const ConstRowMap new_rows(rows.data(), rows.shape(0), rows.shape(1));
    RowMap result(folded.mutable_data(), folded.shape(0), folded.shape(1));
    run_interruptible([&](const StopToken& stop) { work(new_rows, result, stop); });
    return folded;
}

Rows fold_rows_of_arrays(const Rows& triangle, const Rows& rows, int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    return folded_of(
        triangle, rows,
        [n_threads](const ConstRowMap& new_rows, RowMap& result, const StopToken& stop) {
            fold_rows(new_rows, n_threads, stop, result);
        });
}

Rows fold_triangle_of_arrays(const Rows& triangle, const Rows& other) {
    return folded_of(triangle, other,
                     [](const ConstRowMap& rows, RowMap& result, const StopToken& stop) {
                         fold_triangle(rows, stop, result);
                     });
}

}  // namespace

void bind_triangular_factor(py::module_& m) {
    m.def("fold_rows", &fold_rows_of_arrays, py::arg("triangle").noconvert(),
          py::arg("rows").noconvert(), py::arg("n_threads"),
          "The upper triangular factor of [triangle; rows], a new array; what is below the "
          "diagonal is copied.");
    m.def("fold_triangle", &fold_triangle_of_arrays, py::arg("triangle").noconvert(),
          py::arg("other").noconvert(),
          "The same for another upper triangle, which is zero below its diagonal.");
}

}  // namespace convergent::border
