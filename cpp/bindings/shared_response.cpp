#include "convergent/shared_response.hpp"

#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "border.hpp"
#include "network_arrays.hpp"
#include "weight_arrays.hpp"

namespace convergent::border {
namespace {

using StartList = std::vector<std::pair<std::string, std::vector<DoubleMatrix>>>;

std::vector<ResponseStarts> starts_of(const StartList& starts,
                                      const std::vector<Eigen::Index>& widths) {
    if (starts.empty() || starts.front().second.empty() ||
        starts.front().second.front().ndim() != 2) {
        throw py::value_error("starts must hold weights");
    }
    const Eigen::Index k = starts.front().second.front().shape(1);
    std::vector<ResponseStarts> result;
    for (const auto& [name, matrices] : starts) {
        ResponseStarts start{ResponseStart::kGiven, {}};
        if (name == "sequential") start.kind = ResponseStart::kSequential;
        if (name == "spectral") start.kind = ResponseStart::kSpectral;
        if (matrices.size() != widths.size()) {
            throw py::value_error("networks, means and start must be lists of the same length");
        }
        for (std::size_t i = 0; i < matrices.size(); ++i) {
            if (k < 1 || k > widths[i]) {
                throw py::value_error(
                    "networks must share their examples and have at least k units");
            }
            start.weights.push_back(matrix_of(matrices[i], widths[i], k));
        }
        result.push_back(std::move(start));
    }
    return result;
}

SharedResponseOptions options_of(const py::dict& values) {
    SharedResponseOptions options;
    options.max_iter = values["max_iter"].cast<int>();
    options.tol = values["tol"].cast<double>();
    options.diagonal = values["diagonal"].cast<double>();
    options.accelerate = values["accelerate"].cast<bool>();
    options.single = values["single"].cast<std::optional<bool>>();
    options.n_threads = values["n_threads"].cast<int>();
    if (options.max_iter < 0 || !(options.tol >= 0.0) || options.n_threads < 1) {
        throw py::value_error("max_iter and tol must not be negative, n_threads at least 1");
    }
    return options;
}

py::tuple tuple_of(const SharedResponseFit& fit, const py::object& response) {
    py::list weights;
    for (const Eigen::MatrixXd& w : fit.weights) weights.append(array_of(w));
    DoubleVector history(static_cast<py::ssize_t>(fit.objective_history.size()),
                         fit.objective_history.data());
    return py::make_tuple(weights, response, history, fit.converged, fit.on_examples, fit.start);
}

py::tuple shared_response(const std::vector<py::array>& networks, const py::object& means,
                          const StartList& starts, const py::kwargs& parameters) {
    const bool centred = !means.is_none();
    const auto mean_list = centred ? means.cast<std::vector<py::object>>()
                                   : std::vector<py::object>(networks.size(), py::none());
    if (networks.size() < 2 || mean_list.size() != networks.size()) {
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
    const std::vector<ResponseStarts> from = starts_of(starts, widths);
    const SharedResponseOptions options = options_of(parameters);
    DoubleMatrix response(
        {views[0].n_examples, static_cast<std::ptrdiff_t>(from.front().weights.front().cols())});
    double* const response_data = response.mutable_data();
    SharedResponseFit fit;
    run_interruptible([&](const StopToken& stop) {
        fit = fit_shared_response(views, from, response_data, options, stop);
    });
    return tuple_of(fit, response);
}

py::tuple shared_response_of_products(const DoubleMatrix& products,
                                      const std::vector<Eigen::Index>& widths,
                                      const StartList& starts, const py::kwargs& parameters) {
    Eigen::Index n_units = 0;
    for (const Eigen::Index width : widths) n_units += width;
    if (widths.size() < 2 || products.ndim() != 2 || products.shape(0) != n_units ||
        products.shape(1) != n_units) {
        throw py::value_error("products must have one row and one column a unit");
    }
    const std::vector<ResponseStarts> from = starts_of(starts, widths);
    const SharedResponseOptions options = options_of(parameters);
    // Symmetric, so its order does not matter.
    const Eigen::MatrixXd values =
        Eigen::Map<const Eigen::MatrixXd>(products.data(), n_units, n_units);
    SharedResponseFit fit;
    run_interruptible([&](const StopToken& stop) {
        fit = fit_shared_response(values, widths, from, options, stop);
    });
    return tuple_of(fit, py::none());
}

DoubleMatrix align_network(const py::array& network, const py::object& means,
                           const DoubleMatrix& response, const DoubleMatrix& anchor,
                           double diagonal) {
    const NetworkView view = network_view_of(network, means);
    if (response.ndim() != 2 || anchor.ndim() != 2 || response.shape(0) != view.n_examples ||
        response.shape(1) != anchor.shape(1) || anchor.shape(1) > view.n_units) {
        throw py::value_error("response must be (n_examples, k) with k at most the units");
    }
    const Eigen::MatrixXd start = matrix_of(anchor, view.n_units, anchor.shape(1));
    const double* const shared = response.data();
    Eigen::MatrixXd weights;
    run_interruptible([&](const StopToken& stop) {
        weights = align_to_response(view, shared, start, diagonal, stop);
    });
    return array_of(weights);
}

}  // namespace

void bind_shared_response(py::module_& m) {
    m.def("shared_response", &shared_response, py::arg("networks").noconvert(), py::arg("means"),
          py::arg("starts").noconvert(),
          "Deterministic shared response model from starts, each a kind and its weights: (weights, "
          "response, objective history, converged, whether the examples were read in every "
          "iteration, index of the best start).");
    m.def("shared_response_of_products", &shared_response_of_products,
          py::arg("products").noconvert(), py::arg("widths"), py::arg("starts").noconvert(),
          "The same from all cross-products (n_units, n_units); the response is None.");
    m.def("align_to_response", &align_network, py::arg("network").noconvert(), py::arg("means"),
          py::arg("response").noconvert(), py::arg("anchor").noconvert(), py::kw_only(),
          py::arg("diagonal"),
          "Weights (n_units, k) that place one network into a shared response (n_examples, k).");
}

}  // namespace convergent::border
