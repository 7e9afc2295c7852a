#include "joint_counts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "parallel.hpp"

// An increment in memory costs about a cycle whatever it counts, so two units of y are counted by
// one: a sample adds to the cell (a, b, b') of a table that is summed over b' and over b once a
// block. A block is short enough for the columns of a tile to stay in the cache, for 16-bit
// positions and for 16-bit counters. Samples in the bin 0 of x are skipped where they are many.

namespace convergent {
namespace {

constexpr std::ptrdiff_t kBlock = 1 << 15;
constexpr std::ptrdiff_t kChunk = 1 << 11;
constexpr std::ptrdiff_t kTableCells = 1 << 15;
constexpr std::ptrdiff_t kTileUnits = 16;
constexpr std::ptrdiff_t kTileCounts = 1 << 18;

/// Calls count(i) for i in [0, n), walking four quarters side by side: neighbouring examples often
/// fall into the same cell, and an increment that waits for the one before it is slow.
template <class Count>
void walk_quarters(std::ptrdiff_t n, Count&& count) {
    const std::ptrdiff_t quarter = n / 4;
    for (std::ptrdiff_t i = 0; i < quarter; ++i) {
        count(i);
        count(i + quarter);
        count(i + 2 * quarter);
        count(i + 3 * quarter);
    }
    for (std::ptrdiff_t i = 4 * quarter; i < n; ++i) count(i);
}

/// The samples of one unit of x in a block, made ready to be counted against many columns of y.
class UnitSamples {
 public:
    explicit UnitSamples(std::ptrdiff_t block)
        : listed_(static_cast<std::size_t>(block)), rows_(static_cast<std::size_t>(block)) {}

    /// row_cells: cells of a table's row; a sample with code a is counted in row a.
    void prepare(const std::uint8_t* codes, std::ptrdiff_t n, int row_cells) {
        const std::ptrdiff_t n_active = n - std::count(codes, codes + n, std::uint8_t{0});
        n_ = n;
        dense_ = 3 * n_active > 2 * n;
        if (dense_) {
            for (std::ptrdiff_t i = 0; i < n; ++i) {
                rows_[static_cast<std::size_t>(i)] =
                    static_cast<std::uint16_t>(codes[i] * row_cells);
            }
        } else {
            list(codes, row_cells);
        }
    }

    /// Counts every sample, or at least those outside the bin 0 of x: cell (row of the sample) +
    /// cells[its position].
    void count(const std::uint16_t* cells, std::uint16_t* table) const {
        if (!dense_) {
            walk_quarters(n_listed_, [&](std::ptrdiff_t i) {
                const std::uint32_t sample = listed_[static_cast<std::size_t>(i)];
                ++table[(sample >> 16) + cells[sample & 0xffff]];
            });
            return;
        }
        std::array<std::uint16_t, kChunk> of_chunk;
        for (std::ptrdiff_t begin = 0; begin < n_; begin += kChunk) {
            const std::ptrdiff_t n = std::min(kChunk, n_ - begin);
            const std::uint16_t* rows = rows_.data() + begin;
            for (std::ptrdiff_t i = 0; i < n; ++i) {
                of_chunk[static_cast<std::size_t>(i)] =
                    static_cast<std::uint16_t>(rows[i] + cells[begin + i]);
            }
            walk_quarters(
                n, [&](std::ptrdiff_t i) { ++table[of_chunk[static_cast<std::size_t>(i)]]; });
        }
    }

 private:
    /// Lists the samples outside the bin 0: the first cell of the row above, the position in the
    /// block below.
    void list(const std::uint8_t* codes, int row_cells) {
        std::array<std::uint32_t, 256> rows;
        for (std::uint32_t code = 0; code < 256; ++code)
            rows[code] = (code * static_cast<std::uint32_t>(row_cells)) << 16;
        n_listed_ = 0;
        for (std::ptrdiff_t i = 0; i < n_; ++i) {
            listed_[static_cast<std::size_t>(n_listed_)] =
                rows[codes[i]] | static_cast<std::uint32_t>(i);
            n_listed_ += codes[i] != 0;
        }
    }

    std::ptrdiff_t n_ = 0;
    std::ptrdiff_t n_listed_ = 0;
    bool dense_ = false;
    std::vector<std::uint32_t> listed_;
    std::vector<std::uint16_t> rows_;
};

/// Adds a table of (n_rows, Width) counters, row r's sum to sums[r] and its elements to columns[0
/// .. n_columns), and clears it.
template <int Width>
void flush_rows(std::uint16_t* table, int n_rows, int n_columns, std::uint32_t* sums,
                std::uint32_t* columns) {
    std::array<std::uint32_t, Width> column_sums{};
    for (int row = 0; row < n_rows; ++row, table += Width) {
        std::uint32_t sum = 0;
        for (int b = 0; b < Width; ++b) {
            const std::uint32_t count = table[b];
            sum += count;
            column_sums[b] += count;
            table[b] = 0;
        }
        sums[row] += sum;
    }
    for (int b = 0; b < n_columns; ++b) columns[b] += column_sums[b];
}

using FlushRows = void (*)(std::uint16_t*, int, int, std::uint32_t*, std::uint32_t*);

/// The table of one unit of x: a row for each of its codes, in it the codes of one unit of y, or of
/// two.
struct TableShape {
    TableShape(int n_codes_x, int n_codes_y)
        : width((n_codes_y + 7) / 8 * 8),
          two_at_once(width <= 32 && n_codes_x * n_codes_y * width <= kTableCells),
          row_cells(two_at_once ? n_codes_y * width : n_codes_y) {}

    int width;
    bool two_at_once;
    int row_cells;
};

/// Counts one tile; holds what a block of examples needs.
class TileCounter {
 public:
    TileCounter(const BinCodes& x, const BinCodes& y, const PairTile& tile)
        : x_(x),
          y_(y),
          tile_(tile),
          block_(std::min(kBlock, x.n_examples)),
          shape_(x.n_codes, y.n_codes),
          n_columns_(shape_.two_at_once ? (tile.n_y() + 1) / 2 : tile.n_y()),
          samples_(block_),
          cells_(static_cast<std::size_t>(block_ * n_columns_)),
          table_(static_cast<std::size_t>(x.n_codes * shape_.row_cells)),
          counts_(static_cast<std::size_t>(tile.n_x() * tile.n_y() * x.n_codes * y.n_codes)) {}

    std::vector<std::uint32_t> run(const StopToken& stop) {
        for (std::ptrdiff_t begin = 0; begin < x_.n_examples; begin += block_) {
            const std::ptrdiff_t n = std::min(block_, x_.n_examples - begin);
            stop.check();
            prepare_columns(begin, n);
            for (std::ptrdiff_t i = 0; i < tile_.n_x(); ++i) {
                stop.check();
                samples_.prepare(x_.data + (tile_.x_begin + i) * x_.n_examples + begin, n,
                                 shape_.row_cells);
                for (std::ptrdiff_t column = 0; column < n_columns_; ++column) {
                    samples_.count(cells_.data() + column * block_, table_.data());
                    if (shape_.two_at_once) {
                        flush_two(i, 2 * column);
                    } else {
                        flush_one(i, column);
                    }
                }
            }
        }
        return std::move(counts_);
    }

 private:
    const std::uint8_t* y_codes(std::ptrdiff_t j, std::ptrdiff_t begin) const {
        return y_.data + (tile_.y_begin + j) * y_.n_examples + begin;
    }

    std::uint32_t* counts(std::ptrdiff_t i, std::ptrdiff_t j, int a) {
        return counts_.data() + ((i * tile_.n_y() + j) * x_.n_codes + a) * y_.n_codes;
    }

    /// The cell of each sample within a row of the table, for each column: one unit of y, or two.
    void prepare_columns(std::ptrdiff_t begin, std::ptrdiff_t n) {
        for (std::ptrdiff_t column = 0; column < n_columns_; ++column) {
            std::uint16_t* cells = cells_.data() + column * block_;
            const std::ptrdiff_t j = shape_.two_at_once ? 2 * column : column;
            const std::uint8_t* first = y_codes(j, begin);
            if (!shape_.two_at_once) {
                for (std::ptrdiff_t s = 0; s < n; ++s) cells[s] = first[s];
                continue;
            }
            const std::uint8_t* second = y_codes(std::min(j + 1, tile_.n_y() - 1), begin);
            const auto width = static_cast<std::uint16_t>(shape_.width);
            for (std::ptrdiff_t s = 0; s < n; ++s) {
                cells[s] = static_cast<std::uint16_t>(first[s] * width + second[s]);
            }
        }
    }

    /// Adds the table to the counts of one pair, without the row of x's bin 0, and clears it.
    void flush_one(std::ptrdiff_t i, std::ptrdiff_t j) {
        std::uint32_t* counts_of_pair = counts(i, j, 0);
        for (std::size_t cell = static_cast<std::size_t>(shape_.row_cells); cell < table_.size();
             ++cell) {
            counts_of_pair[cell] += table_[cell];
        }
        std::fill(table_.begin(), table_.end(), std::uint16_t{0});
    }

    /// The same for two pairs; the second is missing where the tile has an odd number of units of
    /// y.
    void flush_two(std::ptrdiff_t i, std::ptrdiff_t j) {
        static constexpr FlushRows kFlush[] = {flush_rows<8>, flush_rows<16>, flush_rows<24>,
                                               flush_rows<32>};
        const FlushRows flush = kFlush[shape_.width / 8 - 1];
        unpaired_.assign(static_cast<std::size_t>(y_.n_codes), 0);
        std::fill(table_.begin(), table_.begin() + shape_.row_cells, std::uint16_t{0});
        for (int a = 1; a < x_.n_codes; ++a) {
            std::uint32_t* second = j + 1 < tile_.n_y() ? counts(i, j + 1, a) : unpaired_.data();
            flush(table_.data() + a * shape_.row_cells, y_.n_codes, y_.n_codes, counts(i, j, a),
                  second);
        }
    }

    const BinCodes& x_;
    const BinCodes& y_;
    const PairTile& tile_;
    std::ptrdiff_t block_;
    TableShape shape_;
    std::ptrdiff_t n_columns_;
    UnitSamples samples_;
    std::vector<std::uint16_t> cells_;
    std::vector<std::uint16_t> table_;
    std::vector<std::uint32_t> counts_;
    std::vector<std::uint32_t> unpaired_;
};

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

}  // namespace

std::vector<std::uint32_t> marginal_counts(const BinCodes& codes, int n_threads,
                                           const StopToken& stop) {
    std::vector<std::uint32_t> marginals(static_cast<std::size_t>(codes.n_units * codes.n_codes));
    parallel_for(codes.n_units, n_threads, stop, [&](std::ptrdiff_t unit) {
        std::array<std::array<std::uint32_t, 256>, 4> tables{};
        const std::uint8_t* of_unit = codes.data + unit * codes.n_examples;
        for (std::ptrdiff_t i = 0; i < codes.n_examples; ++i) ++tables[i & 3][of_unit[i]];
        for (int code = 0; code < 256; ++code) {
            const std::uint32_t count =
                tables[0][code] + tables[1][code] + tables[2][code] + tables[3][code];
            if (code < codes.n_codes) {
                marginals[static_cast<std::size_t>(unit * codes.n_codes + code)] = count;
            } else if (count > 0) {
                throw std::invalid_argument("bin codes must be smaller than the number of bins");
            }
        }
    });
    return marginals;
}

std::vector<PairTile> ScatterCounts::tiles(int n_threads) const {
    const BinCodes &x = x_.codes, &y = y_.codes;
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

double ScatterCounts::cost() const {
    const BinCodes &x = x_.codes, &y = y_.codes;
    const auto n = static_cast<double>(x.n_examples);
    const TableShape shape(x.n_codes, y.n_codes);
    double n_steps = 0;
    for (std::ptrdiff_t i = 0; i < x.n_units; ++i) {
        const double n_active = n - x_.marginal(i)[0];
        n_steps += 3 * n_active > 2 * n ? n : n_active;
    }
    const double prepared = static_cast<double>(x.n_units + y.n_units) * n;
    const double n_pairs = static_cast<double>(x.n_units) * static_cast<double>(y.n_units);
    const double cells = (shape.two_at_once ? 0.5 : 1.0) * x.n_codes * shape.row_cells;
    const double step = shape.two_at_once ? 0.22 : cells * 2 <= 1 << 16 ? 0.45 : 1.0;
    return 0.4 * prepared + step * n_steps * static_cast<double>(y.n_units) +
           n_pairs * (std::ceil(n / kBlock) * 0.2 * cells + 1.0 * x.n_codes * y.n_codes);
}

std::vector<CountSum> ScatterCounts::sums(const PairTile& tile, const StopToken& stop) const {
    const BinCodes &x = x_.codes, &y = y_.codes;
    const std::vector<std::uint32_t> counts = TileCounter(x, y, tile).run(stop);
    const std::uint32_t* of_pair = counts.data();
    std::vector<CountSum> sums;
    sums.reserve(static_cast<std::size_t>(tile.n_x() * tile.n_y()));
    for (std::ptrdiff_t i = tile.x_begin; i < tile.x_end; ++i) {
        for (std::ptrdiff_t j = tile.y_begin; j < tile.y_end;
             ++j, of_pair += x.n_codes * y.n_codes) {
            sums.push_back(joint_sum(of_pair, x.n_codes, y_.marginal(j), y.n_codes, c_ln_c_));
        }
    }
    return sums;
}

}  // namespace convergent
