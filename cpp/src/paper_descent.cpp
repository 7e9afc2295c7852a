#include <algorithm>
#include <stdexcept>

#include "convergent/sparse_map.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr int kSteps = 4501, kHalvedEvery = 1500;
constexpr double kRate = 0.001, kMomentum = 0.98;
constexpr Index kTargets = 32;  // a block of weights stays in the cache

void descend(const Eigen::Ref<const MatrixXd>& c_xx, const MatrixXd& target, double n_targets,
             double penalty, const StopToken& stop, MatrixXd& weights) {
    MatrixXd velocity = MatrixXd::Zero(weights.rows(), weights.cols());
    MatrixXd explained(weights.rows(), weights.cols());
    double rate = kRate;
    for (int step = 0; step < kSteps; ++step) {
        stop.check();
        if (step > 0 && step % kHalvedEvery == 0) rate *= 0.5;
        explained.noalias() = c_xx * weights;
        velocity.array() =
            kMomentum * velocity.array() -
            rate * ((explained - target).array() / n_targets + penalty * weights.array().sign());
        weights += velocity;
    }
}

}  // namespace

void paper_descent(const Eigen::Ref<const MatrixXd>& c_xx, const Eigen::Ref<const MatrixXd>& c_xy,
                   double penalty, int n_threads, const StopToken& stop,
                   Eigen::Ref<MatrixXd> weights) {
    if (c_xx.rows() != c_xx.cols() || c_xy.rows() != c_xx.rows() || weights.rows() != c_xy.rows() ||
        weights.cols() != c_xy.cols()) {
        throw std::invalid_argument("c_xx must be square, c_xy and the weights have its rows");
    }
    const Index n_y = c_xy.cols();
    parallel_for((n_y + kTargets - 1) / kTargets, n_threads, stop, [&](Index chunk) {
        const Index first = chunk * kTargets, count = std::min(kTargets, n_y - first);
        MatrixXd block = weights.middleCols(first, count);
        descend(c_xx, c_xy.middleCols(first, count), static_cast<double>(n_y), penalty, stop,
                block);
        weights.middleCols(first, count) = block;
    });
}

}  // namespace convergent
