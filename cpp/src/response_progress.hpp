#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "convergent/shared_response.hpp"
#include "response_stage.hpp"

namespace convergent {

/// What decides when sweeps end, from one stage to the next.
struct Progress {
    const ResponseProblem& problem;
    const SharedResponseOptions& options;
    std::vector<double>& history;
    int n_quiet = 0;  ///< sweeps running that changed the objective by at most tol

    bool is_over() const {
        return static_cast<int>(history.size()) > options.max_iter || n_quiet == 2;
    }
    /// Takes the objective of an iteration in single precision, which may only seem to rise;
    /// returns the change.
    double take(double reached) {
        const double before = history.back();
        history.push_back(std::min(before, reached));
        return std::abs(before - reached);
    }
    void count(double change, double noise) {
        const bool is_quiet =
            options.tol > 0.0 && change <= std::max(options.tol * history.back(), noise);
        n_quiet = is_quiet ? n_quiet + 1 : 0;
    }
};

}  // namespace convergent
