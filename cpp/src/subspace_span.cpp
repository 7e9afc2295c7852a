#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "convergent/subspace.hpp"

namespace convergent {

namespace {

constexpr std::ptrdiff_t kLanes = ColumnTiles::kLanes;

template <class T>
void keep_entries(const std::vector<std::ptrdiff_t>& kept, std::vector<T>& values) {
    for (std::size_t i = 0; i < kept.size(); ++i) {
        values[i] = values[static_cast<std::size_t>(kept[i])];
    }
    values.resize(kept.size());
}

/// Positions of the units whose flag equals `wanted`.
std::vector<std::ptrdiff_t> positions(const std::vector<std::ptrdiff_t>& units,
                                      const std::vector<char>& flags, bool wanted) {
    std::vector<std::ptrdiff_t> found;
    for (std::size_t i = 0; i < units.size(); ++i) {
        if ((flags[static_cast<std::size_t>(units[i])] != 0) == wanted) {
            found.push_back(static_cast<std::ptrdiff_t>(i));
        }
    }
    return found;
}

void check_factor(const SpanFactor& factor) {
    const std::ptrdiff_t rank = factor.triangle.rows();
    const std::ptrdiff_t n_units = factor.triangle.cols();
    if (rank > n_units) throw std::invalid_argument("a span's rank must not exceed its units");
    if (factor.order.size() != n_units || factor.coefficients.rows() != rank ||
        factor.coefficients.cols() != factor.residuals.size()) {
        throw std::invalid_argument("the parts of a span factor must have shapes that agree");
    }
    std::vector<char> seen(static_cast<std::size_t>(n_units), 0);
    for (std::ptrdiff_t i = 0; i < n_units; ++i) {
        const std::ptrdiff_t unit = factor.order[i];
        if (unit < 0 || unit >= n_units || seen[static_cast<std::size_t>(unit)]) {
            throw std::invalid_argument("the order of a span's units must be a permutation");
        }
        seen[static_cast<std::size_t>(unit)] = 1;
    }
}

const SpanFactor& checked(const SpanFactor& factor) {
    check_factor(factor);
    return factor;
}

void fill(const Eigen::Ref<const Eigen::MatrixXd>& columns, ColumnTiles& tiles) {
    for (std::ptrdiff_t column = 0; column < columns.cols(); ++column) {
        for (std::ptrdiff_t row = 0; row < columns.rows(); ++row) {
            tiles.at(row, column) = columns(row, column);
        }
    }
}

}  // namespace

ColumnTiles::ColumnTiles(std::ptrdiff_t n_rows, std::ptrdiff_t n_columns)
    : n_rows_(n_rows),
      n_columns_(n_columns),
      values_(Eigen::VectorXd::Zero(n_tiles() * n_rows * kLanes)) {}

Eigen::MatrixXd ColumnTiles::matrix(std::ptrdiff_t n_rows) const {
    Eigen::MatrixXd columns(n_rows, n_columns_);
    for (std::ptrdiff_t column = 0; column < n_columns_; ++column) {
        const double* tile = values_.data() + column / kLanes * n_rows_ * kLanes + column % kLanes;
        for (std::ptrdiff_t row = 0; row < n_rows; ++row) columns(row, column) = tile[row * kLanes];
    }
    return columns;
}

void ColumnTiles::keep(const std::vector<std::ptrdiff_t>& kept, std::ptrdiff_t n_rows) {
    const std::ptrdiff_t n_kept = static_cast<std::ptrdiff_t>(kept.size());
    for (std::ptrdiff_t begin = 0; begin < n_kept; begin += kLanes) {
        const std::ptrdiff_t n_lanes = std::min(kLanes, n_kept - begin);
        if (kept[static_cast<std::size_t>(begin + n_lanes - 1)] == begin + n_lanes - 1) continue;
        const double* sources[kLanes];
        for (std::ptrdiff_t lane = 0; lane < n_lanes; ++lane) {
            sources[lane] = &at(0, kept[static_cast<std::size_t>(begin + lane)]);
        }
        double* target = tile(begin / kLanes);
        for (std::ptrdiff_t at_row = 0; at_row < n_rows * kLanes; at_row += kLanes) {
            for (std::ptrdiff_t lane = 0; lane < n_lanes; ++lane) {
                target[at_row + lane] = sources[lane][at_row];  // never to the right of its source
            }
        }
    }
    n_columns_ = n_kept;
}

void ColumnTiles::append(ColumnTiles& other, std::ptrdiff_t column, std::ptrdiff_t n_rows) {
    for (std::ptrdiff_t row = 0; row < n_rows; ++row) at(row, n_columns_) = other.at(row, column);
    ++n_columns_;
}

void ColumnTiles::drop(std::ptrdiff_t column, std::ptrdiff_t n_rows) {
    --n_columns_;
    for (std::ptrdiff_t row = 0; row < n_rows; ++row) at(row, column) = at(row, n_columns_);
}

void Reflections::clear() {
    steps_.clear();
    vectors_.clear();
}

double Reflections::append(ColumnTiles& columns, std::ptrdiff_t column, std::ptrdiff_t first_row,
                           std::ptrdiff_t length) {
    double tail = 0.0;
    for (std::ptrdiff_t i = 1; i < length; ++i) {
        const double value = columns.at(first_row + i, column);
        tail += value * value;
    }
    const double head = columns.at(first_row, column);
    if (tail == 0.0) return head;
    const double image =
        head > 0.0 ? -std::sqrt(head * head + tail) : std::sqrt(head * head + tail);
    steps_.push_back({first_row, length, vectors_.size(), (image - head) / image});
    vectors_.push_back(1.0);
    for (std::ptrdiff_t i = 1; i < length; ++i) {
        vectors_.push_back(columns.at(first_row + i, column) / (head - image));
    }
    return image;
}

void Reflections::apply(std::ptrdiff_t begin, std::ptrdiff_t end, double* tile) const {
    for (std::ptrdiff_t index = begin; index < end; ++index) {
        const Step& step = steps_[static_cast<std::size_t>(index)];
        const double* __restrict v = vectors_.data() + step.offset;
        double* __restrict rows = tile + step.first_row * kLanes;
        double sums[kLanes];
        for (std::ptrdiff_t c = 0; c < kLanes; ++c) sums[c] = rows[c];
        for (std::ptrdiff_t i = 1; i < step.length; ++i) {
            for (std::ptrdiff_t c = 0; c < kLanes; ++c) sums[c] += v[i] * rows[i * kLanes + c];
        }
        for (std::ptrdiff_t c = 0; c < kLanes; ++c) {
            sums[c] *= step.tau;
            rows[c] -= sums[c];
        }
        for (std::ptrdiff_t i = 1; i < step.length; ++i) {
            for (std::ptrdiff_t c = 0; c < kLanes; ++c) rows[i * kLanes + c] -= v[i] * sums[c];
        }
    }
}

ActiveSpan::ActiveSpan(const SpanFactor& factor)
    : tolerance_(factor.tolerance),
      rank_(checked(factor).triangle.rows()),
      basis_(factor.order.data(), factor.order.data() + rank_),
      dependent_(factor.order.data() + rank_, factor.order.data() + factor.order.size()),
      others_(static_cast<std::size_t>(factor.residuals.size())),
      basis_columns_(rank_, rank_),
      dependent_columns_(rank_, factor.triangle.cols() - rank_),
      other_columns_(rank_, factor.coefficients.cols()),
      residuals_(factor.residuals.data(), factor.residuals.data() + factor.residuals.size()) {
    std::iota(others_.begin(), others_.end(), std::ptrdiff_t{0});
    fill(factor.triangle.leftCols(rank_).triangularView<Eigen::Upper>().toDenseMatrix(),
         basis_columns_);
    fill(factor.triangle.rightCols(factor.triangle.cols() - rank_), dependent_columns_);
    fill(factor.coefficients, other_columns_);
}

void ActiveSpan::remove(const std::vector<char>& leaving, const std::vector<char>& others_active,
                        const StopToken& stop) {
    const std::vector<std::ptrdiff_t> kept = keep_units(leaving, others_active);
    const std::ptrdiff_t n_kept = static_cast<std::ptrdiff_t>(kept.size());
    if (n_kept == rank_) return;
    reflections_.clear();
    restore_triangle(kept, stop);
    readmit_dependent(stop);
    shrink_to(static_cast<std::ptrdiff_t>(basis_.size()), stop);
}

void ActiveSpan::inverse(Eigen::MatrixXd& precision, Eigen::MatrixXd& coefficients,
                         const StopToken& stop) const {
    constexpr std::ptrdiff_t kBlock = 64;
    const Eigen::MatrixXd triangle = basis_columns_.matrix(rank_);
    Eigen::MatrixXd inverse = Eigen::MatrixXd::Identity(rank_, rank_);
    for (std::ptrdiff_t begin = 0; begin < rank_; begin += kBlock) {
        stop.check();
        const std::ptrdiff_t n = std::min(kBlock, rank_ - begin), end = begin + n;
        auto columns = inverse.block(0, begin, end, n);
        triangle.topLeftCorner(end, end).triangularView<Eigen::Upper>().solveInPlace(columns);
    }
    precision.resize(rank_, rank_);
    for (std::ptrdiff_t begin = 0; begin < rank_; begin += kBlock) {
        stop.check();
        const std::ptrdiff_t n = std::min(kBlock, rank_ - begin), end = begin + n;
        const std::ptrdiff_t n_right = rank_ - begin;
        precision.block(0, begin, end, n).noalias() =
            inverse.block(0, begin, end, n_right) *
            inverse.block(begin, begin, n, n_right).transpose();
        precision.block(begin, 0, n, begin) = precision.block(0, begin, begin, n).transpose();
    }
    const Eigen::MatrixXd others = other_columns_.matrix(rank_);
    coefficients.resize(rank_, others.cols());
    for (std::ptrdiff_t begin = 0; begin < others.cols(); begin += kBlock) {
        stop.check();
        const std::ptrdiff_t n = std::min(kBlock, others.cols() - begin);
        coefficients.middleCols(begin, n).noalias() =
            inverse.triangularView<Eigen::Upper>() * others.middleCols(begin, n);
    }
}

/// Drops the columns of units that left; returns the positions of the basis units that stay.
std::vector<std::ptrdiff_t> ActiveSpan::keep_units(const std::vector<char>& leaving,
                                                   const std::vector<char>& others_active) {
    const std::vector<std::ptrdiff_t> kept_others = positions(others_, others_active, true);
    other_columns_.keep(kept_others, rank_);
    keep_entries(kept_others, others_);
    const std::vector<std::ptrdiff_t> kept_dependent = positions(dependent_, leaving, false);
    dependent_columns_.keep(kept_dependent, rank_);
    keep_entries(kept_dependent, dependent_);
    const std::vector<std::ptrdiff_t> kept = positions(basis_, leaving, false);
    keep_entries(kept, basis_);
    return kept;
}

/// Makes the kept basis columns upper triangular again. The j-th of them, once at kept[j], reaches
/// down to that row, so the j-th reflection takes rows j to kept[j] and what leaves gathers in the
/// last rows.
void ActiveSpan::restore_triangle(const std::vector<std::ptrdiff_t>& kept, const StopToken& stop) {
    basis_columns_.keep(kept, rank_);
    const std::ptrdiff_t n_kept = basis_columns_.n_columns();
    for (std::ptrdiff_t begin = 0; begin < n_kept; begin += kLanes) {
        stop.check();
        double* tile = basis_columns_.tile(begin / kLanes);
        reflections_.apply(0, reflections_.size(), tile);
        for (std::ptrdiff_t column = begin; column < std::min(n_kept, begin + kLanes); ++column) {
            const std::ptrdiff_t last_row = kept[static_cast<std::size_t>(column)];
            const std::ptrdiff_t before = reflections_.size();
            const double diagonal =
                reflections_.append(basis_columns_, column, column, last_row - column + 1);
            reflections_.apply(before, reflections_.size(), tile);
            basis_columns_.at(column, column) = diagonal;
            for (std::ptrdiff_t row = column + 1; row <= last_row; ++row) {
                basis_columns_.at(row, column) = 0.0;
            }
        }
    }
}

/// Brings dependent units that have a part outside the span of the kept basis into the basis,
/// farthest first.
void ActiveSpan::readmit_dependent(const StopToken& stop) {
    for (std::ptrdiff_t t = 0; t < dependent_columns_.n_tiles(); ++t) {
        stop.check();
        reflections_.apply(0, reflections_.size(), dependent_columns_.tile(t));
    }
    for (std::ptrdiff_t row = basis_columns_.n_columns(); row < rank_; ++row) {
        const std::ptrdiff_t chosen = farthest_dependent();
        if (chosen < 0) return;
        stop.check();
        const std::ptrdiff_t before = reflections_.size();
        const double diagonal = reflections_.append(dependent_columns_, chosen, row, rank_ - row);
        for (std::ptrdiff_t t = 0; t < dependent_columns_.n_tiles(); ++t) {
            reflections_.apply(before, reflections_.size(), dependent_columns_.tile(t));
        }
        basis_columns_.append(dependent_columns_, chosen, rank_);
        basis_columns_.at(row, row) = diagonal;
        for (std::ptrdiff_t i = row + 1; i < rank_; ++i) basis_columns_.at(i, row) = 0.0;
        dependent_columns_.drop(chosen, rank_);
        basis_.push_back(dependent_[static_cast<std::size_t>(chosen)]);
        dependent_[static_cast<std::size_t>(chosen)] = dependent_.back();
        dependent_.pop_back();
    }
}

/// The dependent unit with the largest part outside the basis, or -1 if none exceeds the tolerance.
std::ptrdiff_t ActiveSpan::farthest_dependent() {
    std::ptrdiff_t chosen = -1;
    double largest = tolerance_ * tolerance_;
    for (std::ptrdiff_t column = 0; column < dependent_columns_.n_columns(); ++column) {
        double outside = 0.0;
        for (std::ptrdiff_t row = basis_columns_.n_columns(); row < rank_; ++row) {
            const double value = dependent_columns_.at(row, column);
            outside += value * value;
        }
        if (outside > largest) {
            largest = outside;
            chosen = column;
        }
    }
    return chosen;
}

/// Gives up the last basis vectors: what the other network's units had there is now part of their
/// residuals.
void ActiveSpan::shrink_to(std::ptrdiff_t rank, const StopToken& stop) {
    for (std::ptrdiff_t t = 0; t < other_columns_.n_tiles(); ++t) {
        stop.check();
        double* tile = other_columns_.tile(t);
        reflections_.apply(0, reflections_.size(), tile);
        double growth[kLanes] = {};
        for (std::ptrdiff_t row = rank; row < rank_; ++row) {
            const double* values = tile + row * kLanes;
            for (std::ptrdiff_t c = 0; c < kLanes; ++c) growth[c] += values[c] * values[c];
        }
        const std::ptrdiff_t n_lanes = std::min(kLanes, other_columns_.n_columns() - t * kLanes);
        for (std::ptrdiff_t c = 0; c < n_lanes; ++c) {
            const std::ptrdiff_t unit = others_[static_cast<std::size_t>(t * kLanes + c)];
            residuals_[static_cast<std::size_t>(unit)] += growth[c];
        }
    }
    rank_ = rank;
}

}  // namespace convergent
