#pragma once

#include <vector>

#include "convergent/shared_response.hpp"
#include "response_progress.hpp"
#include "response_stage.hpp"
#include "response_sweeps.hpp"
#include "single_copies.hpp"

namespace convergent {

/// Where single precision ends.
struct SingleEnd {
    Push push;
    bool is_counted = true;  ///< whether the history holds the objective of the weights
};

/// Whether a few sweeps of some of the examples find nearly the weights of all, for a fraction of
/// the work, and these are not given.
bool worth_drawing(const ResponseProblem& problem, const std::vector<ResponseStarts>& starts);

/// Sweeps in single precision from copies of all examples, or from products where there are no
/// copies; sets the weights of the fit.
SingleEnd fit_in_single(const ResponseProblem& problem, const SingleCopies& copies,
                        const std::vector<ResponseStarts>& starts, Progress& progress,
                        SharedResponseFit& fit);

/// The same from a start that some of the examples give and that is mended while all are read for
/// the first time, on copies that this makes where iterations follow. Sets the total of the problem
/// and, with `center`, the means; where the total is not finite, nothing else is set.
SingleEnd fit_from_drawn(ResponseProblem& problem, bool center,
                         const std::vector<ResponseStarts>& starts, Progress& progress,
                         SharedResponseFit& fit);

}  // namespace convergent
