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

}  // namespace convergent
