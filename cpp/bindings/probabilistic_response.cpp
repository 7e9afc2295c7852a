#include "convergent/probabilistic_response.hpp"

#include <pybind11/stl.h>

#include <utility>
#include <vector>

#include "border.hpp"
#include "response_arrays.hpp"

namespace convergent::border {
namespace {

ProbabilisticResponseOptions em_options_of(const py::dict& values) {
    ProbabilisticResponseOptions options;
    set_common(values, options);
    options.unit_start = values["unit_start"].cast<bool>();
    return options;
}

py::tuple em_tuple_of(const ProbabilisticResponseFit& fit, const py::object& response) {
    return py::make_tuple(list_of(fit.weights), response, array_of(fit.log_likelihood),
                          fit.converged, array_of(fit.noise), array_of(fit.covariance));
}

void check_squares(const std::vector<double>& squares, const Widths& widths) {
    if (squares.size() != widths.size()) {
        throw py::value_error("squares and networks must be lists of the same length");
    }
}

py::tuple probabilistic_response(const std::vector<py::array>& networks, const py::object& means,
                                 const std::vector<double>& squares,
                                 const std::vector<DoubleMatrix>& start,
                                 const py::kwargs& parameters) {
    const std::vector<NetworkView> views = network_views_of(networks, means);
    const Widths widths = widths_of(views);
    check_squares(squares, widths);
    std::vector<Eigen::MatrixXd> weights = weights_of(start, widths);
    const ProbabilisticResponseOptions options = em_options_of(parameters);
    DoubleMatrix response({views.front().n_examples, weights.front().cols()});
    double* const response_data = response.mutable_data();
    ProbabilisticResponseFit fit;
    run_interruptible([&](const StopToken& stop) {
        fit = fit_probabilistic_response(views, squares, std::move(weights), response_data, options,
                                         stop);
    });
    return em_tuple_of(fit, response);
}

py::tuple probabilistic_response_of_products(const DoubleMatrix& products, const Widths& widths,
                                             double n_examples, const std::vector<double>& squares,
                                             const std::vector<DoubleMatrix>& start,
                                             const py::kwargs& parameters) {
    const Eigen::MatrixXd values = products_of(products, widths);
    check_squares(squares, widths);
    std::vector<Eigen::MatrixXd> weights = weights_of(start, widths);
    const ProbabilisticResponseOptions options = em_options_of(parameters);
    ProbabilisticResponseFit fit;
    run_interruptible([&](const StopToken& stop) {
        fit = fit_probabilistic_response(values, widths, n_examples, squares, std::move(weights),
                                         options, stop);
    });
    return em_tuple_of(fit, py::none());
}

}  // namespace

void bind_probabilistic_response(py::module_& m) {
    m.def("probabilistic_response", &probabilistic_response, py::arg("networks").noconvert(),
          py::arg("means"), py::arg("squares"), py::arg("start").noconvert(),
          "Probabilistic shared response model: (weights, response, log-likelihoods, converged, "
          "noise variances, covariance of the response).");
    m.def("probabilistic_response_of_products", &probabilistic_response_of_products,
          py::arg("products").noconvert(), py::arg("widths"), py::arg("n_examples"),
          py::arg("squares"), py::arg("start").noconvert(),
          "The same from all cross-products (n_units, n_units); the response is None.");
}

}  // namespace convergent::border
