#include "convergent/shared_response.hpp"

#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "border.hpp"
#include "response_arrays.hpp"

namespace convergent::border {
namespace {

using StartList = std::vector<std::pair<std::string, std::vector<DoubleMatrix>>>;

std::vector<ResponseStarts> starts_of(const StartList& starts, const Widths& widths) {
    if (starts.empty()) throw py::value_error("starts must hold weights");
    std::vector<ResponseStarts> result;
    for (const auto& [name, matrices] : starts) {
        ResponseStarts start{ResponseStart::kGiven, weights_of(matrices, widths)};
        if (name == "sequential") start.kind = ResponseStart::kSequential;
        if (name == "spectral") start.kind = ResponseStart::kSpectral;
        if (start.weights.front().cols() != starts.front().second.front().shape(1)) {
            throw py::value_error("weights must be (n_units, k)");
        }
        result.push_back(std::move(start));
    }
    return result;
}

SharedResponseOptions options_of(const py::dict& values) {
    SharedResponseOptions options;
    set_common(values, options);
    options.accelerate = values["accelerate"].cast<bool>();
    options.single = values["single"].cast<std::optional<bool>>();
    return options;
}

py::tuple tuple_of(const SharedResponseFit& fit, const py::object& response) {
    py::list means;
    for (const Eigen::VectorXd& mean : fit.means) {
        means.append(DoubleVector(static_cast<py::ssize_t>(mean.size()), mean.data()));
    }
    return py::make_tuple(list_of(fit.weights), response, array_of(fit.objective_history),
                          fit.converged, fit.on_examples, fit.start, means);
}

py::tuple shared_response(const std::vector<py::array>& networks, bool center,
                          const StartList& starts, const py::kwargs& parameters) {
    const std::vector<NetworkView> views = network_views_of(networks, py::none());
    const std::vector<ResponseStarts> from = starts_of(starts, widths_of(views));
    const SharedResponseOptions options = options_of(parameters);
    DoubleMatrix response({views.front().n_examples, from.front().weights.front().cols()});
    double* const response_data = response.mutable_data();
    SharedResponseFit fit;
    run_interruptible([&](const StopToken& stop) {
        fit = fit_shared_response(views, center, from, response_data, options, stop);
    });
    return tuple_of(fit, response);
}

py::tuple shared_response_of_products(const DoubleMatrix& products, const Widths& widths,
                                      const StartList& starts, const py::kwargs& parameters) {
    const Eigen::MatrixXd values = products_of(products, widths);
    const std::vector<ResponseStarts> from = starts_of(starts, widths);
    const SharedResponseOptions options = options_of(parameters);
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
    m.def("shared_response", &shared_response, py::arg("networks").noconvert(), py::arg("center"),
          py::arg("starts").noconvert(),
          "Deterministic shared response model from starts, each a kind and its weights: (weights, "
          "response, objective history, converged, whether the examples were read in every "
          "iteration, index of the best start, means of the units removed).");
    m.def("shared_response_of_products", &shared_response_of_products,
          py::arg("products").noconvert(), py::arg("widths"), py::arg("starts").noconvert(),
          "The same from all cross-products (n_units, n_units); the response is None.");
    m.def("align_to_response", &align_network, py::arg("network").noconvert(), py::arg("means"),
          py::arg("response").noconvert(), py::arg("anchor").noconvert(), py::kw_only(),
          py::arg("diagonal"),
          "Weights (n_units, k) that place one network into a shared response (n_examples, k).");
}

}  // namespace convergent::border
