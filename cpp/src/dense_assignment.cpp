#include "dense_assignment.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "column_blocks.hpp"

namespace convergent {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int32_t kFree = Matching::kFree;

// The two least reduced costs of a row, and the first column of the least.
struct TwoLeast {
    double first = kInfinity;
    double second = kInfinity;
    std::int32_t column = kFree;
};

template <class Scalar>
TwoLeast two_least(const CostRows<Scalar>& cost, std::ptrdiff_t i, const std::vector<double>& v) {
    TwoLeast least;
    const Scalar* row = cost.row(i);
    for (std::ptrdiff_t begin = 0; begin < cost.n_columns; begin += column_blocks::kLength) {
        const std::ptrdiff_t end = std::min(begin + column_blocks::kLength, cost.n_columns);
        if (end - begin == column_blocks::kLength &&
            !column_blocks::any_reduced_below(row + begin, cost.factor, v.data() + begin,
                                              least.second)) {
            continue;
        }
        for (std::ptrdiff_t j = begin; j < end; ++j) {
            const double value = cost.factor * double(row[j]) - v[j];
            if (value < least.first) {
                least.second = least.first;
                least.first = value;
                least.column = std::int32_t(j);
            } else if (value < least.second) {
                least.second = value;
            }
        }
    }
    return least;
}

// The first free column at which the reduced cost of row i is `value`; kFree if there is none.
template <class Scalar>
std::int32_t free_column_at(const CostRows<Scalar>& cost, std::int32_t i, double value,
                            const Matching& matching) {
    for (std::ptrdiff_t j = 0; j < cost.n_columns; ++j) {
        if (matching.row_of_column[j] == kFree && cost.at(i, j) - matching.v[j] == value)
            return std::int32_t(j);
    }
    return kFree;
}

// Augmenting row reduction for one row and those it displaces one after another: each takes its
// cheapest column and lowers its price until the second cheapest is as cheap. A row whose cheapest
// is not strictly the cheapest takes a free one of the equals or stays free, for displacing at
// equal prices could go on for ever; so could ever smaller steps, hence the bound on the number of
// rows read. Where rows have nothing in common, six readings a row are as good as more.
template <class Scalar>
void reduce_row(const CostRows<Scalar>& cost, std::int32_t i, Matching& matching,
                std::int64_t& n_readings, const StopToken& stop) {
    while (i != kFree && n_readings > 0) {
        stop.check();
        --n_readings;
        const TwoLeast least = two_least(cost, i, matching.v);
        if (least.column == kFree) return;
        double& price = matching.v[least.column];
        const double lowered =
            least.second == kInfinity ? price : price - (least.second - least.first);
        if (!(lowered < price)) {
            const std::int32_t column = free_column_at(cost, i, least.first, matching);
            if (column != kFree) matching.join(i, column);
            return;
        }
        price = lowered;
        const std::int32_t displaced = matching.row_of_column[least.column];
        matching.join(i, least.column);
        if (displaced != kFree) matching.column_of_row[displaced] = kFree;
        i = displaced;
    }
}

template <class Scalar>
void reduce_rows(const CostRows<Scalar>& cost, Matching& matching, const StopToken& stop) {
    constexpr std::int64_t kReadingsPerRow = 6;
    std::vector<std::int32_t> free_rows;
    for (std::int32_t i = 0; i < cost.n_rows; ++i) {
        if (matching.column_of_row[i] == kFree) free_rows.push_back(i);
    }
    std::int64_t n_readings = kReadingsPerRow * cost.n_rows;
    for (const std::int32_t row : free_rows) reduce_row(cost, row, matching, n_readings, stop);
}

// Shortest augmenting paths (Dijkstra on the reduced costs), one free row at a time, over the whole
// matrix.
template <class Scalar>
class ShortestPaths {
 public:
    explicit ShortestPaths(const CostRows<Scalar>& cost)
        : cost_(cost),
          label_(column_blocks::count(cost.n_columns) * column_blocks::kLength),
          distance_(label_.size()),
          row_before_(label_.size()),
          least_of_block_(column_blocks::count(column_blocks::count(cost.n_columns)) *
                          column_blocks::kLength) {}

    // Gives a free row a column. Returns false, with `matching` as it was, if no allowed pairs lead
    // to one.
    bool augment(std::int32_t first_row, Matching& matching, const StopToken& stop);

 private:
    struct Closed {
        std::int32_t column;
        double distance;
    };

    void reach_from(std::int32_t row, double offset, const std::vector<double>& v);
    void refresh(std::ptrdiff_t block);
    std::int32_t nearest(const Matching& matching) const;
    void close(std::int32_t column, double distance);
    void settle(std::int32_t first_row, std::int32_t last_column, double distance,
                Matching& matching);

    CostRows<Scalar> cost_;
    std::vector<double>
        label_;  // distance + v: what the cost of another row must undercut; -inf if closed
    std::vector<double>
        distance_;  // of open columns from the first row; +inf if not reached or closed
    std::vector<std::int64_t> row_before_;  // on the way to the column
    std::vector<double> least_of_block_;    // of distance_
    std::vector<Closed> closed_;
};

template <class Scalar>
void ShortestPaths<Scalar>::refresh(std::ptrdiff_t block) {
    least_of_block_[block] =
        column_blocks::least(distance_.data() + block * column_blocks::kLength);
}

template <class Scalar>
void ShortestPaths<Scalar>::reach_from(std::int32_t i, double offset,
                                       const std::vector<double>& v) {
    const Scalar* row = cost_.row(i);
    const double factor = cost_.factor;
    const std::ptrdiff_t n_whole = cost_.n_columns / column_blocks::kLength;
    for (std::ptrdiff_t block = 0; block < n_whole; ++block) {
        const std::ptrdiff_t begin = block * column_blocks::kLength;
        if (!column_blocks::any_below(row + begin, factor, offset, &label_[begin])) continue;
        column_blocks::lower_labels(row + begin, factor, offset, i, &v[begin], &label_[begin],
                                    &distance_[begin], &row_before_[begin]);
        refresh(block);
    }
    for (std::ptrdiff_t j = n_whole * column_blocks::kLength; j < cost_.n_columns; ++j) {
        const double candidate = factor * double(row[j]) - offset;
        if (!(candidate < label_[j])) continue;
        label_[j] = candidate;
        distance_[j] = candidate - v[j];
        row_before_[j] = i;
        least_of_block_[n_whole] = std::min(least_of_block_[n_whole], distance_[j]);
    }
}

// An open column at the least distance, free if one of them is; kFree if none is reached.
template <class Scalar>
std::int32_t ShortestPaths<Scalar>::nearest(const Matching& matching) const {
    double least = kInfinity;
    for (std::size_t block = 0; block < least_of_block_.size(); block += column_blocks::kLength) {
        least = std::min(least, column_blocks::least(&least_of_block_[block]));
    }
    std::int32_t column = kFree;
    if (least == kInfinity) return column;
    for (std::size_t block = 0; block < least_of_block_.size(); ++block) {
        if (least_of_block_[block] != least) continue;
        for (std::size_t j = block * column_blocks::kLength;
             j < (block + 1) * column_blocks::kLength; ++j) {
            if (distance_[j] != least) continue;
            if (matching.row_of_column[j] == kFree) return std::int32_t(j);
            if (column == kFree) column = std::int32_t(j);
        }
    }
    return column;
}

template <class Scalar>
void ShortestPaths<Scalar>::close(std::int32_t column, double distance) {
    closed_.push_back({column, distance});
    label_[column] = -kInfinity;
    distance_[column] = kInfinity;
    refresh(column / column_blocks::kLength);
}

template <class Scalar>
void ShortestPaths<Scalar>::settle(std::int32_t first_row, std::int32_t last_column,
                                   double distance, Matching& matching) {
    for (const Closed& closed : closed_) matching.v[closed.column] -= distance - closed.distance;
    std::int32_t column = last_column;
    for (;;) {
        const auto row = std::int32_t(row_before_[column]);
        const std::int32_t next_column = matching.column_of_row[row];
        matching.join(row, column);
        if (row == first_row) return;
        column = next_column;
    }
}

template <class Scalar>
bool ShortestPaths<Scalar>::augment(std::int32_t first_row, Matching& matching,
                                    const StopToken& stop) {
    std::fill(label_.begin(), label_.end(), kInfinity);
    std::fill(distance_.begin(), distance_.end(), kInfinity);
    std::fill(least_of_block_.begin(), least_of_block_.end(), kInfinity);
    closed_.clear();
    std::int32_t i = first_row;
    double offset = 0.0;
    double distance = -kInfinity;
    for (;;) {
        stop.check();
        reach_from(i, offset, matching.v);
        const std::int32_t column = nearest(matching);
        if (column == kFree) return false;
        // Rounding may bring a column nearer than one closed before; distances, and so prices,
        // never go back.
        distance = std::max(distance, distance_[column]);
        i = matching.row_of_column[column];
        if (i == kFree) {
            settle(first_row, column, distance, matching);
            return true;
        }
        close(column, distance);
        offset = (cost_.at(i, column) - matching.v[column]) - distance;
    }
}

}  // namespace

template <class Scalar>
CostSurvey survey(const CostRows<Scalar>& cost, double limit, const StopToken& stop) {
    CostSurvey found;
    found.least.assign(cost.n_columns, kInfinity);
    found.row_of_least.assign(cost.n_columns, kFree);
    for (std::ptrdiff_t i = 0; i < cost.n_rows; ++i) {
        stop.check();
        const Scalar* row = cost.row(i);
        for (std::ptrdiff_t begin = 0; begin < cost.n_columns; begin += column_blocks::kLength) {
            column_blocks::fetch_ahead(row + begin);
            double* least = &found.least[begin];
            std::int64_t* row_of_least = &found.row_of_least[begin];
            const std::ptrdiff_t length = std::min(column_blocks::kLength, cost.n_columns - begin);
            if (length == column_blocks::kLength) {
                if (!column_blocks::any_remarkable(row + begin, cost.factor, limit, least))
                    continue;
                if (!column_blocks::any_beyond(row + begin, cost.factor, limit)) {
                    column_blocks::lower_least(row + begin, cost.factor, i, least, row_of_least);
                    continue;
                }
            }
            for (std::ptrdiff_t k = 0; k < length; ++k) {
                const double value = cost.factor * double(row[begin + k]);
                if (!(value > -kInfinity)) found.invalid = true;
                if (std::isfinite(value)) found.largest = std::max(found.largest, std::fabs(value));
                if (value < least[k]) {
                    least[k] = value;
                    row_of_least[k] = i;
                }
            }
        }
    }
    return found;
}

template <class Scalar>
bool assign_free_rows(const CostRows<Scalar>& cost, Matching& matching, const StopToken& stop) {
    const auto& columns = matching.column_of_row;
    if (std::find(columns.begin(), columns.end(), kFree) == columns.end()) return true;
    reduce_rows(cost, matching, stop);
    ShortestPaths<Scalar> paths(cost);
    for (std::int32_t i = 0; i < cost.n_rows; ++i) {
        if (matching.column_of_row[i] == kFree && !paths.augment(i, matching, stop)) return false;
    }
    return true;
}

template <class Scalar>
double least_reduced_cost(const CostRows<Scalar>& cost, std::ptrdiff_t row,
                          const std::vector<double>& v) {
    return two_least(cost, row, v).first;
}

template CostSurvey survey(const CostRows<float>&, double, const StopToken&);
template CostSurvey survey(const CostRows<double>&, double, const StopToken&);
template bool assign_free_rows(const CostRows<float>&, Matching&, const StopToken&);
template bool assign_free_rows(const CostRows<double>&, Matching&, const StopToken&);
template double least_reduced_cost(const CostRows<float>&, std::ptrdiff_t,
                                   const std::vector<double>&);
template double least_reduced_cost(const CostRows<double>&, std::ptrdiff_t,
                                   const std::vector<double>&);

}  // namespace convergent
