#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace convergent {

/// How near the threshold the decisions of a search were: the largest squared residual of a unit
/// that stayed in, and the least of one that fell.
struct ClosestDecision {
    double stayed = -std::numeric_limits<double>::infinity();
    double fell = std::numeric_limits<double>::infinity();

    void merge(const ClosestDecision& other) {
        stayed = std::max(stayed, other.stayed);
        fell = std::min(fell, other.fell);
    }
    /// Least |distance - epsilon|; infinite if nothing was decided.
    double margin(double epsilon) const {
        const double below = stayed < 0.0 ? -stayed : epsilon - std::sqrt(stayed);
        return std::max(0.0, std::min(below, std::sqrt(fell) - epsilon));
    }
};

}  // namespace convergent
