#include "convergent/mutual_information.hpp"

#include <stdexcept>
#include <string>

#include "border.hpp"
#include "convergent/binning.hpp"

namespace convergent::border {
namespace {

template <class Scalar>
py::tuple bin_units_of(const Array<Scalar>& x, int n_bins, bool authors, int n_threads) {
    if (x.ndim() != 2) throw std::invalid_argument("x must have two dimensions");
    if (n_bins < 1 || n_threads < 1)
        throw std::invalid_argument("n_bins and n_threads must be positive");
    const ActivationView<Scalar> view{x.data(), x.shape(0), x.shape(1), x.strides(0), x.strides(1)};
    py::array_t<std::uint8_t> codes({view.n_units, view.n_examples});
    py::array_t<double> edges({view.n_units, static_cast<py::ssize_t>(n_bins)});
    py::array_t<std::int64_t> n_edges(view.n_units);
    const BinConvention convention = authors ? BinConvention::authors : BinConvention::paper;
    std::uint8_t* codes_out = codes.mutable_data();
    double* edges_out = edges.mutable_data();
    std::int64_t* n_edges_out = n_edges.mutable_data();
    run_interruptible([&](const StopToken& stop) {
        bin_units(view, n_bins, convention, n_threads, stop, codes_out, edges_out, n_edges_out);
    });
    return py::make_tuple(std::move(codes), std::move(edges), std::move(n_edges));
}

using Codes = py::array_t<std::uint8_t, py::array::c_style>;

BinCodes view_of(const Codes& codes, int n_codes) {
    if (codes.ndim() != 2) throw std::invalid_argument("codes must have two dimensions");
    return {codes.data(), codes.shape(1), codes.shape(0), n_codes};
}

CountMethod method_of(const std::string& counting) {
    if (counting == "cheapest") return CountMethod::cheapest;
    if (counting == "scatter") return CountMethod::scatter;
    if (counting == "positional") return CountMethod::positional;
    throw std::invalid_argument("counting must be cheapest, scatter or positional");
}

py::array_t<double> mutual_information_of(const Codes& x, const Codes& y, int n_codes_x,
                                          int n_codes_y, bool miller_madow, int n_threads,
                                          const std::string& counting) {
    const CountMethod method = method_of(counting);
    if (n_threads < 1) throw std::invalid_argument("n_threads must be positive");
    const BinCodes x_view = view_of(x, n_codes_x);
    const BinCodes y_view = view_of(y, n_codes_y);
    py::array_t<double> nats({x_view.n_units, y_view.n_units});
    double* nats_out = nats.mutable_data();
    run_interruptible([&](const StopToken& stop) {
        mutual_information(x_view, y_view, miller_madow, method, n_threads, stop, nats_out);
    });
    return nats;
}

bool counts_by_position_of(const Codes& x, const Codes& y, int n_codes_x, int n_codes_y) {
    return counts_by_position(view_of(x, n_codes_x), view_of(y, n_codes_y));
}

}  // namespace

void bind_mutual_information(py::module_& m) {
    const char* bin_doc =
        "Bin codes (n_units, n_examples), edges (n_units, n_bins; NaN past the last), counts of "
        "edges.";
    m.def("bin_units", &bin_units_of<float>, bin_doc, py::arg("x").noconvert(), py::arg("n_bins"),
          py::arg("authors"), py::arg("n_threads"));
    m.def("bin_units", &bin_units_of<double>, bin_doc, py::arg("x").noconvert(), py::arg("n_bins"),
          py::arg("authors"), py::arg("n_threads"));
    m.def("mutual_information", &mutual_information_of,
          "Mutual information in nats, (n_units_x, n_units_y), from codes (n_units, n_examples).",
          py::arg("x_codes").noconvert(), py::arg("y_codes").noconvert(), py::arg("n_codes_x"),
          py::arg("n_codes_y"), py::arg("miller_madow"), py::arg("n_threads"),
          py::arg("counting") = "cheapest");
    m.def("counts_by_position", &counts_by_position_of,
          "Whether the cheapest way of counting is the positional one.",
          py::arg("x_codes").noconvert(), py::arg("y_codes").noconvert(), py::arg("n_codes_x"),
          py::arg("n_codes_y"));
}

}  // namespace convergent::border
