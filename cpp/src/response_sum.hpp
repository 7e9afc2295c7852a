#pragma once

#include <Eigen/Core>
#include <memory>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"

namespace convergent {

using Weights = std::vector<Eigen::MatrixXd>;
using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The sum R = sum_i X_i W_i over some of the networks, which may be held as R itself or not at
/// all: everything the alternation needs of it are the products X_i^T R.
class ResponseSum {
 public:
    virtual ~ResponseSum() = default;
    /// R = 0.
    virtual void clear() = 0;
    /// R += X_i W. At most once for each network between two calls of clear.
    virtual void add(std::size_t network, const Eigen::MatrixXd& weights, int n_threads,
                     const StopToken& stop) = 0;
    /// out = X_i^T R, (n_units_i, k). Safe to call for several networks at once.
    virtual void against(std::size_t network, Eigen::MatrixXd& out,
                         const StopToken& stop) const = 0;
};

/// Holds R (n_examples, k), row-major, in memory of the caller; reads the activations for every
/// product.
class ResponseOnExamples final : public ResponseSum {
 public:
    ResponseOnExamples(const std::vector<NetworkView>& networks, double* response, Eigen::Index k);
    void clear() override;
    void add(std::size_t network, const Eigen::MatrixXd& weights, int n_threads,
             const StopToken& stop) override;
    void against(std::size_t network, Eigen::MatrixXd& out, const StopToken& stop) const override;

 private:
    const std::vector<NetworkView>& networks_;
    Eigen::Map<RowMatrix> response_;
};

/// Holds all cross-products X_i^T X_j, computed once, and the weights added.
class ResponseOnProducts final : public ResponseSum {
 public:
    ResponseOnProducts(const std::vector<NetworkView>& networks, Eigen::Index k, int n_threads,
                       const StopToken& stop);
    void clear() override;
    void add(std::size_t network, const Eigen::MatrixXd& weights, int n_threads,
             const StopToken& stop) override;
    void against(std::size_t network, Eigen::MatrixXd& out, const StopToken& stop) const override;

 private:
    std::vector<Eigen::Index> offsets_;
    Eigen::MatrixXd products_;
    Eigen::MatrixXd weights_;
};

/// Squared Frobenius norm of each network, means removed.
std::vector<double> squared_norms(const std::vector<NetworkView>& networks, int n_threads,
                                  const StopToken& stop);

}  // namespace convergent
