#pragma once

#include <Eigen/Core>
#include <functional>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "copies.hpp"

namespace convergent {

template <class Scalar>
using WeightsOf = std::vector<Dense<Scalar>>;
using Weights = WeightsOf<double>;
using RowMatrix = RowDense<double>;

/// One network goes from `before` to `after`; then the product of the next one is taken.
template <class Scalar>
struct Step {
    std::size_t network;
    const Dense<Scalar>& product;  ///< of the network, from the step before
    const Dense<Scalar>& before;
    const Dense<Scalar>& after;  ///< set by the work
    std::size_t next;            ///< another network
    const Dense<Scalar>& next_weights;
    bool wants_next;              ///< whether its product is needed; it may be left empty otherwise
    Dense<Scalar>& next_product;  ///< overwritten
};

/// What a step does, on that many threads.
using Work = std::function<void(int)>;

/// The sum R = sum_i X_i W_i over some of the networks, which may be held as R itself or not at
/// all: everything the model needs of it are the products X_i^T R and its norm.
template <class Scalar>
class ResponseSum {
 public:
    virtual ~ResponseSum() = default;
    /// R = 0.
    virtual void clear() = 0;
    /// R += X_i W. At most once for each network between two calls of clear.
    virtual void add(std::size_t network, const Dense<Scalar>& weights, int n_threads,
                     const StopToken& stop) = 0;
    /// R = sum_i X_i W_i of all networks.
    virtual void set(const WeightsOf<Scalar>& weights, int n_threads, const StopToken& stop) {
        clear();
        for (std::size_t i = 0; i < weights.size(); ++i) add(i, weights[i], n_threads, stop);
    }
    /// out = X_i^T R, (n_units_i, k). Safe to call for several networks at once.
    virtual void against(std::size_t network, Dense<Scalar>& out, const StopToken& stop) const = 0;

    /// |R|^2.
    virtual double norm(int n_threads, const StopToken& stop) const = 0;
    /// out = X_i^T R as a step leaves it.
    virtual void product(std::size_t network, const Dense<Scalar>& weights, Dense<Scalar>& out,
                         int n_threads, const StopToken& stop) = 0;
    /// Calls work(threads that it may use); then R += X_i (after - before), and next_product =
    /// X_j^T R without the part of network j itself where its weights are square: that part adds
    /// the same to the norm of R whatever the weights. `work` may run beside what does not depend
    /// on it. Returns what the step adds to |R|^2. Same bits for every n_threads.
    virtual double step(const Step<Scalar>& step, const Work& work, int n_threads,
                        const StopToken& stop) = 0;
};

/// The sum of a .* b, in double.
template <class Scalar>
double inner(const Dense<Scalar>& a, const Dense<Scalar>& b) {
    return a.template cast<double>().cwiseProduct(b.template cast<double>()).sum();
}

/// Whether |X_i W_i| is the same before and after: the weights are square, and were there.
template <class Scalar>
bool has_constant_part(const Step<Scalar>& step) {
    return step.product.rows() == step.product.cols() && step.before.squaredNorm() > Scalar(0);
}

/// What a step adds to |R|^2: 2 <change, X_i^T R> + |X_i change|^2, of which only the first term
/// varies where there is a constant part. It is far smaller than the norm, and is summed by itself.
template <class Scalar>
double gain(const Step<Scalar>& step, const Dense<Scalar>& change, double change_squares) {
    const double linear = 2.0 * inner<Scalar>(change, step.product);
    return has_constant_part(step) ? linear : linear + change_squares;
}

}  // namespace convergent
