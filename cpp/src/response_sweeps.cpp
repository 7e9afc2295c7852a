#include "response_sweeps.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <utility>

#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kFirstReach = 0.4, kShortestReach = 0.2, kLongestReach = 2.0, kReachGrowth = 1.1;
constexpr int kLeadingRounds = 3;   // subspace iterations for the first network of a sequence
constexpr int kSpectralRounds = 4;  // and for all networks together

/// Makes the columns of all blocks together orthonormal, in place.
template <class Scalar>
void orthonormalise(WeightsOf<Scalar>& blocks) {
    const Index k = blocks.front().cols();
    MatrixXd gram = MatrixXd::Zero(k, k);
    for (const Dense<Scalar>& block : blocks) {
        gram.selfadjointView<Eigen::Lower>().rankUpdate(
            block.template cast<double>().transpose().eval());
    }
    const double rounding = Eigen::NumTraits<Scalar>::epsilon();
    gram.diagonal().array() += rounding * gram.trace();  // fewer directions than columns
    const Dense<Scalar> lower = gram.llt().matrixLLT().template cast<Scalar>();
    for (Dense<Scalar>& block : blocks) {
        lower.template triangularView<Eigen::Lower>()
            .transpose()
            .template solveInPlace<Eigen::OnTheRight>(block);
    }
}

}  // namespace

template <class Scalar>
Sweeps<Scalar>::Sweeps(ResponseSum<Scalar>& sum, std::vector<Index> widths, Index k, int n_threads,
                       const StopToken& stop)
    : sum_(sum),
      widths_(std::move(widths)),
      k_(k),
      n_threads_(n_threads),
      stop_(stop),
      previous_(widths_.size()),
      polar_(widths_.size()),
      reach_(kFirstReach) {}

template <class Scalar>
void Sweeps<Scalar>::start_at(const WeightsOf<Scalar>& weights) {
    weights_ = weights;
    sum_.set(weights_, n_threads_, stop_);
    norm_ = sum_.norm(n_threads_, stop_);
    sum_.product(0, weights_.front(), product_, stop_);
}

template <class Scalar>
void Sweeps<Scalar>::start_in_sequence(const WeightsOf<Scalar>& anchors) {
    Dense<Scalar> first = anchors.front();
    for (int round = 0; round < kLeadingRounds; ++round) {
        sum_.clear();
        sum_.add(0, first, n_threads_, stop_);
        sum_.against(0, product_, stop_);
        first = polar_.front()(product_, first, stop_);
    }
    sum_.clear();
    norm_ = 0.0;
    weights_.clear();
    for (const Index width : widths_) weights_.push_back(Dense<Scalar>::Zero(width, k_));
    product_.setZero(widths_.front(), k_);
    for (std::size_t i = 0; i < widths_.size(); ++i) {
        step(i, [&](const Dense<Scalar>&) {
            weights_[i] = i == 0 ? first : polar_[i](product_, anchors[i], stop_);
        });
    }
}

template <class Scalar>
void Sweeps<Scalar>::start_spectrally(const WeightsOf<Scalar>& anchors) {
    WeightsOf<Scalar> directions = anchors;
    for (int round = 0; round < kSpectralRounds; ++round) {
        orthonormalise(directions);
        sum_.set(directions, n_threads_, stop_);
        parallel_for_each(directions.size(), n_threads_, stop_,
                          [&](std::size_t i) { sum_.against(i, directions[i], stop_); });
    }
    parallel_for_each(directions.size(), n_threads_, stop_, [&](std::size_t i) {
        directions[i] = polar_[i](directions[i], anchors[i], stop_);
    });
    start_at(directions);
}

/// Calls work(weights before), which sets the network's weights, and goes on to the next network.
template <class Scalar>
template <class Work>
void Sweeps<Scalar>::step(std::size_t network, const Work& work) {
    const std::size_t next = (network + 1) % widths_.size();
    const Dense<Scalar> before = weights_[network];
    Dense<Scalar> next_product;
    norm_ += sum_.step(
        {network, product_, before, weights_[network], next, weights_[next], next_product},
        [&] { work(before); }, n_threads_, stop_);
    product_.swap(next_product);
}

template <class Scalar>
void Sweeps<Scalar>::align(std::size_t network, const Dense<Scalar>& before) {
    Dense<Scalar>& weights = weights_[network];
    Dense<Scalar>& previous = previous_[network];
    bool is_accepted = false;
    if (previous.size() != 0) {
        previous = product_ + static_cast<Scalar>(reach_) * (product_ - previous);
        weights = polar_[network](previous, before, stop_);
        is_accepted = inner<Scalar>(weights - before, product_) >= 0.0;
        if (!is_accepted) ++n_refused_;
    }
    if (!is_accepted) weights = polar_[network](product_, before, stop_);
    previous = product_;
}

template <class Scalar>
void Sweeps<Scalar>::sweep() {
    const bool is_first = previous_.front().size() == 0;
    n_refused_ = 0;
    for (std::size_t i = 0; i < widths_.size(); ++i) {
        step(i, [&](const Dense<Scalar>& before) { align(i, before); });
    }
    if (is_first) return;
    reach_ = n_refused_ <= 1 ? std::min(reach_ * kReachGrowth, kLongestReach)
                             : std::max(reach_ / 2.0, kShortestReach);
}

template class Sweeps<float>;
template class Sweeps<double>;

}  // namespace convergent
