#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <vector>

#include "convergent/subspace.hpp"

namespace convergent {

/// What happened to a removal that was tried.
enum class Trial { kept, rejected, doubtful };

/// A match from which units are removed on trial: the units that may still leave as rows of the
/// inverse Gram matrix and of the coefficients of the other network's units.
///
/// Removing unit j of one network adds B_j^2 / P_jj to the squared residuals of the other (P the
/// inverse Gram matrix, B the coefficients); the rows of what is left change by one elimination
/// step. Steps are kept as vectors and applied in blocks, so that a trial that fails costs no copy.
/// Units that are necessary for the group (locked) need no row: when one falls, the trial is over.
class RemovalState {
 public:
    /// The match in `cascade`, which must have independent units on both sides.
    RemovalState(const MatchCascade& cascade, const std::vector<char>& locked, double epsilon);

    /// Whether a cascade can be held in this form: no dependent unit, none almost dependent.
    static bool suits(const MatchCascade& cascade);

    /// Removes an active, unlocked unit and all that falls with it. `rejected`: a locked unit fell.
    /// `doubtful`: rounding might decide. Only `kept` leaves the units removed; see also undo.
    Trial remove(std::ptrdiff_t unit);
    /// Takes the last `remove` that was kept back.
    void undo();
    /// Locks an active unit.
    void lock(std::ptrdiff_t unit) { locked_[static_cast<std::size_t>(unit)] = 1; }
    /// Brings the steps kept so far into the rows once they are many; `undo` is then not possible.
    void settle();

    const std::vector<char>& active() const { return active_; }

 private:
    using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

    struct Side {
        Rows rows;  ///< (n_rows, n_rows + n_others): inverse Gram matrix, then coefficients
        std::vector<std::ptrdiff_t> row_units, other_units, row_of_unit;
        std::vector<double> first_diagonal;
        Rows steps;  ///< (at least n_steps, n_rows + n_others)
        std::ptrdiff_t n_steps = 0;
    };

    void fill(Side& side, const ActiveSpan& span, std::ptrdiff_t first, std::ptrdiff_t first_other);
    Trial step(Side& side, std::ptrdiff_t unit, std::vector<std::ptrdiff_t>& falling);
    void settle(Side& side);

    std::ptrdiff_t n_x_;
    double threshold_;
    std::vector<char> active_, locked_;
    std::vector<double> residuals_, first_residuals_, residuals_before_;
    std::vector<std::ptrdiff_t> removed_;
    std::ptrdiff_t steps_before_[2] = {0, 0};
    Side sides_[2];
};

}  // namespace convergent
