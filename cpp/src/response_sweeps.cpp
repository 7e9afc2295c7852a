#include "response_sweeps.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <numeric>
#include <utility>

#include "parallel.hpp"

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kShortestReach = 0.2, kLongestReach = 0.9;
constexpr double kReachGrowth = 1.3, kReachFall = 0.7;
constexpr double kSecondReach = 0.55;  // of the second push in a row, over that of the first
/// A second push follows where the first one changed the next product, squared, more than this
/// times what the plain sweep did. A change that shrinks by rho a sweep makes it (1 + reach)^2
/// rho^2.
constexpr double kSlow = 2.2;
/// Single precision is to be quick: it begins with fewer subspace iterations for the first network
/// of a sequence.
template <class Scalar>
constexpr int kLeadingRounds = sizeof(Scalar) < sizeof(double) ? 1 : 3;
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
      reach_(kLongestReach) {}

template <class Scalar>
void Sweeps<Scalar>::start_at(const WeightsOf<Scalar>& weights) {
    weights_ = weights;
    sum_.set(weights_, n_threads_, stop_);
    norm_ = sum_.norm(n_threads_, stop_);
    product_.resize(0, 0);
    previous_.assign(previous_.size(), {});
    n_pushes_ = 0;
}

template <class Scalar>
void Sweeps<Scalar>::continue_from(const WeightsOf<Scalar>& weights, const Push& push) {
    start_at(weights);
    reach_ = push.reach;
    for (std::size_t i = 0; i < push.previous.size(); ++i) {
        previous_[i] = push.previous[i].template cast<Scalar>();
    }
}

template <class Scalar>
Push Sweeps<Scalar>::push(double factor) const {
    Push push{Weights(previous_.size()), reach_};
    if (n_pushes_ != 0) return push;
    for (std::size_t i = 0; i < previous_.size(); ++i) {
        push.previous[i] = previous_[i].template cast<double>() / (factor * factor);
    }
    return push;
}

template <class Scalar>
double Sweeps<Scalar>::least_step() const {
    const double rounding = 60.0 * Eigen::NumTraits<Scalar>::epsilon();
    return rounding * rounding * static_cast<double>(widths_.size()) * static_cast<double>(k_);
}

template <class Scalar>
void Sweeps<Scalar>::start_in_sequence(const WeightsOf<Scalar>& anchors, bool roughly) {
    begin_sequence(anchors, widths_.size(), roughly);
}

template <class Scalar>
double Sweeps<Scalar>::start_in_halves(const WeightsOf<Scalar>& anchors) {
    const std::size_t n_first = widths_.size() / 2 + 1;
    begin_sequence(anchors, n_first, false);
    align_at_once(n_first, anchors);
    for (std::size_t i = n_first; i < widths_.size(); ++i) {
        sum_.add(i, weights_[i], n_threads_, stop_);
    }
    norm_ = sum_.norm(n_threads_, stop_);
    const WeightsOf<Scalar> before = weights_;
    return align_at_once(0, before);
}

/// Takes networks from `first` on to the polar factors of their products with R, which stays.
/// Returns what that adds to |R|^2 if nothing is of second order.
template <class Scalar>
double Sweeps<Scalar>::align_at_once(std::size_t first, const WeightsOf<Scalar>& anchors) {
    std::vector<double> rises(widths_.size() - first);
    parallel_for_each(rises.size(), n_threads_, stop_, [&](std::size_t task) {
        const std::size_t i = first + task;
        Dense<Scalar> product;
        sum_.against(i, product, stop_);
        Dense<Scalar> weights = polar_[i](product, anchors[i], 1, stop_);
        rises[task] = 2.0 * inner<Scalar>(weights - weights_[i], product);
        weights_[i].swap(weights);
    });
    product_.resize(0, 0);
    return std::accumulate(rises.begin(), rises.end(), 0.0);
}

/// Aligns the first networks one after the other.
template <class Scalar>
void Sweeps<Scalar>::begin_sequence(const WeightsOf<Scalar>& anchors, std::size_t n_networks,
                                    bool roughly) {
    Dense<Scalar> first = anchors.front();
    const int n_rounds =
        first.rows() == k_ ? 0 : kLeadingRounds<Scalar>;  // no directions to choose from
    for (int round = 0; round < n_rounds; ++round) {
        sum_.clear();
        sum_.add(0, first, n_threads_, stop_);
        sum_.against(0, product_, stop_);
        first = polar_.front()(product_, first, n_threads_, stop_);
    }
    sum_.clear();
    norm_ = 0.0;
    weights_.clear();
    for (const Index width : widths_) weights_.push_back(Dense<Scalar>::Zero(width, k_));
    product_.setZero(widths_.front(), k_);
    for (std::size_t i = 0; i < n_networks; ++i) {
        const bool is_rough = roughly && i != 0 && widths_[i] == k_;
        step(i, i + 1 < n_networks, [&](const Dense<Scalar>&, int n_threads) {
            weights_[i] = i == 0     ? first
                          : is_rough ? polar_[i].rough(product_, anchors[i], n_threads, stop_)
                                     : polar_[i](product_, anchors[i], n_threads, stop_);
        });
        is_rough_ = is_rough_ || is_rough;
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
        directions[i] = polar_[i](directions[i], anchors[i], 1, stop_);
    });
    start_at(directions);
}

/// Calls work(weights before, threads), which sets the network's weights, and goes on to the next
/// network, or to the first one again.
template <class Scalar>
template <class Align>
void Sweeps<Scalar>::step(std::size_t network, bool wants_next, const Align& work) {
    const std::size_t next = (network + 1) % widths_.size();
    const Dense<Scalar> before = weights_[network];
    Dense<Scalar> next_product;
    norm_ += sum_.step(
        {network, product_, before, weights_[network], next, weights_[next], wants_next,
         next_product},
        [&](int n_threads) { work(before, n_threads); }, n_threads_, stop_);
    squared_step_ += static_cast<double>((weights_[network] - before).squaredNorm());
    product_.swap(next_product);
}

template <class Scalar>
void Sweeps<Scalar>::align(std::size_t network, const Dense<Scalar>& before, int n_threads) {
    Dense<Scalar>& weights = weights_[network];
    Dense<Scalar>& previous = previous_[network];
    bool is_accepted = false;
    if (n_pushes_ != 0) {
        const double reach = n_pushes_ == 1 ? reach_ : kSecondReach * reach_;
        previous = product_ + static_cast<Scalar>(reach) * (product_ - previous);
        weights = polar_[network](previous, before, n_threads, stop_);
        const double rounding =
            2.0 * Eigen::NumTraits<Scalar>::epsilon() * inner<Scalar>(before, product_);
        const double least = n_pushes_ == 1 ? -rounding : rounding;
        is_accepted = inner<Scalar>(weights - before, product_) >= least;
        if (!is_accepted) ++n_refused_;
    }
    if (!is_accepted) weights = polar_[network](product_, before, n_threads, stop_);
    previous = product_;
}

/// How many sweeps in a row push, with the one to come, whose first product there is. Every plain
/// sweep is followed by a push: on a change that shrinks by rho a sweep the two act as rho (rho +
/// reach (rho - 1)), which is small for all rho but those near one, and stays below one for all of
/// them.
template <class Scalar>
int Sweeps<Scalar>::next_pushes() {
    if (previous_.front().size() == 0) return 0;
    const auto change = static_cast<double>((product_ - previous_.front()).squaredNorm());
    const double before = std::exchange(change_, change);
    if (n_pushes_ == 0) return 1;
    return n_pushes_ == 1 && change > kSlow * before ? 2 : 0;
}

/// Takes a sweep whose pushes were mostly refused for a plain one.
template <class Scalar>
void Sweeps<Scalar>::judge_pushes() {
    const bool is_refused = 2 * n_refused_ > widths_.size();
    if (n_pushes_ == 1) {
        reach_ = is_refused ? std::max(kReachFall * reach_, kShortestReach)
                            : std::min(kReachGrowth * reach_, kLongestReach);
    }
    if (is_refused) n_pushes_ = 0;
}

template <class Scalar>
void Sweeps<Scalar>::sweep() {
    if (product_.size() == 0) sum_.product(0, weights_.front(), product_, n_threads_, stop_);
    n_pushes_ = next_pushes();
    n_refused_ = 0;
    squared_step_ = 0.0;
    for (std::size_t i = 0; i < widths_.size(); ++i) {
        step(i, i + 1 < widths_.size(),
             [&](const Dense<Scalar>& before, int n_threads) { align(i, before, n_threads); });
    }
    if (is_rough_) norm_ = sum_.norm(n_threads_, stop_);  // steps take it that weights stay square
    is_rough_ = false;
    judge_pushes();
}

template class Sweeps<float>;
template class Sweeps<double>;

}  // namespace convergent
