#include "convergent/minimal_match.hpp"

#include <pybind11/stl.h>

#include <cstdint>

#include "border.hpp"
#include "span_arrays.hpp"

namespace convergent::border {

void bind_minimal_match(py::module_& m);

namespace {

using Levels = py::array_t<double, py::array::c_style>;
using OrderArray = py::array_t<std::ptrdiff_t, py::array::c_style>;
using UnitFlags = py::array_t<bool, py::array::c_style>;

py::ssize_t unit_count(const SpanArrays& x, const SpanArrays& y) {
    return static_cast<py::ssize_t>(x.factor.order.size() + y.factor.order.size());
}

std::vector<RemovalOrder> orders_of(const OrderArray& orders, py::ssize_t n_units) {
    if (orders.ndim() != 2 || orders.shape(1) != n_units) {
        throw py::value_error("orders must have one column a unit");
    }
    std::vector<RemovalOrder> rows;
    for (py::ssize_t i = 0; i < orders.shape(0); ++i) {
        const std::ptrdiff_t* row = orders.data(i, 0);
        rows.emplace_back(row, row + n_units);
        std::vector<char> seen(static_cast<std::size_t>(n_units), 0);
        for (const std::ptrdiff_t unit : rows.back()) {
            if (unit < 0 || unit >= n_units || seen[static_cast<std::size_t>(unit)]++) {
                throw py::value_error("each order must be a permutation of the units");
            }
        }
    }
    return rows;
}

/// (n_found, n_units) membership, the order of each match, and for each its units.
py::tuple arrays_of(const std::vector<FoundMatch>& found, py::ssize_t n_units) {
    UnitFlags members({static_cast<py::ssize_t>(found.size()), n_units});
    py::list orders, of_units;
    for (std::size_t i = 0; i < found.size(); ++i) {
        std::copy(found[i].members.begin(), found[i].members.end(),
                  members.mutable_data(static_cast<py::ssize_t>(i), 0));
        orders.append(found[i].order);
        of_units.append(py::cast(found[i].of_units));
    }
    return py::make_tuple(members, orders, of_units);
}

MatchCascade maximum_of(const SpanArrays& x, const SpanArrays& y, double epsilon,
                        const StopToken& stop) {
    MatchCascade cascade(x.factor, y.factor);
    cascade.shrink_to(epsilon, stop);
    return cascade;
}

Levels match_levels(const py::tuple& x_span, const py::tuple& y_span) {
    const SpanArrays x(x_span), y(y_span);
    Levels levels(unit_count(x, y));
    Eigen::Map<Eigen::VectorXd> values(levels.mutable_data(), levels.size());
    run_interruptible(
        [&](const StopToken& stop) { MatchCascade(x.factor, y.factor).peel(values, stop); });
    return levels;
}

/// Matches of the wanted units; `progress`, if any, is called with the number of pairs of unit and
/// order that are done, and stops the search by returning False.
py::tuple minimal_matches_of_arrays(const py::tuple& x_span, const py::tuple& y_span,
                                    double epsilon, const std::vector<bool>& wanted,
                                    const OrderArray& orders, int n_threads,
                                    const py::object& progress) {
    const SpanArrays x(x_span), y(y_span);
    const py::ssize_t n_units = unit_count(x, y);
    if (static_cast<py::ssize_t>(wanted.size()) != n_units || n_threads < 1) {
        throw py::value_error("wanted must have one flag a unit, and n_threads be at least 1");
    }
    const std::vector<RemovalOrder> rows = orders_of(orders, n_units);
    const std::vector<char> flags(wanted.begin(), wanted.end());
    MinimalMatches found{{}, 0.0};
    std::atomic<std::ptrdiff_t> n_done{0};
    StopToken halt;
    run_interruptible(
        [&](const StopToken& stop) {
            try {
                const StopToken either(stop, halt);
                const MatchCascade maximum = maximum_of(x, y, epsilon, either);
                found =
                    minimal_matches(maximum, epsilon, flags, rows, n_threads, stop, halt, n_done);
            } catch (const Interrupted&) {
                if (stop.requested()) throw;  // else it was halted before anything was found
            }
        },
        [&] {
            if (!progress.is_none() && progress(n_done.load()).is(py::bool_(false))) halt.request();
        });
    py::tuple arrays = arrays_of(found.matches, n_units);
    return py::make_tuple(arrays[0], arrays[1], arrays[2], halt.requested(), found.margin);
}

py::tuple all_minimal_matches_of_arrays(const py::tuple& x_span, const py::tuple& y_span,
                                        double epsilon, std::ptrdiff_t unit,
                                        const OrderArray& order, std::ptrdiff_t n_limit,
                                        std::ptrdiff_t n_searches) {
    const SpanArrays x(x_span), y(y_span);
    const py::ssize_t n_units = unit_count(x, y);
    const std::vector<RemovalOrder> rows = orders_of(order, n_units);
    if (rows.size() != 1 || unit < 0 || unit >= n_units) {
        throw py::value_error("there must be one order, and the unit be one of them");
    }
    AllMatches result{{}, true, 0.0};
    run_interruptible([&](const StopToken& stop) {
        result = all_minimal_matches(maximum_of(x, y, epsilon, stop), epsilon, unit, rows[0],
                                     n_limit, n_searches, stop);
    });
    py::tuple arrays = arrays_of(result.matches, n_units);
    return py::make_tuple(arrays[0], result.complete, result.margin);
}

}  // namespace

void bind_minimal_match(py::module_& m) {
    m.def("match_levels", &match_levels, py::arg("x"), py::arg("y"),
          "Smallest epsilon at which each unit, x first, is in the maximum match.");
    m.def("minimal_matches", &minimal_matches_of_arrays, py::arg("x"), py::arg("y"),
          py::arg("epsilon"), py::arg("wanted"), py::arg("orders").noconvert(),
          py::arg("n_threads"), py::arg("progress"),
          "Minimal matches: membership (n_found, n_units), order and units of each, whether the "
          "search was halted, and the least |distance - epsilon| of its decisions.");
    m.def("all_minimal_matches", &all_minimal_matches_of_arrays, py::arg("x"), py::arg("y"),
          py::arg("epsilon"), py::arg("unit"), py::arg("order").noconvert(), py::arg("n_limit"),
          py::arg("n_searches"),
          "All minimal matches of one unit: membership (n_found, n_units), whether all were "
          "found, and the least |distance - epsilon| of the search's decisions.");
}

}  // namespace convergent::border
