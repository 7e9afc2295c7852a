#pragma once

#include "dense_assignment.hpp"

namespace convergent {

/// Gives free rows columns as assign_free_rows does, looking at the cheapest columns of each row
/// and at the whole row only where those do not decide. Stops as soon as that does not pay; the
/// rules of Matching hold then, too, and assign_free_rows may go on.
template <class Scalar>
void assign_by_candidates(const CostRows<Scalar>& cost, Matching& matching, const StopToken& stop);

}  // namespace convergent
