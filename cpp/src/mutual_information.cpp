#include "convergent/mutual_information.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "count_sums.hpp"
#include "joint_counts.hpp"
#include "parallel.hpp"
#include "positional_counts.hpp"

namespace convergent {
namespace {

std::vector<CountSum> marginal_sums(const std::vector<std::uint32_t>& marginals, int n_codes,
                                    const CountLogCount& c_ln_c) {
    std::vector<CountSum> sums(marginals.size() / static_cast<std::size_t>(n_codes));
    for (std::size_t i = 0; i < marginals.size(); ++i) {
        sums[i / static_cast<std::size_t>(n_codes)].add(marginals[i], c_ln_c);
    }
    return sums;
}

/// I = (n ln n + sum c_ab ln c_ab - sum c_a ln c_a - sum c_b ln c_b) / n.
double information(const CountSum& x, const CountSum& y, const CountSum& joint,
                   std::ptrdiff_t n_examples, const CountLogCount& c_ln_c, bool miller_madow) {
    const auto n = static_cast<double>(n_examples);
    const std::int64_t total = c_ln_c(static_cast<std::uint32_t>(n_examples));
    const std::int64_t sum = (total - x.c_ln_c) + (joint.c_ln_c - y.c_ln_c);
    const double plug_in = c_ln_c.to_double(std::max<std::int64_t>(sum, 0)) / n;
    if (!miller_madow) return plug_in;
    return plug_in + static_cast<double>(x.n_used + y.n_used - joint.n_used - 1) / (2 * n);
}

void check(const BinCodes& x, const BinCodes& y) {
    if (x.n_examples != y.n_examples)
        throw std::invalid_argument("x and y must have the same examples");
    if (x.n_examples < 1 || x.n_examples > std::numeric_limits<std::uint32_t>::max()) {
        throw std::invalid_argument("the number of examples must be between 1 and 2^32 - 1");
    }
    if (std::min(x.n_codes, y.n_codes) < 1 || std::max(x.n_codes, y.n_codes) > 256) {
        throw std::invalid_argument("the number of codes must be between 1 and 256");
    }
}

/// What turns sums over joint counts into information.
class Informer {
 public:
    Informer(const CountedCodes& x, const CountedCodes& y, const CountLogCount& c_ln_c,
             bool miller_madow)
        : x_sums_(marginal_sums(x.marginals, x.codes.n_codes, c_ln_c)),
          y_sums_(marginal_sums(y.marginals, y.codes.n_codes, c_ln_c)),
          n_examples_(x.codes.n_examples),
          c_ln_c_(c_ln_c),
          miller_madow_(miller_madow) {}

    double operator()(std::ptrdiff_t i, std::ptrdiff_t j, const CountSum& joint) const {
        return information(x_sums_[static_cast<std::size_t>(i)],
                           y_sums_[static_cast<std::size_t>(j)], joint, n_examples_, c_ln_c_,
                           miller_madow_);
    }

 private:
    std::vector<CountSum> x_sums_, y_sums_;
    std::ptrdiff_t n_examples_;
    const CountLogCount& c_ln_c_;
    bool miller_madow_;
};

/// Calls visit(i, j, sum over the joint counts) for all pairs, several at a time.
template <class Counts, class Visit>
void visit_pairs(const Counts& counts, int n_threads, const StopToken& stop, Visit&& visit) {
    const std::vector<PairTile> tiles = counts.tiles(n_threads);
    const auto n_tiles = static_cast<std::ptrdiff_t>(tiles.size());
    parallel_for(n_tiles, n_threads, stop, [&](std::ptrdiff_t task) {
        const PairTile& tile = tiles[static_cast<std::size_t>(task)];
        const std::vector<CountSum> sums = counts.sums(tile, stop);
        const CountSum* sum = sums.data();
        for (std::ptrdiff_t i = tile.x_begin; i < tile.x_end; ++i) {
            for (std::ptrdiff_t j = tile.y_begin; j < tile.y_end; ++j) visit(i, j, *sum++);
        }
    });
}

/// The ways of counting that there are for two networks, and their costs.
struct Choice {
    /// Positional counting with the units of y in its rows of bits, or with those of x.
    std::optional<PositionalCounts> rows_of_y, rows_of_x;
    ScatterCounts scatter;

    Choice(const CountedCodes& x, const CountedCodes& y, const CountLogCount& c_ln_c)
        : scatter(x, y, c_ln_c) {
        if (PositionalCounts::possible(y)) rows_of_y.emplace(x, y, c_ln_c);
        if (PositionalCounts::possible(x)) rows_of_x.emplace(y, x, c_ln_c);
    }

    static double cost(const std::optional<PositionalCounts>& counts) {
        return counts ? counts->cost() : std::numeric_limits<double>::infinity();
    }
    bool positional() const { return std::min(cost(rows_of_y), cost(rows_of_x)) < scatter.cost(); }
};

CountedCodes count_codes(const BinCodes& codes, int n_threads, const StopToken& stop) {
    return {codes, marginal_counts(codes, n_threads, stop)};
}

}  // namespace

bool counts_by_position(const BinCodes& x, const BinCodes& y) {
    check(x, y);
    const StopToken never;
    const CountedCodes of_x = count_codes(x, 1, never), of_y = count_codes(y, 1, never);
    return Choice(of_x, of_y, CountLogCount(1)).positional();
}

void mutual_information(const BinCodes& x, const BinCodes& y, bool miller_madow, CountMethod method,
                        int n_threads, const StopToken& stop, double* nats) {
    check(x, y);
    const CountedCodes of_x = count_codes(x, n_threads, stop);
    const CountedCodes of_y = count_codes(y, n_threads, stop);
    const CountLogCount c_ln_c(x.n_examples);
    const Informer information_of(of_x, of_y, c_ln_c, miller_madow);
    const Choice choice(of_x, of_y, c_ln_c);
    const auto write = [&](std::ptrdiff_t i, std::ptrdiff_t j, const CountSum& joint) {
        nats[i * y.n_units + j] = information_of(i, j, joint);
    };
    const auto write_swapped = [&](std::ptrdiff_t j, std::ptrdiff_t i, const CountSum& joint) {
        write(i, j, joint);
    };
    if (method == CountMethod::positional && !choice.rows_of_y && !choice.rows_of_x)
        throw std::invalid_argument("units use too many codes to be counted by position");
    if (method == CountMethod::scatter ||
        (method == CountMethod::cheapest && !choice.positional())) {
        visit_pairs(choice.scatter, n_threads, stop, write);
    } else if (Choice::cost(choice.rows_of_y) <= Choice::cost(choice.rows_of_x)) {
        visit_pairs(*choice.rows_of_y, n_threads, stop, write);
    } else {
        visit_pairs(*choice.rows_of_x, n_threads, stop, write_swapped);
    }
}

}  // namespace convergent
