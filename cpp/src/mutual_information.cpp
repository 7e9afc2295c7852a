#include "convergent/mutual_information.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "joint_counts.hpp"
#include "parallel.hpp"

namespace convergent {
namespace {

constexpr std::ptrdiff_t kTileUnits = 16;
constexpr std::ptrdiff_t kTileCounts = 1 << 18;

/// c ln c for counts up to n, in fixed point: whole numbers of 2^-shift, so that sums do not depend
/// on their order.
class CountLogCount {
 public:
    explicit CountLogCount(std::int64_t n) {
        const double largest = static_cast<double>(n) * std::log(static_cast<double>(n));
        shift_ = 60 - (n > 1 ? std::ilogb(largest) + 1 : 1);
        table_.resize(static_cast<std::size_t>(std::min<std::int64_t>(n, kTabulated) + 1));
        for (std::size_t c = 0; c < table_.size(); ++c)
            table_[c] = compute(static_cast<std::uint32_t>(c));
    }

    std::int64_t operator()(std::uint32_t c) const {
        return c < table_.size() ? table_[c] : compute(c);
    }

    double to_double(std::int64_t sum) const {
        return std::ldexp(static_cast<double>(sum), -shift_);
    }

 private:
    static constexpr std::int64_t kTabulated = 1 << 14;

    std::int64_t compute(std::uint32_t c) const {
        return c == 0 ? 0 : std::llround(std::ldexp(c * std::log(static_cast<double>(c)), shift_));
    }

    int shift_ = 0;
    std::vector<std::int64_t> table_;
};

/// sum c ln c over some counts, and how many of them are not 0.
struct CountSum {
    std::int64_t c_ln_c = 0;
    std::int64_t n_used = 0;

    void add(std::uint32_t count, const CountLogCount& c_ln_c_of) {
        c_ln_c += c_ln_c_of(count);
        n_used += count != 0;
    }
};

std::vector<CountSum> marginal_sums(const std::vector<std::uint32_t>& marginals, int n_codes,
                                    const CountLogCount& c_ln_c) {
    std::vector<CountSum> sums(marginals.size() / static_cast<std::size_t>(n_codes));
    for (std::size_t i = 0; i < marginals.size(); ++i) {
        sums[i / static_cast<std::size_t>(n_codes)].add(marginals[i], c_ln_c);
    }
    return sums;
}

/// The sum over the joint counts of one pair; the row of x's code 0 is what the others leave of y's
/// marginal counts.
CountSum joint_sum(const std::uint32_t* counts, int n_codes_x, const std::uint32_t* y_marginal,
                   int n_codes_y, const CountLogCount& c_ln_c) {
    CountSum sum;
    for (int b = 0; b < n_codes_y; ++b) {
        std::uint32_t left = y_marginal[b];
        for (int a = 1; a < n_codes_x; ++a) {
            const std::uint32_t count = counts[a * n_codes_y + b];
            left -= count;
            sum.add(count, c_ln_c);
        }
        sum.add(left, c_ln_c);
    }
    return sum;
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

/// Rectangles of pairs whose counts fit the cache, and so many that every thread is busy.
std::vector<PairTile> pair_tiles(const BinCodes& x, const BinCodes& y, int n_threads) {
    std::ptrdiff_t y_step = kTileUnits;
    while (y_step > 2 && y_step * y_step * x.n_codes * y.n_codes > kTileCounts) y_step /= 2;
    const std::ptrdiff_t n_y_steps = (y.n_units + y_step - 1) / y_step;
    const std::ptrdiff_t wanted = n_threads > 1 ? 4 * static_cast<std::ptrdiff_t>(n_threads) : 1;
    std::ptrdiff_t x_step = y_step;
    while (x_step > 1 && (x.n_units + x_step - 1) / x_step * n_y_steps < wanted) x_step /= 2;
    std::vector<PairTile> tiles;
    for (std::ptrdiff_t j = 0; j < y.n_units; j += y_step) {
        for (std::ptrdiff_t i = 0; i < x.n_units; i += x_step) {
            tiles.push_back(
                {i, std::min(i + x_step, x.n_units), j, std::min(j + y_step, y.n_units)});
        }
    }
    return tiles;
}

}  // namespace

void mutual_information(const BinCodes& x, const BinCodes& y, bool miller_madow, int n_threads,
                        const StopToken& stop, double* nats) {
    check(x, y);
    const CountLogCount c_ln_c(x.n_examples);
    const std::vector<std::uint32_t> x_marginals = marginal_counts(x, n_threads, stop);
    const std::vector<std::uint32_t> y_marginals = marginal_counts(y, n_threads, stop);
    const std::vector<CountSum> x_sums = marginal_sums(x_marginals, x.n_codes, c_ln_c);
    const std::vector<CountSum> y_sums = marginal_sums(y_marginals, y.n_codes, c_ln_c);
    const std::vector<PairTile> tiles = pair_tiles(x, y, n_threads);

    parallel_for(
        static_cast<std::ptrdiff_t>(tiles.size()), n_threads, stop, [&](std::ptrdiff_t task) {
            const PairTile& tile = tiles[static_cast<std::size_t>(task)];
            const std::vector<std::uint32_t> counts = joint_counts(x, y, tile, stop);
            const std::uint32_t* of_pair = counts.data();
            for (std::ptrdiff_t i = tile.x_begin; i < tile.x_end; ++i) {
                for (std::ptrdiff_t j = tile.y_begin; j < tile.y_end;
                     ++j, of_pair += x.n_codes * y.n_codes) {
                    const CountSum joint = joint_sum(
                        of_pair, x.n_codes, y_marginals.data() + j * y.n_codes, y.n_codes, c_ln_c);
                    nats[i * y.n_units + j] = information(
                        x_sums[static_cast<std::size_t>(i)], y_sums[static_cast<std::size_t>(j)],
                        joint, x.n_examples, c_ln_c, miller_madow);
                }
            }
        });
}

}  // namespace convergent
