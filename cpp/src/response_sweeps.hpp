#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/stop_token.hpp"
#include "polar.hpp"
#include "response_sum.hpp"

namespace convergent {

/// How far sweeps go beyond the products of the one before.
struct Push {
    Weights previous;  ///< products of the sweep before; empty where the next one is plain
    double reach = 0.0;
};

/// The shared response model network after network: each sweep takes every W_i in turn to the polar
/// factor of X_i^T R, R = sum_j X_j W_j with the weights as they stand; every other sweep, or two
/// of three, push the product beyond by a part of its change since the sweep before. |R|^2, which
/// the model maximises, never falls but by rounding: it is convex in W_i, and a push that does not
/// rise along X_i^T R is taken back. Where W_i is square its own part of the product is left out,
/// since |X_i W_i| does not depend on W_i.
template <class Scalar>
class Sweeps {
 public:
    /// widths: units of each network, at least k; all references must outlive this.
    Sweeps(ResponseSum<Scalar>& sum, std::vector<Eigen::Index> widths, Eigen::Index k,
           int n_threads, const StopToken& stop);

    /// Begins at these weights.
    void start_at(const WeightsOf<Scalar>& weights);
    /// Begins at these weights with the push of other sweeps.
    void continue_from(const WeightsOf<Scalar>& weights, const Push& push);
    /// Begins with each network aligned to the sum of those before it, the first one to its own
    /// leading directions. Directions without data follow the anchors. With `roughly`, weights of
    /// square networks are not quite orthonormal until the next sweep.
    void start_in_sequence(const WeightsOf<Scalar>& anchors, bool roughly);
    /// The same for one network more than half of them, then for the others at once, then for all
    /// at once; the networks must be wider than k. norm() is that before the last turn, of which
    /// this returns a lower bound of what it adds; before a sweep, start_at these weights.
    double start_in_halves(const WeightsOf<Scalar>& anchors);
    /// Begins with the leading directions of all networks together, by subspace iteration from the
    /// anchors, each network's part of them made orthonormal.
    void start_spectrally(const WeightsOf<Scalar>& anchors);

    void sweep();

    const WeightsOf<Scalar>& weights() const { return weights_; }
    double norm() const { return norm_; }  ///< |R|^2
    /// For sweeps of activations that are these over `factor`.
    Push push(double factor) const;
    /// Of the last sweep, the squared change of all weights.
    double squared_step() const { return squared_step_; }
    /// A squared step that is only rounding.
    double least_step() const;

 private:
    template <class Align>
    void step(std::size_t network, bool wants_next, const Align& work);
    void begin_sequence(const WeightsOf<Scalar>& anchors, std::size_t n_networks, bool roughly);
    double align_at_once(std::size_t first, const WeightsOf<Scalar>& anchors);
    void align(std::size_t network, const Dense<Scalar>& before, int n_threads);
    int next_pushes();
    void judge_pushes();

    ResponseSum<Scalar>& sum_;
    std::vector<Eigen::Index> widths_;
    Eigen::Index k_;
    int n_threads_;
    const StopToken& stop_;

    WeightsOf<Scalar> weights_;
    WeightsOf<Scalar> previous_;  // products of the sweep before
    Dense<Scalar> product_;       // of the network whose turn it is; empty until it is needed
    std::vector<QuickPolar<Scalar>> polar_;
    double norm_ = 0.0;
    double squared_step_ = 0.0;
    double change_ = 0.0;        // of the first network's product, squared, since the sweep before
    double reach_;               // of a push
    int n_pushes_ = 0;           // sweeps in a row that pushed, up to the last
    std::size_t n_refused_ = 0;  // pushes that the last sweep took back
    bool is_rough_ = false;      // some weights are
};

extern template class Sweeps<float>;
extern template class Sweeps<double>;

}  // namespace convergent
