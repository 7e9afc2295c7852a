#include "convergent/assignment.hpp"

#include <string>

#include "border.hpp"

namespace convergent::border {

namespace {

std::string name_of(AssignmentStatus status) {
    switch (status) {
        case AssignmentStatus::solved:
            return "solved";
        case AssignmentStatus::infeasible:
            return "infeasible";
        case AssignmentStatus::invalid:
            break;
    }
    return "invalid";
}

template <class Scalar>
py::tuple assign_array(const Array<Scalar>& cost, bool maximize, bool return_duals) {
    if (cost.ndim() != 2) throw py::value_error("cost must be two-dimensional");
    constexpr auto size = py::ssize_t(sizeof(Scalar));
    const CostMatrix<Scalar> matrix{cost.data(), cost.shape(0), cost.shape(1),
                                    cost.strides(0) / size, cost.strides(1) / size};
    py::array_t<std::int64_t> column_of_row(matrix.n_rows);
    py::object u = py::none();
    py::object v = py::none();
    AssignmentOutput output{column_of_row.mutable_data(), nullptr, nullptr};
    if (return_duals) {
        py::array_t<double> row_duals(matrix.n_rows);
        py::array_t<double> column_duals(matrix.n_columns);
        output.u = row_duals.mutable_data();
        output.v = column_duals.mutable_data();
        u = row_duals;
        v = column_duals;
    }
    AssignmentStatus status = AssignmentStatus::invalid;
    run_interruptible(
        [&](const StopToken& stop) { status = assign(matrix, maximize, output, stop); });
    return py::make_tuple(name_of(status), column_of_row, u, v);
}

}  // namespace

void bind_assignment(py::module_& m) {
    const char* doc =
        "Assignment of least (greatest) total: status, column of each row (-1: none), duals u and "
        "v or None.\n"
        "Aligned float32 or float64 of any strides; status is 'solved', 'infeasible' or 'invalid'.";
    m.def("assign", &assign_array<double>, doc, py::arg("cost").noconvert(), py::arg("maximize"),
          py::arg("return_duals"));
    m.def("assign", &assign_array<float>, doc, py::arg("cost").noconvert(), py::arg("maximize"),
          py::arg("return_duals"));
}

}  // namespace convergent::border
