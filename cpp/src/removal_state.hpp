#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "closest_decision.hpp"
#include "convergent/subspace.hpp"

namespace convergent {

/// What happened to a removal that was tried.
enum class Trial { kept, rejected, doubtful };

/// A match from which units are removed on trial: the units that may still leave as rows of the
/// other network's coefficients and of the inverse Gram matrix.
///
/// Removing unit j of one network adds B_j^2 / P_jj to the squared residuals of the other (P the
/// inverse Gram matrix, B the coefficients); the rows of what is left change by one elimination
/// step. Steps are kept as vectors and applied in blocks, so that a trial that fails costs no copy.
/// Units that are necessary for the group (locked) need no row: when one falls, the trial is over.
class RemovalState {
 public:
    /// The match in `cascade`; nothing if a unit depends, or almost depends, on others.
    static std::optional<RemovalState> of(const MatchCascade& cascade,
                                          const std::vector<char>& locked, double epsilon,
                                          const StopToken& stop);

    /// A copy, without what is proposed, that shares the rows.
    RemovalState branch() const;
    /// Removes active units and all that falls with them. `rejected`: a locked unit would go, or
    /// more than n_may_go of the watched units would. `doubtful`: rounding might decide. `kept` is
    /// a proposal, to be followed by keep or undo.
    Trial remove(const std::vector<std::ptrdiff_t>& leaving, std::ptrdiff_t n_may_go,
                 const StopToken& stop);
    void keep();
    void undo();
    /// Locks an active unit.
    void lock(std::ptrdiff_t unit);
    /// Names the units whose going is counted.
    void watch(const std::vector<std::ptrdiff_t>& units);
    /// Locks units that are seen to be necessary: those without which a locked unit would fall at
    /// once. They stay necessary in every smaller match, so it does not matter that their turn has
    /// not come, nor that the rows are those before the last steps. Then brings the steps into the
    /// rows if they are many, or few rows are still needed.
    void settle();

    const std::vector<char>& active() const { return active_; }
    const std::vector<char>& locked() const { return locked_; }
    const ClosestDecision& closest() const { return closest_; }

 private:
    using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

    using Units = std::vector<std::ptrdiff_t>;
    static std::size_t at(std::ptrdiff_t index) { return static_cast<std::size_t>(index); }

    /// One network's units as rows, the other's as columns, as they were when last settled.
    struct Frame {
        Rows rows;  ///< (n_rows, n_others + n_rows): coefficients, then inverse Gram matrix
        Units row_units, other_units;
        Units row_of_unit, column_of_unit;  ///< -1 where there is none
        Eigen::ArrayXd first_diagonal;
        Eigen::ArrayXd residuals, first_residuals;  ///< (n_others), squared

        std::ptrdiff_t n_rows() const { return rows.rows(); }
        std::ptrdiff_t n_others() const { return rows.cols() - rows.rows(); }
    };

    struct Side {
        std::shared_ptr<const Frame> frame;
        Eigen::ArrayXd residuals;  ///< (n_others), squared
        Eigen::ArrayXd alarms;  ///< residuals that may be too large; infinite for units that left
        Rows steps;             ///< (at least n_steps, n_others + n_rows)
        std::ptrdiff_t n_steps = 0;
        Eigen::ArrayXd residuals_before;  ///< those to go back to, where steps are proposed
        std::ptrdiff_t n_steps_before = 0;
    };

    RemovalState(std::ptrdiff_t n_x, double threshold, std::vector<char> active,
                 std::vector<char> locked);

    bool fill(Side& side, const ActiveSpan& span, std::ptrdiff_t first, std::ptrdiff_t first_other,
              const StopToken& stop);
    void begin(Side& side, Frame frame) const;
    Trial take_out(const Units& leaving);
    void look_at(std::ptrdiff_t unit);
    Trial step(Side& side, std::ptrdiff_t unit, Units& falling);
    Trial judge(Side& side, Units& falling);
    double alarm(double first_residual) const;
    void settle(Side& side) const;
    bool settling_pays() const;
    void renew_locks();
    void lock_necessary();
    void lock_necessary(const Frame& frame, const Units& columns, Units& found);

    std::ptrdiff_t n_x_;
    double threshold_;
    std::vector<char> active_, locked_, watched_;
    std::vector<char> waiting_;  ///< fell in the trial that goes on, and still to be stepped over
    Units removed_;
    std::ptrdiff_t n_may_go_ = 0;
    bool any_doubt_ = false;   ///< of the trial that goes on
    Units new_locks_;          ///< those whose columns of the frames were not looked at
    double trial_work_ = 0.0;  ///< multiply-adds of trials since the rows were settled
    ClosestDecision closest_, proposed_;
    std::unique_ptr<RemovalState> saved_;  ///< what to go back to, if a trial settled its steps
    Side sides_[2];
};

}  // namespace convergent
