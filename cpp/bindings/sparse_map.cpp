#include "convergent/sparse_map.hpp"

#include <algorithm>

#include "border.hpp"

namespace convergent::border {

void bind_sparse_map(py::module_& m);

namespace {

using DenseRows = py::array_t<double, py::array::c_style>;

/// c_xx is symmetric, and c_yx in C order is c_xy in column order: both are read where they lie.
py::tuple sparse_map_of(const DenseRows& c_xx, const DenseRows& c_yx, const DenseRows& alphas,
                        int n_threads) {
    if (c_xx.ndim() != 2 || c_yx.ndim() != 2 || alphas.ndim() != 1) {
        throw py::value_error("c_xx and c_yx must have two dimensions, alphas one");
    }
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const py::ssize_t n_x = c_yx.shape(1), n_y = c_yx.shape(0), n_alphas = alphas.shape(0);
    const Eigen::Map<const Eigen::MatrixXd> within(c_xx.data(), c_xx.shape(1), c_xx.shape(0));
    const Eigen::Map<const Eigen::MatrixXd> between(c_yx.data(), n_x, n_y);
    const Eigen::Map<const Eigen::VectorXd> penalties(alphas.data(), n_alphas);
    DenseRows weights({n_alphas, n_y, n_x}), losses({n_alphas, n_y}), gaps({n_alphas, n_y});
    const SparseMapOutput out{weights.mutable_data(), losses.mutable_data(), gaps.mutable_data()};
    run_interruptible([&](const StopToken& stop) {
        sparse_map(within, between, penalties, n_threads, stop, out);
    });
    return py::make_tuple(std::move(weights), std::move(losses), std::move(gaps));
}

DenseRows paper_descent_of(const DenseRows& c_xx, const DenseRows& c_yx, double penalty,
                           const DenseRows& start, int n_threads) {
    if (c_xx.ndim() != 2 || c_yx.ndim() != 2 || start.ndim() != 2) {
        throw py::value_error("c_xx, c_yx and start must have two dimensions");
    }
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
    const Eigen::Map<const Eigen::MatrixXd> within(c_xx.data(), c_xx.shape(1), c_xx.shape(0));
    const Eigen::Map<const Eigen::MatrixXd> between(c_yx.data(), c_yx.shape(1), c_yx.shape(0));
    DenseRows weights({start.shape(0), start.shape(1)});
    std::copy(start.data(), start.data() + start.size(), weights.mutable_data());
    Eigen::Map<Eigen::MatrixXd> columns(weights.mutable_data(), start.shape(1), start.shape(0));
    run_interruptible([&](const StopToken& stop) {
        paper_descent(within, between, penalty, n_threads, stop, columns);
    });
    return weights;
}

}  // namespace

void bind_sparse_map(py::module_& m) {
    m.def("sparse_map", &sparse_map_of, py::arg("c_xx").noconvert(), py::arg("c_yx").noconvert(),
          py::arg("alphas").noconvert(), py::arg("n_threads"),
          "LASSO of every target from correlations: weights (n_alphas, n_y, n_x), losses and "
          "relative duality gaps (n_alphas, n_y).");
    m.def("paper_descent", &paper_descent_of, py::arg("c_xx").noconvert(),
          py::arg("c_yx").noconvert(), py::arg("penalty"), py::arg("start").noconvert(),
          py::arg("n_threads"),
          "Weights (n_y, n_x) after the gradient descent of Li et al. (2016).");
}

}  // namespace convergent::border
