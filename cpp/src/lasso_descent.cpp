#include "lasso_descent.hpp"

#include <algorithm>
#include <cmath>

namespace convergent {
namespace {

// Units that repeat an active one stand at alpha but for rounding, and had better stay out.
constexpr double kTie = 1e-10;

}  // namespace

LassoDescent::LassoDescent(const Eigen::Ref<const Eigen::MatrixXd>& c_xx,
                           const Eigen::Ref<const Eigen::VectorXd>& target)
    : c_xx(c_xx.data(), c_xx.rows(), c_xx.cols()),
      weights(Eigen::VectorXd::Zero(target.size())),
      gradient(target) {}

void LassoDescent::run(double alpha, double tolerance, int max_passes, const StopToken& stop) {
    for (int pass = 0; pass < max_passes; ++pass) {
        stop.check();
        double largest = 0.0, moved = 0.0;
        for (Eigen::Index j = 0; j < weights.size(); ++j) {
            const double before = weights[j];
            if (before == 0.0 && std::abs(gradient[j]) <= alpha * (1.0 + kTie)) continue;
            const double variance = c_xx(j, j);
            const double pull = gradient[j] + variance * before;
            const double after =
                std::copysign(std::max(std::abs(pull) - alpha, 0.0), pull) / variance;
            const double change = after - before;
            largest = std::max(largest, std::abs(after));
            if (change == 0.0) continue;
            moved = std::max(moved, std::abs(change));
            weights[j] = after;
            gradient -= change * c_xx.col(j);
        }
        if (moved <= tolerance * largest) return;
    }
}

}  // namespace convergent
