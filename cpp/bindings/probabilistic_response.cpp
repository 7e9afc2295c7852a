#include "convergent/probabilistic_response.hpp"

#include <pybind11/stl.h>

#include <utility>
#include <vector>

#include "border.hpp"
#include "network_arrays.hpp"
#include "weight_arrays.hpp"

namespace convergent::border {
namespace {

std::vector<Eigen::MatrixXd> start_of(const std::vector<DoubleMatrix>& start,
                                      const std::vector<Eigen::Index>& widths) {
    if (start.size() != widths.size() || start.size() < 2 || start.front().ndim() != 2) {
        throw py::value_error("networks, means and start must be lists of the same length");
    }
    const Eigen::Index k = start.front().shape(1);
    std::vector<Eigen::MatrixXd> weights;
    for (std::size_t i = 0; i < start.size(); ++i) {
        if (k < 1 || k > widths[i]) {
            throw py::value_error("networks must share their examples and have at least k units");
        }
        weights.push_back(matrix_of(start[i], widths[i], k));
    }
    return weights;
}

ProbabilisticResponseOptions em_options_of(const py::dict& values) {
    ProbabilisticResponseOptions options;
    options.max_iter = values["max_iter"].cast<int>();
    options.tol = values["tol"].cast<double>();
    options.diagonal = values["diagonal"].cast<double>();
    options.unit_start = values["unit_start"].cast<bool>();
    options.n_threads = values["n_threads"].cast<int>();
    if (options.max_iter < 0 || !(options.tol >= 0.0) || options.n_threads < 1) {
        throw py::value_error("max_iter and tol must not be negative, n_threads at least 1");
    }
    return options;
}

py::tuple em_tuple_of(const ProbabilisticResponseFit& fit, const py::object& response) {
    py::list weights;
    for (const Eigen::MatrixXd& w : fit.weights) weights.append(array_of(w));
    DoubleVector noise(static_cast<py::ssize_t>(fit.noise.size()), fit.noise.data());
    DoubleVector history(static_cast<py::ssize_t>(fit.log_likelihood.size()),
                         fit.log_likelihood.data());
    return py::make_tuple(weights, response, history, fit.converged, noise,
                          array_of(fit.covariance));
}

py::tuple probabilistic_response(const std::vector<py::array>& networks, const py::object& means,
                                 const std::vector<double>& squares,
                                 const std::vector<DoubleMatrix>& start,
                                 const py::kwargs& parameters) {
    const auto mean_list = means.is_none() ? std::vector<py::object>(networks.size(), py::none())
                                           : means.cast<std::vector<py::object>>();
    if (mean_list.size() != networks.size() || squares.size() != networks.size()) {
        throw py::value_error("networks, means and start must be lists of the same length");
    }
    std::vector<NetworkView> views;
    std::vector<Eigen::Index> widths;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        views.push_back(network_view_of(networks[i], mean_list[i]));
        widths.push_back(views[i].n_units);
        if (views[i].n_examples != views[0].n_examples) {
            throw py::value_error("networks must share their examples and have at least k units");
        }
    }
    std::vector<Eigen::MatrixXd> weights = start_of(start, widths);
    const ProbabilisticResponseOptions options = em_options_of(parameters);
    DoubleMatrix response(
        {views[0].n_examples, static_cast<std::ptrdiff_t>(weights.front().cols())});
    double* const response_data = response.mutable_data();
    ProbabilisticResponseFit fit;
    run_interruptible([&](const StopToken& stop) {
        fit = fit_probabilistic_response(views, squares, std::move(weights), response_data, options,
                                         stop);
    });
    return em_tuple_of(fit, response);
}

py::tuple probabilistic_response_of_products(const DoubleMatrix& products,
                                             const std::vector<Eigen::Index>& widths,
                                             double n_examples, const std::vector<double>& squares,
                                             const std::vector<DoubleMatrix>& start,
                                             const py::kwargs& parameters) {
    Eigen::Index n_units = 0;
    for (const Eigen::Index width : widths) n_units += width;
    if (squares.size() != widths.size() || products.ndim() != 2 || products.shape(0) != n_units ||
        products.shape(1) != n_units) {
        throw py::value_error("products must have one row and one column a unit");
    }
    std::vector<Eigen::MatrixXd> weights = start_of(start, widths);
    const ProbabilisticResponseOptions options = em_options_of(parameters);
    // Symmetric, so its order does not matter.
    const Eigen::MatrixXd values =
        Eigen::Map<const Eigen::MatrixXd>(products.data(), n_units, n_units);
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
