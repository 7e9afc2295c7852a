#pragma once

#include <pybind11/numpy.h>

#include <Eigen/Core>

namespace convergent::border {

namespace py = pybind11;

using DoubleVector = py::array_t<double, py::array::c_style>;
using DoubleMatrix = py::array_t<double, py::array::c_style>;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline Eigen::MatrixXd matrix_of(const DoubleMatrix& values, Eigen::Index rows,
                                 Eigen::Index columns) {
    if (values.ndim() != 2 || values.shape(0) != rows || values.shape(1) != columns) {
        throw py::value_error("weights must be (n_units, k)");
    }
    return Eigen::Map<const RowMajor>(values.data(), rows, columns);
}

inline DoubleMatrix array_of(const Eigen::MatrixXd& values) {
    DoubleMatrix out({values.rows(), values.cols()});
    Eigen::Map<RowMajor>(out.mutable_data(), values.rows(), values.cols()) = values;
    return out;
}

}  // namespace convergent::border
