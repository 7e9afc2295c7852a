#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "copies.hpp"
#include "example_parts.hpp"
#include "response_sum.hpp"

namespace convergent {

/// Holds R (n_examples, k), row-major, in memory of the caller; reads the activations for every
/// product: where they lie, or from copies. Where they lie as products read them and their means
/// are no larger than they are otherwise, means are taken from the products; else from every block
/// that is read.
template <class Scalar>
class ResponseOnExamples final : public ResponseSum<Scalar> {
 public:
    /// `squares` is what the activations about their means sum up to; 0 where that is not known.
    ResponseOnExamples(const std::vector<NetworkView>& networks, double squares, Scalar* response,
                       Eigen::Index k);
    /// The copies must outlive this.
    ResponseOnExamples(const Copies<Scalar>& copies, Scalar* response, Eigen::Index k);
    void clear() override;
    void add(std::size_t network, const Dense<Scalar>& weights, int n_threads,
             const StopToken& stop) override;
    void set(const WeightsOf<Scalar>& weights, int n_threads, const StopToken& stop) override;
    void against(std::size_t network, Dense<Scalar>& out, const StopToken& stop) const override;
    double norm(int n_threads, const StopToken& stop) const override;
    void product(std::size_t network, const Dense<Scalar>& weights, Dense<Scalar>& out,
                 int n_threads, const StopToken& stop) override;
    double step(const Step<Scalar>& step, const Work& work, int n_threads,
                const StopToken& stop) override;

 private:
    /// R += X_i W for some networks, from number `first` on.
    void add_some(std::size_t first, const Dense<Scalar>* weights, std::size_t n_networks,
                  int n_threads, const StopToken& stop);
    using Block = Eigen::Ref<const RowDense<Scalar>>;
    /// Some examples from `first` on; `buffer` is for what is not copied.
    Block block(std::size_t network, Eigen::Index first, Eigen::Index count,
                RowDense<Scalar>& buffer) const;
    bool is_in_place(std::size_t network) const { return !in_place_.empty() && in_place_[network]; }
    /// What the shift of a copy, or the means of what is read in place, take from every row of X_i
    /// times these; empty where there are none.
    Eigen::Matrix<Scalar, 1, Eigen::Dynamic> offset(std::size_t network,
                                                    const Dense<Scalar>& weights) const;
    /// Takes memory for what a network adds to R, where that is to be kept: of square networks that
    /// are copied, if all weights come in steps since R was 0. Returns whether it is new, and
    /// unset.
    bool follow(std::size_t network);
    bool is_followed(std::size_t network) const { return own_[network].size() != 0; }
    /// Nothing is kept so far; says whether what steps add is to be.
    void forget_own(bool are_followed);
    /// Calls work(part, sum of its own, zero at first) for all parts of the examples beside each
    /// other, and returns what these sums add up to; without units there are none.
    template <class Work>
    const Dense<Scalar>& sum_of_parts(const ExampleParts& parts, Eigen::Index n_units,
                                      int n_threads, const StopToken& stop, const Work& work);
    ExampleParts parts_of(Eigen::Index n_units) const;
    /// out += X_i^T R for some rows of R, less the network's own part where that is kept.
    void add_against(std::size_t network, Eigen::Index first, RowDense<Scalar>& buffer,
                     Dense<Scalar>& out) const;
    /// Takes from a product of a square network what the network adds itself, unless that is kept.
    void leave_out(std::size_t network, const Dense<Scalar>& weights, Dense<Scalar>& product,
                   int n_threads, const StopToken& stop);
    /// X_i^T X_i of a network, computed when it is first asked for.
    const Dense<Scalar>& squares(std::size_t network, int n_threads, const StopToken& stop);

    const Copies<Scalar>* copies_ = nullptr;
    std::vector<NetworkView> networks_;
    std::vector<bool> in_place_;  // for networks that are not copied
    Eigen::Map<RowDense<Scalar>> response_;
    WeightsOf<Scalar> squares_;
    std::vector<RowDense<Scalar>> own_;   // X_i W_i, where they are kept
    bool are_followed_ = false;           // whether all weights have come in steps since R was 0
    std::vector<Dense<Scalar>> partial_;  // of a product, one for each part of the examples
    Eigen::Index n_rows_;                 // of a block of examples
};

extern template class ResponseOnExamples<float>;
extern template class ResponseOnExamples<double>;

}  // namespace convergent
