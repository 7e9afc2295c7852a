#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/stop_token.hpp"
#include "lasso_descent.hpp"

namespace convergent {

/// The exact LASSO of one target: weights, their active set, and the Cholesky factor of c_xx on it.
///
/// While predictors enter, every active weight stays stationary: gradient = alpha * sign, where
/// `gradient` is c - C w.
class LassoActiveSet {
 public:
    /// target: (n_x), its correlations; must outlive the object. Starts where `descent` stands.
    LassoActiveSet(const Eigen::Ref<const Eigen::VectorXd>& target, const LassoDescent& descent,
                   const StopToken& stop);

    /// Moves to the optimum at alpha, or as near as rounding and the limit of steps allow.
    void solve(double alpha, const StopToken& stop);

    const Eigen::VectorXd& weights() const { return weights_; }

 private:
    using Index = Eigen::Index;

    void start_from(const Eigen::VectorXd& weights, const StopToken& stop);
    bool factor_at_once(const StopToken& stop);
    Index most_violating(double bound) const;
    void settle(double alpha);
    bool enter(Index unit, double alpha);
    void solve_lower(Eigen::VectorXd& right_side) const;
    void solve_upper(Eigen::VectorXd& right_side) const;
    Eigen::VectorXd row_of(Index unit) const;
    double step_to_zero(const Eigen::VectorXd& direction) const;
    void advance(double step, const Eigen::VectorXd& direction);
    void subtract_from_gradient(double step, const Eigen::VectorXd& direction);
    void append(Index unit, double sign, const Eigen::VectorXd& row, double pivot);
    void drop_zeros(double step, const Eigen::VectorXd& direction);
    void drop(Index place);
    void recompute_gradient();

    Eigen::Map<const Eigen::MatrixXd> c_xx_;
    Eigen::Map<const Eigen::VectorXd> target_;
    Eigen::VectorXd weights_, gradient_;
    std::vector<Index> active_;
    std::vector<double> signs_;
    std::vector<char> is_active_, is_refused_;
    Eigen::MatrixXd
        factor_;  // lower triangular L with L L^T = c_xx on the active set; room to grow
    Index steps_left_ = 0;
};

}  // namespace convergent
