#pragma once

#include <Eigen/Core>

#include "convergent/stop_token.hpp"

namespace convergent {

/// Coordinate descent on the LASSO of one target, from correlations ("covariance updates" of
/// Friedman et al. 2010): finds about which predictors are active, not their last digits.
struct LassoDescent {
    /// c_xx: (n_x, n_x), must outlive the object; target: (n_x), its correlations.
    LassoDescent(const Eigen::Ref<const Eigen::MatrixXd>& c_xx,
                 const Eigen::Ref<const Eigen::VectorXd>& target);

    /// Passes over the predictors until no weight moves by more than `tolerance` times the largest.
    void run(double alpha, double tolerance, int max_passes, const StopToken& stop);

    Eigen::Map<const Eigen::MatrixXd> c_xx;
    Eigen::VectorXd weights;
    Eigen::VectorXd gradient;  ///< c - C w
};

}  // namespace convergent
