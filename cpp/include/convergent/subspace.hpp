#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <limits>
#include <vector>

#include "convergent/stop_token.hpp"

namespace convergent {

/// The units of one network as a basis of the space they span, and the other network's units in
/// that basis.
///
/// With Q the orthonormal basis, units are columns of unit norm: the first `rank` of `order` are Q
/// times the upper triangle in the first columns of `triangle`, the others are Q times the
/// remaining columns up to `tolerance`.
struct SpanFactor {
    /// (rank, n_units), columns in the order `order`; its first `rank` columns upper triangular.
    Eigen::Ref<const Eigen::MatrixXd> triangle;
    /// (n_units), a permutation of the network's units.
    Eigen::Ref<const Eigen::Matrix<std::ptrdiff_t, Eigen::Dynamic, 1>> order;
    /// (rank, n_others), Q^T times the other network's units, in their own order.
    Eigen::Ref<const Eigen::MatrixXd> coefficients;
    /// (n_others), squared distance of each of the other network's units from the span.
    Eigen::Ref<const Eigen::VectorXd> residuals;
    /// Distance at which a unit lies in the span of others (the rank tolerance).
    double tolerance;
};

/// Columns in tiles of 32: a tile holds its columns row after row, so that a reflection reads
/// contiguous memory and works on 32 columns at once.
class ColumnTiles {
 public:
    static constexpr std::ptrdiff_t kLanes = 32;

    ColumnTiles(std::ptrdiff_t n_rows, std::ptrdiff_t n_columns);

    std::ptrdiff_t n_columns() const { return n_columns_; }
    std::ptrdiff_t n_tiles() const { return (n_columns_ + kLanes - 1) / kLanes; }
    /// The first n_rows rows as an ordinary matrix.
    Eigen::MatrixXd matrix(std::ptrdiff_t n_rows) const;
    /// First element of a tile; its row r begins at tile + r * kLanes.
    double* tile(std::ptrdiff_t index) { return values_.data() + index * n_rows_ * kLanes; }
    double& at(std::ptrdiff_t row, std::ptrdiff_t column) {
        return tile(column / kLanes)[row * kLanes + column % kLanes];
    }
    /// Keeps the first n_rows rows of the columns listed in `kept` (ascending), in their order.
    void keep(const std::vector<std::ptrdiff_t>& kept, std::ptrdiff_t n_rows);
    /// Appends a copy of the first n_rows rows of another matrix's column; there must be room for
    /// it.
    void append(ColumnTiles& other, std::ptrdiff_t column, std::ptrdiff_t n_rows);
    /// Puts the last column in the place of this one, which is dropped.
    void drop(std::ptrdiff_t column, std::ptrdiff_t n_rows);

 private:
    std::ptrdiff_t n_rows_;
    std::ptrdiff_t n_columns_;
    Eigen::VectorXd values_;
};

/// Householder reflections I - tau v v^T, each on consecutive rows beginning at its `first_row`.
class Reflections {
 public:
    std::ptrdiff_t size() const { return static_cast<std::ptrdiff_t>(steps_.size()); }
    void clear();
    /// Appends the reflection that maps rows [first_row, first_row + length) of a column on its
    /// first entry. Returns that entry, and leaves the column as it is.
    double append(ColumnTiles& columns, std::ptrdiff_t column, std::ptrdiff_t first_row,
                  std::ptrdiff_t length);
    /// Applies reflections [begin, end) to one tile.
    void apply(std::ptrdiff_t begin, std::ptrdiff_t end, double* tile) const;

 private:
    struct Step {
        std::ptrdiff_t first_row;
        std::ptrdiff_t length;
        std::size_t offset;
        double tau;
    };
    std::vector<Step> steps_;
    std::vector<double> vectors_;
};

/// What the units of one network that are still in the match span, and how far the other network's
/// are from it.
///
/// Removing units rotates what leaves the span into the last rows. A dependent unit with a
/// component there enters the basis; otherwise the other network's components there are what their
/// residuals grow by (a sum of squares: nothing cancels). Copies are independent, so that a removal
/// can be tried.
class ActiveSpan {
 public:
    explicit ActiveSpan(const SpanFactor& factor);

    /// Removes the units u with leaving[u] != 0 and forgets the other network's units v with
    /// others_active[v] == 0. Costs O(rank * n_leaving * (n_units + n_others)) operations.
    void remove(const std::vector<char>& leaving, const std::vector<char>& others_active,
                const StopToken& stop);
    /// Squared distance of each of the other network's units from the span; stale for those
    /// forgotten.
    const std::vector<double>& residuals() const { return residuals_; }
    /// Number of basis vectors.
    std::ptrdiff_t rank() const { return rank_; }
    /// Units that make the basis, and units of the other network, in the order of `inverse`.
    const std::vector<std::ptrdiff_t>& basis() const { return basis_; }
    const std::vector<std::ptrdiff_t>& others() const { return others_; }
    /// Whether no unit depends on the others (up to the tolerance).
    bool independent() const { return dependent_.empty(); }
    /// The inverse Gram matrix of the basis units, (rank, rank), and the coefficients of the other
    /// network's units on them, (rank, n_others); both overwritten.
    void inverse(Eigen::MatrixXd& precision, Eigen::MatrixXd& coefficients,
                 const StopToken& stop) const;

 private:
    std::vector<std::ptrdiff_t> keep_units(const std::vector<char>& leaving,
                                           const std::vector<char>& others_active);
    void restore_triangle(const std::vector<std::ptrdiff_t>& kept, const StopToken& stop);
    void readmit_dependent(const StopToken& stop);
    std::ptrdiff_t farthest_dependent();
    void shrink_to(std::ptrdiff_t rank, const StopToken& stop);

    double tolerance_;
    std::ptrdiff_t rank_;
    std::vector<std::ptrdiff_t> basis_, dependent_, others_;
    ColumnTiles basis_columns_, dependent_columns_, other_columns_;
    std::vector<double> residuals_;
    Reflections reflections_;
};

/// How close a cascade's decisions were: the least |distance - epsilon| of a unit that left, and of
/// one that stayed; infinity where there was none.
struct ClosestDecisions {
    double leaving = std::numeric_limits<double>::infinity();
    double staying = std::numeric_limits<double>::infinity();
};

/// The largest pair of unit sets within x and y whose members lie within a relative distance of the
/// span of the other set (Wang et al. 2018, Algorithm 1), found by removing units; copies are
/// independent.
class MatchCascade {
 public:
    /// span_x holds the basis of x and the units of y in it, span_y the other way round.
    MatchCascade(const SpanFactor& span_x, const SpanFactor& span_y);

    /// Removes units until the rest is the maximum match for `epsilon`, which must not grow from
    /// call to call.
    ClosestDecisions shrink_to(double epsilon, const StopToken& stop);
    /// Removes units, whatever their distance; shrink_to then restores a match. leaving: one flag a
    /// unit, x first; units that are gone already may be flagged.
    void remove(const std::vector<char>& leaving, const StopToken& stop);
    /// Smallest epsilon at which each unit is still in the maximum match, x first, (n_x + n_y),
    /// overwritten; removes every unit.
    void peel(Eigen::Ref<Eigen::VectorXd> levels, const StopToken& stop);
    const ActiveSpan& span_x() const { return span_x_; }
    const ActiveSpan& span_y() const { return span_y_; }
    /// Whether each unit is still in the match.
    const std::vector<char>& active_x() const { return active_x_; }
    const std::vector<char>& active_y() const { return active_y_; }

 private:
    ActiveSpan span_x_, span_y_;
    std::vector<char> active_x_, active_y_;
};

/// One row of flags an epsilon, one column a unit.
using Membership = Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Maximum matches for several epsilons, sharing one cascade since they are nested (Wang et al.
/// 2018, Algorithm 1 with the relative distance of Definition 1). epsilons: descending, each in [0,
/// 1). in_x: (n_epsilons, n_x), in_y: (n_epsilons, n_y), row-major, overwritten: whether each unit
/// is in the match. margins: (n_epsilons), overwritten: the least |distance - epsilon| of all
/// decisions that led to each match. Throws std::invalid_argument when shapes disagree, Interrupted
/// when `stop` is requested.
void max_match(const SpanFactor& span_x, const SpanFactor& span_y,
               const Eigen::Ref<const Eigen::VectorXd>& epsilons, const StopToken& stop,
               Eigen::Ref<Membership> in_x, Eigen::Ref<Membership> in_y,
               Eigen::Ref<Eigen::VectorXd> margins);

}  // namespace convergent
