#include "convergent/shared_response.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <string>
#include <vector>

#include "border.hpp"
#include "network_arrays.hpp"

namespace convergent::border {
namespace {

using DoubleVector = py::array_t<double, py::array::c_style>;
using DoubleMatrix = py::array_t<double, py::array::c_style>;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::MatrixXd matrix_of(const DoubleMatrix& values, Eigen::Index rows, Eigen::Index columns) {
    if (values.ndim() != 2 || values.shape(0) != rows || values.shape(1) != columns) {
        throw py::value_error("weights must be (n_units, k)");
    }
    return Eigen::Map<const RowMajor>(values.data(), rows, columns);
}

DoubleMatrix array_of(const Eigen::MatrixXd& values) {
    DoubleMatrix out({values.rows(), values.cols()});
    Eigen::Map<RowMajor>(out.mutable_data(), values.rows(), values.cols()) = values;
    return out;
}

py::tuple shared_response(const std::vector<py::array>& networks, const py::object& means,
                          const std::vector<DoubleMatrix>& start, int max_iter, double tol,
                          double diagonal, bool extrapolate, bool sequential, int n_threads) {
    const bool centred = !means.is_none();
    const auto mean_list = centred ? means.cast<std::vector<py::object>>()
                                   : std::vector<py::object>(networks.size(), py::none());
    if (networks.empty() || start.size() != networks.size() ||
        mean_list.size() != networks.size() || start.front().ndim() != 2) {
        throw py::value_error("networks, means and start must be lists of the same length");
    }
    const Eigen::Index k = start.front().shape(1);
    std::vector<NetworkView> views;
    std::vector<Eigen::MatrixXd> weights;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        views.push_back(network_view_of(networks[i], mean_list[i]));
        weights.push_back(matrix_of(start[i], views[i].n_units, k));
        if (views[i].n_examples != views[0].n_examples || k < 1 || k > views[i].n_units) {
            throw py::value_error("networks must share their examples and have at least k units");
        }
    }
    if (max_iter < 0 || !(tol >= 0.0) || n_threads < 1) {
        throw py::value_error("max_iter and tol must not be negative, n_threads at least 1");
    }
    const SharedResponseOptions options{max_iter,    tol,        diagonal,
                                        extrapolate, sequential, n_threads};
    DoubleMatrix response({views[0].n_examples, static_cast<py::ssize_t>(k)});
    double* const response_data = response.mutable_data();
    SharedResponseFit fit;
    run_interruptible([&](const StopToken& stop) {
        fit = fit_shared_response(views, std::move(weights), response_data, options, stop);
    });
    py::list out_weights;
    for (const Eigen::MatrixXd& w : fit.weights) out_weights.append(array_of(w));
    DoubleVector history(static_cast<py::ssize_t>(fit.objective_history.size()),
                         fit.objective_history.data());
    return py::make_tuple(out_weights, response, history, fit.converged, fit.on_examples);
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
          py::arg("start").noconvert(), py::kw_only(), py::arg("max_iter"), py::arg("tol"),
          py::arg("diagonal"), py::arg("extrapolate"), py::arg("sequential"), py::arg("n_threads"),
          "Deterministic shared response model: (weights, response, objective history, converged, "
          "whether the examples were read in every iteration).");
    m.def("align_to_response", &align_network, py::arg("network").noconvert(), py::arg("means"),
          py::arg("response").noconvert(), py::arg("anchor").noconvert(), py::kw_only(),
          py::arg("diagonal"),
          "Weights (n_units, k) that place one network into a shared response (n_examples, k).");
}

}  // namespace convergent::border
