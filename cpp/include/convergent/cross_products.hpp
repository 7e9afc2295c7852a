#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

/// Adds the products Z^T Z of the units of all networks side by side, Z = [X_1 X_2 ...], to
/// `products`, (n, n) with n the number of all units, of which only the upper triangle is read and
/// written.
///
/// Examples are read once, in blocks, and converted to double there; costs n_examples n^2
/// operations and memory for one block. The sums have the same bits for every n_threads. Throws
/// std::invalid_argument when the networks differ in examples or `products` has another shape.
void add_cross_products(const std::vector<NetworkView>& networks, int n_threads,
                        const StopToken& stop, Eigen::Ref<Eigen::MatrixXd> products);

/// The same with values times `factor`, rounded to single precision before they are multiplied.
void add_cross_products(const std::vector<NetworkView>& networks, double factor, int n_threads,
                        const StopToken& stop, Eigen::Ref<Eigen::MatrixXf> products);

/// The products of the units of two networks, and the squares of each.
struct ProductsBetween {
    Eigen::Ref<Eigen::MatrixXd> products;   ///< (n_units_x, n_units_y)
    Eigen::Ref<Eigen::VectorXd> x_squares;  ///< (n_units_x)
    Eigen::Ref<Eigen::VectorXd> y_squares;  ///< (n_units_y)
};

/// Adds X^T Y and the diagonals of X^T X and Y^T Y to `sums`, in the same manner; costs
/// 2 n_examples n_units_x n_units_y operations.
void add_products_between(const NetworkView& x, const NetworkView& y, int n_threads,
                          const StopToken& stop, ProductsBetween sums);

}  // namespace convergent
