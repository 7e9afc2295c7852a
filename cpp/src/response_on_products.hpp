#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "response_sum.hpp"

namespace convergent {

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
                 int n_threads, const StopToken& stop) override;
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

/// Cross-products of the units of all networks side by side, both triangles, (n, n).
template <class Scalar>
Dense<Scalar> all_products(const std::vector<NetworkView>& networks, double factor, int n_threads,
                           const StopToken& stop);

extern template class ResponseOnProducts<float>;
extern template class ResponseOnProducts<double>;
extern template Dense<float> all_products<float>(const std::vector<NetworkView>&, double, int,
                                                 const StopToken&);
extern template Dense<double> all_products<double>(const std::vector<NetworkView>&, double, int,
                                                   const StopToken&);

}  // namespace convergent
