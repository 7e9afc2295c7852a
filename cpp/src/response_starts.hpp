#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/shared_response.hpp"
#include "polar.hpp"
#include "response_sweeps.hpp"

namespace convergent {

constexpr int kTrialSweeps = 3;  // from each of several starts

template <class Scalar>
WeightsOf<Scalar> converted(const Weights& weights) {
    WeightsOf<Scalar> result;
    for (const Eigen::MatrixXd& w : weights) result.push_back(w.template cast<Scalar>());
    return result;
}

/// The columns of w, made orthonormal; where they span everything, those of the identity.
inline Eigen::MatrixXd orthonormal(const Eigen::MatrixXd& w, const StopToken& stop) {
    if (w.rows() == w.cols()) return Eigen::MatrixXd::Identity(w.rows(), w.cols());
    return polar_factor(w, Eigen::MatrixXd::Identity(w.rows(), w.cols()), stop);
}

/// Where a sequence begins, and directions for what the data leave undetermined.
template <class Scalar>
WeightsOf<Scalar> anchors_of(const ResponseStarts& start, const StopToken& stop) {
    WeightsOf<Scalar> weights = converted<Scalar>(start.weights);
    weights.front() = orthonormal(start.weights.front(), stop).template cast<Scalar>();
    return weights;
}

/// With `roughly`, sweeps are to follow.
template <class Scalar>
void begin(Sweeps<Scalar>& sweeps, const ResponseStarts& start, bool roughly,
           const StopToken& stop) {
    switch (start.kind) {
        case ResponseStart::kGiven:
            return sweeps.start_at(converted<Scalar>(start.weights));
        case ResponseStart::kSequential:
            return sweeps.start_in_sequence(anchors_of<Scalar>(start, stop), roughly);
        case ResponseStart::kSpectral:
            return sweeps.start_spectrally(converted<Scalar>(start.weights));
    }
}

/// Begins at the start that is lowest after a few sweeps, and returns which one that is.
template <class Scalar>
std::size_t begin_at_best(Sweeps<Scalar>& sweeps, const std::vector<ResponseStarts>& starts,
                          bool roughly, const StopToken& stop) {
    if (starts.size() == 1) {
        begin(sweeps, starts.front(), roughly, stop);
        return 0;
    }
    std::size_t best = 0;
    double highest = -1.0;
    WeightsOf<Scalar> weights;
    for (std::size_t i = 0; i < starts.size(); ++i) {
        begin(sweeps, starts[i], true, stop);
        for (int sweep = 0; sweep < kTrialSweeps; ++sweep) sweeps.sweep();
        if (sweeps.norm() <= highest) continue;
        best = i;
        highest = sweeps.norm();
        weights = sweeps.weights();
    }
    sweeps.start_at(weights);
    return best;
}

}  // namespace convergent
