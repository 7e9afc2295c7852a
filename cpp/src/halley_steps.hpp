#pragma once

#include <Eigen/Core>

#include "convergent/stop_token.hpp"

namespace convergent {

template <class Scalar>
using SquareMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

constexpr double kLastHalleyStep = 1.0 - 1e-5;  // cubic: the step from here is the one to rounding
constexpr double kHalleyConverged = 1.0 - 1e-12;

struct HalleySteps {
    double reached = 0.0;  ///< bound of the singular values at the end; 0 where a step failed
    double least = 0.0;    ///< about the least singular value at the start; 0 where it is not known
};

/// Dynamically weighted Halley steps X <- X (a I + b X^T X) (I + c X^T X)^-1 (Nakatsukasa, Bai and
/// Gygi 2010, Equations 3.5 and 5.5), in place, for a matrix whose singular values lie between
/// `smallest` and 1, until that bound is at least `enough`. Same bits for every n_threads.
template <class Scalar>
HalleySteps halley_steps(SquareMatrix<Scalar>& x, double smallest, double enough, int n_threads,
                         const StopToken& stop);

/// One step X <- X (I + E / 2 + 3 E^2 / 8) with E = I - X^T X, in place, which leaves about five
/// eighths of E^3. Returns the square root of |E^2| before it: no eigenvalue of E is larger, and
/// |E^3| is at most its cube.
template <class Scalar>
double last_step(SquareMatrix<Scalar>& x, int n_threads, const StopToken& stop);

/// |X^T X - I|.
template <class Scalar>
double skewness(const SquareMatrix<Scalar>& x, int n_threads, const StopToken& stop);

extern template HalleySteps halley_steps<float>(SquareMatrix<float>&, double, double, int,
                                                const StopToken&);
extern template HalleySteps halley_steps<double>(SquareMatrix<double>&, double, double, int,
                                                 const StopToken&);
extern template double last_step<float>(SquareMatrix<float>&, int, const StopToken&);
extern template double last_step<double>(SquareMatrix<double>&, int, const StopToken&);
extern template double skewness<float>(const SquareMatrix<float>&, int, const StopToken&);
extern template double skewness<double>(const SquareMatrix<double>&, int, const StopToken&);

}  // namespace convergent
