#pragma once

#include <pybind11/numpy.h>

#include <Eigen/Core>
#include <algorithm>
#include <vector>

#include "convergent/network_view.hpp"
#include "network_arrays.hpp"

namespace convergent::border {

using DoubleVector = py::array_t<double, py::array::c_style>;
using DoubleMatrix = py::array_t<double, py::array::c_style>;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Widths = std::vector<Eigen::Index>;

/// Copies between matrices of different order in tiles, each of which stays in the cache.
template <class From, class To>
void copy_tiled(const From& from, To&& to) {
    constexpr Eigen::Index kTile = 32;
    for (Eigen::Index column = 0; column < from.cols(); column += kTile) {
        const Eigen::Index columns = std::min(kTile, from.cols() - column);
        for (Eigen::Index row = 0; row < from.rows(); row += kTile) {
            const Eigen::Index rows = std::min(kTile, from.rows() - row);
            to.block(row, column, rows, columns) = from.block(row, column, rows, columns);
        }
    }
}

inline Eigen::MatrixXd matrix_of(const DoubleMatrix& values, Eigen::Index rows,
                                 Eigen::Index columns) {
    if (values.ndim() != 2 || values.shape(0) != rows || values.shape(1) != columns) {
        throw py::value_error("weights must be (n_units, k)");
    }
    Eigen::MatrixXd matrix(rows, columns);
    copy_tiled(Eigen::Map<const RowMajor>(values.data(), rows, columns), matrix);
    return matrix;
}

/// One matrix (n_units_i, k) a network, with the k of the first.
inline std::vector<Eigen::MatrixXd> weights_of(const std::vector<DoubleMatrix>& matrices,
                                               const Widths& widths) {
    if (matrices.size() != widths.size() || matrices.size() < 2 || matrices.front().ndim() != 2) {
        throw py::value_error("networks, means and start must be lists of the same length");
    }
    const Eigen::Index k = matrices.front().shape(1);
    std::vector<Eigen::MatrixXd> weights;
    for (std::size_t i = 0; i < matrices.size(); ++i) {
        if (k < 1 || k > widths[i]) {
            throw py::value_error("networks must share their examples and have at least k units");
        }
        weights.push_back(matrix_of(matrices[i], widths[i], k));
    }
    return weights;
}

/// Units of each network; the networks must have the same examples.
inline Widths widths_of(const std::vector<NetworkView>& networks) {
    Widths widths;
    for (const NetworkView& network : networks) {
        if (network.n_examples != networks.front().n_examples) {
            throw py::value_error("networks must share their examples and have at least k units");
        }
        widths.push_back(network.n_units);
    }
    return widths;
}

/// Cross-products of all units, (n, n): symmetric, so that their order does not matter.
inline Eigen::MatrixXd products_of(const DoubleMatrix& products, const Widths& widths) {
    Eigen::Index n_units = 0;
    for (const Eigen::Index width : widths) n_units += width;
    if (widths.size() < 2 || products.ndim() != 2 || products.shape(0) != n_units ||
        products.shape(1) != n_units) {
        throw py::value_error("products must have one row and one column a unit");
    }
    return Eigen::Map<const Eigen::MatrixXd>(products.data(), n_units, n_units);
}

/// Sets what the options of both algorithms have in common.
template <class Options>
void set_common(const py::dict& values, Options& options) {
    options.max_iter = values["max_iter"].cast<int>();
    options.tol = values["tol"].cast<double>();
    options.diagonal = values["diagonal"].cast<double>();
    options.n_threads = values["n_threads"].cast<int>();
    if (options.max_iter < 0 || !(options.tol >= 0.0) || options.n_threads < 1) {
        throw py::value_error("max_iter and tol must not be negative, n_threads at least 1");
    }
}

inline DoubleMatrix array_of(const Eigen::MatrixXd& values) {
    DoubleMatrix out({values.rows(), values.cols()});
    copy_tiled(values, Eigen::Map<RowMajor>(out.mutable_data(), values.rows(), values.cols()));
    return out;
}

inline DoubleVector array_of(const std::vector<double>& values) {
    return DoubleVector(static_cast<py::ssize_t>(values.size()), values.data());
}

inline py::list list_of(const std::vector<Eigen::MatrixXd>& matrices) {
    py::list arrays;
    for (const Eigen::MatrixXd& matrix : matrices) arrays.append(array_of(matrix));
    return arrays;
}

}  // namespace convergent::border
