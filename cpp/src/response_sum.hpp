#pragma once

#include <Eigen/Core>
#include <functional>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "copies.hpp"

namespace convergent {

template <class Scalar>
using Dense = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
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
                         const StopToken& stop) = 0;
    /// Calls work(threads that it may use); then R += X_i (after - before), and next_product =
    /// X_j^T R without the part of network j itself where its weights are square: that part adds
    /// the same to the norm of R whatever the weights. `work` may run beside what does not depend
    /// on it. Returns what the step adds to |R|^2. Same bits for every n_threads.
    virtual double step(const Step<Scalar>& step, const Work& work, int n_threads,
                        const StopToken& stop) = 0;
};

/// Holds R (n_examples, k), row-major, in memory of the caller; reads the activations for every
/// product: where they lie, or from copies.
template <class Scalar>
class ResponseOnExamples final : public ResponseSum<Scalar> {
 public:
    ResponseOnExamples(const std::vector<NetworkView>& networks, Scalar* response, Eigen::Index k);
    /// The copies must outlive this.
    ResponseOnExamples(const Copies<Scalar>& copies, Scalar* response, Eigen::Index k);
    void clear() override;
    void add(std::size_t network, const Dense<Scalar>& weights, int n_threads,
             const StopToken& stop) override;
    void set(const WeightsOf<Scalar>& weights, int n_threads, const StopToken& stop) override;
    void against(std::size_t network, Dense<Scalar>& out, const StopToken& stop) const override;
    double norm(int n_threads, const StopToken& stop) const override;
    void product(std::size_t network, const Dense<Scalar>& weights, Dense<Scalar>& out,
                 const StopToken& stop) override;
    double step(const Step<Scalar>& step, const Work& work, int n_threads,
                const StopToken& stop) override;

 private:
    /// R += X_i W for some networks, from number `first` on.
    void add_some(std::size_t first, const Dense<Scalar>* weights, std::size_t n_networks,
                  int n_threads, const StopToken& stop);
    using Block = Eigen::Ref<const RowDense<Scalar>>;
    /// Examples from `first` on; `buffer` is for what is not copied.
    Block block(std::size_t network, Eigen::Index first, RowDense<Scalar>& buffer) const;
    /// What the shift of a copy takes from every row of X_i times these; empty without shifts.
    Eigen::Matrix<Scalar, 1, Eigen::Dynamic> offset(std::size_t network,
                                                    const Dense<Scalar>& weights) const;
    /// X_i^T X_i of a network, computed when it is first asked for.
    const Dense<Scalar>& squares(std::size_t network, int n_threads, const StopToken& stop);
    /// Takes from a product of a square network what the network adds itself.
    void leave_out(std::size_t network, const Dense<Scalar>& weights, Dense<Scalar>& product,
                   int n_threads, const StopToken& stop);

    const Copies<Scalar>* copies_ = nullptr;
    std::vector<NetworkView> networks_;
    Eigen::Map<RowDense<Scalar>> response_;
    WeightsOf<Scalar> squares_;
    std::vector<RowDense<Scalar>> partial_;  // of a product, one for each part of the examples
    double norm_ = 0.0;                      // |R|^2
    Eigen::Index n_rows_;                    // of a block of examples
};

/// Holds the weights added, and all cross-products X_i^T X_j in memory of the caller.
template <class Scalar>
class ResponseOnProducts final : public ResponseSum<Scalar> {
 public:
    /// products: (n, n) with n the number of all units, symmetric.
    ResponseOnProducts(const Dense<Scalar>& products, const std::vector<Eigen::Index>& widths,
                       Eigen::Index k);
    void clear() override;
    void add(std::size_t network, const Dense<Scalar>& weights, int n_threads,
             const StopToken& stop) override;
    void against(std::size_t network, Dense<Scalar>& out, const StopToken& stop) const override;
    double norm(int n_threads, const StopToken& stop) const override;
    void product(std::size_t network, const Dense<Scalar>& weights, Dense<Scalar>& out,
                 const StopToken& stop) override;
    double step(const Step<Scalar>& step, const Work& work, int n_threads,
                const StopToken& stop) override;

 private:
    Eigen::Index width(std::size_t network) const {
        return offsets_[network + 1] - offsets_[network];
    }
    double added(const Step<Scalar>& step) const;

    const Dense<Scalar>& products_;
    std::vector<Eigen::Index> offsets_;
    Dense<Scalar> weights_;
    std::vector<bool> is_added_;  // networks whose weights are not zero
};

/// The sum of a .* b, in double.
template <class Scalar>
double inner(const Dense<Scalar>& a, const Dense<Scalar>& b) {
    return a.template cast<double>().cwiseProduct(b.template cast<double>()).sum();
}

/// Cross-products of the units of all networks side by side, both triangles, (n, n).
template <class Scalar>
Dense<Scalar> all_products(const std::vector<NetworkView>& networks, double factor, int n_threads,
                           const StopToken& stop);

extern template class ResponseOnExamples<float>;
extern template class ResponseOnExamples<double>;
extern template class ResponseOnProducts<float>;
extern template class ResponseOnProducts<double>;

}  // namespace convergent
