#include "sparse_assignment.hpp"

#include <algorithm>
#include <limits>

#include "assignment_candidates.hpp"

namespace convergent {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int32_t kFree = Matching::kFree;

// The steps of the dense search on lists of candidates. They give what it would give, up to the
// choice among equals, because what a list does not hold is asked for before it could matter.
template <class Scalar>
class CandidateSearch {
 public:
    CandidateSearch(const CostRows<Scalar>& cost, Matching& matching, const StopToken& stop);

    // Returns false if most rows have very many cheapest columns, so that lists are of no use.
    bool reduce_rows();

    // Gives a free row a column. Returns false, with the matching as it was, if no allowed pairs
    // lead to one or the search does not pay.
    bool augment(std::int32_t row);

 private:
    using List = typename CandidateRows<Scalar>::List;
    using Entry = typename CandidateRows<Scalar>::Entry;

    // Of an open column, or of what a row's list leaves out (then ~row), with its distance.
    struct Node {
        double distance;
        std::int32_t key;
    };
    struct Closed {
        std::int32_t column;
        double distance;
    };
    struct TwoLeast {
        const Entry* entry;
        double first;
        double second;
    };

    static bool farther(const Node& a, const Node& b) {
        return a.distance > b.distance || (a.distance == b.distance && a.key > b.key);
    }

    void join(std::int32_t row, std::int32_t column, double cost) {
        matching_.join(row, column);
        cost_of_pair_[row] = cost;
    }

    TwoLeast two_least(std::int32_t row) const;
    void reduce_row(std::int32_t row);
    void take_free(std::int32_t row, double value);
    void start(std::int32_t first_row);
    bool read_on(std::int32_t row);
    void reach_from(std::int32_t row, bool complete);
    void push(double distance, std::int32_t key);
    Node pop();
    void close(std::int32_t column, double distance);
    void settle(std::int32_t first_row, double distance);
    bool pays() const;

    CostRows<Scalar> cost_;
    Matching& matching_;
    const StopToken& stop_;
    CandidateRows<Scalar> candidates_;
    std::vector<double> cost_of_pair_;  // of rows that have a column

    std::int64_t n_readings_left_;
    std::vector<std::int32_t> crowded_rows_;
    bool postpone_crowded_ = true;

    std::vector<double> distance_;  // of columns; +inf if not reached, -inf if closed
    std::vector<std::int32_t> row_before_;
    std::vector<double> cost_before_;
    std::vector<double> offset_;  // of rows: what to take off cost - v for the distance
    std::vector<std::int32_t> reached_;
    std::vector<Node> heap_;
    std::vector<Closed> closed_;
    double free_distance_ = kInfinity;
    std::int32_t free_column_ = kFree;
    std::int64_t n_searched_ = 0;
    std::int64_t n_extended_ = 0;
};

template <class Scalar>
CandidateSearch<Scalar>::CandidateSearch(const CostRows<Scalar>& cost, Matching& matching,
                                         const StopToken& stop)
    : cost_(cost),
      matching_(matching),
      stop_(stop),
      candidates_(cost),
      cost_of_pair_(cost.n_rows),
      n_readings_left_(20 * std::int64_t(cost.n_rows)),
      distance_(cost.n_columns, kInfinity),
      row_before_(cost.n_columns),
      cost_before_(cost.n_columns),
      offset_(cost.n_rows) {
    for (std::int32_t i = 0; i < cost.n_rows; ++i) {
        const std::int32_t j = matching.column_of_row[i];
        if (j != kFree) cost_of_pair_[i] = cost.at(i, j);
    }
}

template <class Scalar>
auto CandidateSearch<Scalar>::two_least(std::int32_t i) const -> TwoLeast {
    const List list = candidates_[i];
    const double* v = matching_.v.data();
    TwoLeast least{nullptr, list.bound, list.bound};
    for (const Entry* entry = list.begin; entry != list.end; ++entry) {
        if (entry->floor > least.second) break;
        const double value = entry->cost - v[entry->column];
        if (value < least.first || (value == least.first && least.entry == nullptr)) {
            least.second = least.first;
            least.first = value;
            least.entry = entry;
        } else if (value < least.second) {
            least.second = value;
        }
    }
    return least;
}

// The row takes a free one of the columns at which its reduced cost is `value`, if there is one.
template <class Scalar>
void CandidateSearch<Scalar>::take_free(std::int32_t i, double value) {
    const List list = candidates_[i];
    for (const Entry* entry = list.begin; entry != list.end && entry->floor <= value; ++entry) {
        if (matching_.row_of_column[entry->column] == kFree &&
            entry->cost - matching_.v[entry->column] == value) {
            join(i, entry->column, entry->cost);
            return;
        }
    }
}

// As reduce_row of the dense search. Rows with very many cheapest columns wait until the others
// have chosen.
template <class Scalar>
void CandidateSearch<Scalar>::reduce_row(std::int32_t i) {
    constexpr int kReadingsOfWholeRow = 4;
    while (i != kFree && n_readings_left_ > 0) {
        stop_.check();
        --n_readings_left_;
        TwoLeast least = two_least(i);
        const double bound = candidates_[i].bound;
        if (least.second == bound && bound < kInfinity) {
            n_readings_left_ -= kReadingsOfWholeRow;
            if (!candidates_.read(i, matching_.v)) {
                if (postpone_crowded_) {
                    crowded_rows_.push_back(i);
                } else {
                    const std::int32_t j = candidates_.free_cheapest(matching_);
                    if (j != kFree) join(i, j, cost_.at(i, j));
                }
                return;
            }
            least = two_least(i);
        }
        if (least.entry == nullptr) return;
        double& price = matching_.v[least.entry->column];
        const double lowered =
            least.second == kInfinity ? price : price - (least.second - least.first);
        if (!(lowered < price)) return take_free(i, least.first);
        price = lowered;
        const std::int32_t displaced = matching_.row_of_column[least.entry->column];
        join(i, least.entry->column, least.entry->cost);
        if (displaced != kFree) matching_.column_of_row[displaced] = kFree;
        i = displaced;
    }
}

template <class Scalar>
bool CandidateSearch<Scalar>::reduce_rows() {
    constexpr std::size_t kRowsOnTrial = 64;
    std::vector<std::int32_t> free_rows;
    for (std::int32_t i = 0; i < cost_.n_rows; ++i) {
        if (matching_.column_of_row[i] == kFree) free_rows.push_back(i);
    }
    for (std::size_t k = 0; k < free_rows.size(); ++k) {
        reduce_row(free_rows[k]);
        if (2 * crowded_rows_.size() > kRowsOnTrial + k) return false;
    }
    postpone_crowded_ = false;
    std::sort(crowded_rows_.begin(), crowded_rows_.end());
    for (const std::int32_t row : crowded_rows_) reduce_row(row);
    return true;
}

template <class Scalar>
void CandidateSearch<Scalar>::push(double distance, std::int32_t key) {
    heap_.push_back({distance, key});
    std::push_heap(heap_.begin(), heap_.end(), farther);
}

template <class Scalar>
auto CandidateSearch<Scalar>::pop() -> Node {
    std::pop_heap(heap_.begin(), heap_.end(), farther);
    const Node node = heap_.back();
    heap_.pop_back();
    return node;
}

template <class Scalar>
void CandidateSearch<Scalar>::start(std::int32_t first_row) {
    for (const std::int32_t j : reached_) distance_[j] = kInfinity;
    reached_.clear();
    heap_.clear();
    closed_.clear();
    free_distance_ = kInfinity;
    free_column_ = kFree;
    offset_[first_row] = 0.0;
    reach_from(first_row, false);
}

// Only what is nearer than the nearest free column can matter.
template <class Scalar>
void CandidateSearch<Scalar>::reach_from(std::int32_t i, bool complete) {
    ++n_searched_;
    const List list = candidates_[i];
    const double offset = offset_[i];
    for (const Entry* entry = list.begin; entry != list.end; ++entry) {
        if (!(entry->floor - offset < free_distance_)) break;
        const std::int32_t j = entry->column;
        const double distance = (entry->cost - offset) - matching_.v[j];
        if (!(distance < free_distance_ && distance < distance_[j])) continue;
        if (distance_[j] == kInfinity) reached_.push_back(j);
        distance_[j] = distance;
        row_before_[j] = i;
        cost_before_[j] = entry->cost;
        if (matching_.row_of_column[j] == kFree) {
            free_distance_ = distance;
            free_column_ = j;
        } else {
            push(distance, j);
        }
    }
    if (!complete && list.bound - offset < free_distance_) push(list.bound - offset, ~i);
}

// Reads a row, or more of it; returns whether the list now holds all that matters to this search.
template <class Scalar>
bool CandidateSearch<Scalar>::read_on(std::int32_t i) {
    if (candidates_[i].bound == -kInfinity) {
        candidates_.read(i, matching_.v);
        return false;
    }
    ++n_extended_;
    return candidates_.extend(i, matching_.v, free_distance_ + offset_[i]);
}

template <class Scalar>
void CandidateSearch<Scalar>::close(std::int32_t column, double distance) {
    closed_.push_back({column, distance});
    distance_[column] = -kInfinity;
    const std::int32_t i = matching_.row_of_column[column];
    offset_[i] = (cost_of_pair_[i] - matching_.v[column]) - distance;
    reach_from(i, false);
}

template <class Scalar>
void CandidateSearch<Scalar>::settle(std::int32_t first_row, double distance) {
    for (const Closed& closed : closed_) matching_.v[closed.column] -= distance - closed.distance;
    std::int32_t column = free_column_;
    for (;;) {
        const std::int32_t row = row_before_[column];
        const std::int32_t next_column = matching_.column_of_row[row];
        join(row, column, cost_before_[column]);
        if (row == first_row) return;
        column = next_column;
    }
}

// Reading on is what costs; the dense search would read every row.
template <class Scalar>
bool CandidateSearch<Scalar>::pays() const {
    const auto n_rows = std::size_t(cost_.n_rows);
    return 8 * n_extended_ <= n_searched_ + cost_.n_rows &&
           candidates_.n_entries() <= n_rows * 16 + n_rows * std::size_t(cost_.n_columns) / 16;
}

template <class Scalar>
bool CandidateSearch<Scalar>::augment(std::int32_t first_row) {
    start(first_row);
    double distance = -kInfinity;
    while (!heap_.empty() && heap_.front().distance < free_distance_) {
        stop_.check();
        if (!pays()) return false;
        const Node node = pop();
        if (node.key < 0) {
            const bool complete = read_on(~node.key);
            reach_from(~node.key, complete);
        } else if (node.distance == distance_[node.key]) {
            // Rounding may bring a column nearer than one closed before.
            distance = std::max(distance, node.distance);
            close(node.key, distance);
        }
    }
    if (free_column_ == kFree) return false;
    settle(first_row, std::max(distance, free_distance_));
    return true;
}

}  // namespace

template <class Scalar>
void assign_by_candidates(const CostRows<Scalar>& cost, Matching& matching, const StopToken& stop) {
    CandidateSearch<Scalar> search(cost, matching, stop);
    if (!search.reduce_rows()) return;
    for (std::int32_t i = 0; i < cost.n_rows; ++i) {
        if (matching.column_of_row[i] == kFree && !search.augment(i)) return;
    }
}

template void assign_by_candidates(const CostRows<float>&, Matching&, const StopToken&);
template void assign_by_candidates(const CostRows<double>&, Matching&, const StopToken&);

}  // namespace convergent
