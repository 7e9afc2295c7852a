#include "positional_counts.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "carry_save.hpp"

namespace convergent {
namespace {

constexpr std::ptrdiff_t kTileUnits = 64;
constexpr std::ptrdiff_t kTileGroups = 16;
/// Samples whose lists are kept at a time.
constexpr std::ptrdiff_t kListed = 16 * SampleLists::kBlock;
constexpr std::ptrdiff_t kStride = SampleLists::kBlock + 1;

std::ptrdiff_t n_pieces(std::ptrdiff_t n, std::ptrdiff_t step) { return (n + step - 1) / step; }

}  // namespace

/// Counts one tile; holds what is needed for that.
class PositionalTile {
 public:
    PositionalTile(const PositionalCounts& all, const PairTile& tile)
        : all_(all),
          tile_(tile),
          group_begin_(all.layout_.group_from(tile.y_begin)),
          group_end_(all.layout_.group_from(tile.y_end)),
          keeps_groups_(all.x_.codes.n_examples > kListed),
          lists_(static_cast<std::size_t>(tile_.n_x())),
          rows_(static_cast<std::size_t>(kGroupVectors * kStride)),
          sums_(static_cast<std::size_t>(tile_.n_x() * tile_.n_y())) {
        for (std::ptrdiff_t i = 0; i < tile_.n_x(); ++i) {
            const ListedCodes& listed = listed_of(i);
            int n_planes = carry_save::kLeastPlanes;
            while (listed.largest >> n_planes != 0) ++n_planes;
            n_planes_.push_back(n_planes);
            first_plane_.push_back(n_vector_planes_);
            n_vector_planes_ += n_planes * listed.n_lists();
            most_lists_ = std::max<std::ptrdiff_t>(most_lists_, listed.n_lists());
        }
        const std::ptrdiff_t n_kept = keeps_groups_ ? group_end_ - group_begin_ : 1;
        planes_.resize(static_cast<std::size_t>(n_kept * kGroupVectors * n_vector_planes_));
        counts_.resize(static_cast<std::size_t>(most_lists_ * kGroupBits));
    }

    std::vector<CountSum> run(const StopToken& stop) {
        const std::ptrdiff_t n = all_.x_.codes.n_examples;
        for (std::ptrdiff_t begin = 0; begin < n; begin += kListed) {
            const std::ptrdiff_t end = std::min(n, begin + kListed);
            for (std::ptrdiff_t i = 0; i < tile_.n_x(); ++i) {
                stop.check();
                lists_[static_cast<std::size_t>(i)].make(all_.x_.of_unit(tile_.x_begin + i) + begin,
                                                         end - begin, listed_of(i));
            }
            for (std::ptrdiff_t group = group_begin_; group < group_end_; ++group) {
                BitVector* planes = planes_of_group(group);
                if (!keeps_groups_) std::fill(planes_.begin(), planes_.end(), BitVector{});
                count(group, begin, end, planes, stop);
                if (end == n) finish(group, planes);
            }
        }
        return std::move(sums_);
    }

 private:
    const ListedCodes& listed_of(std::ptrdiff_t i) const {
        return all_.listed_[static_cast<std::size_t>(tile_.x_begin + i)];
    }

    BitVector* planes_of_group(std::ptrdiff_t group) {
        const std::ptrdiff_t kept = keeps_groups_ ? group - group_begin_ : 0;
        return planes_.data() + kept * kGroupVectors * n_vector_planes_;
    }

    void count(std::ptrdiff_t group, std::ptrdiff_t begin, std::ptrdiff_t end, BitVector* planes,
               const StopToken& stop) {
        const RowPacker packer(all_.y_.codes, all_.layout_, group);
        for (std::ptrdiff_t block = 0; begin < end; ++block, begin += SampleLists::kBlock) {
            stop.check();
            packer.pack(begin, std::min(SampleLists::kBlock, end - begin), rows_.data(), kStride);
            for (std::ptrdiff_t v = 0; v < kGroupVectors; ++v) {
                for (std::ptrdiff_t i = 0; i < tile_.n_x(); ++i) {
                    add_unit(i, block, rows_.data() + v * kStride, planes + v * n_vector_planes_);
                }
            }
        }
    }

    /// Adds a block's rows to the counters of each list of a unit of x.
    void add_unit(std::ptrdiff_t i, std::ptrdiff_t block, const BitVector* rows,
                  BitVector* planes) const {
        const SampleLists& lists = lists_[static_cast<std::size_t>(i)];
        const std::uint16_t* n_steps = lists.n_steps(block);
        const std::uint16_t* offsets = lists.offsets(block);
        const int n_planes = n_planes_[static_cast<std::size_t>(i)];
        planes += first_plane_[static_cast<std::size_t>(i)];
        for (int list = 0; list < listed_of(i).n_lists(); ++list) {
            carry_save::add_rows(rows, offsets, n_steps[list], planes, n_planes);
            offsets += n_steps[list] * carry_save::kStep;
            planes += n_planes;
        }
    }

    void finish(std::ptrdiff_t group, const BitVector* planes) {
        for (std::ptrdiff_t i = 0; i < tile_.n_x(); ++i) {
            const int n_planes = n_planes_[static_cast<std::size_t>(i)];
            for (std::ptrdiff_t v = 0; v < kGroupVectors; ++v) {
                const BitVector* of_vector =
                    planes + v * n_vector_planes_ + first_plane_[static_cast<std::size_t>(i)];
                for (int list = 0; list < listed_of(i).n_lists(); ++list) {
                    carry_save::read_counts(of_vector + list * n_planes, n_planes,
                                            counts_.data() + list * kGroupBits + v * kVectorBits);
                }
            }
            for (std::ptrdiff_t j = all_.layout_.first_unit(group);
                 j < all_.layout_.end_unit(group); ++j) {
                sums_[static_cast<std::size_t>(i * tile_.n_y() + j - tile_.y_begin)] =
                    sum_pair(i, j);
            }
        }
    }

    /// The sum over all cells of a pair; those of the code of x that has no list and of y's lowest
    /// code are what the others leave of the marginal counts.
    CountSum sum_pair(std::ptrdiff_t i, std::ptrdiff_t j) const {
        const ListedCodes& listed = listed_of(i);
        const UnitBits& bits = all_.layout_.unit(j);
        const std::uint32_t* of_x = all_.x_.marginal(tile_.x_begin + i);
        const std::uint32_t* of_y = all_.y_.marginal(j) + bits.lowest_code;
        std::array<std::uint32_t, 256> left_of_y;
        std::copy_n(of_y, bits.n_bits + 1, left_of_y.begin());
        CountSum sum;
        for (int list = 0; list < listed.n_lists(); ++list) {
            const std::uint32_t* counts = counts_.data() + list * kGroupBits + bits.first_bit;
            std::uint32_t left = of_x[listed.codes[static_cast<std::size_t>(list)]];
            for (int b = 0; b < bits.n_bits; ++b) {
                left -= counts[b];
                left_of_y[static_cast<std::size_t>(b + 1)] -= counts[b];
                sum.add(counts[b], all_.c_ln_c_);
            }
            left_of_y[0] -= left;
            sum.add(left, all_.c_ln_c_);
        }
        for (int b = 0; b <= bits.n_bits; ++b)
            sum.add(left_of_y[static_cast<std::size_t>(b)], all_.c_ln_c_);
        return sum;
    }

    const PositionalCounts& all_;
    const PairTile& tile_;
    std::ptrdiff_t group_begin_, group_end_;
    bool keeps_groups_;
    std::vector<int> n_planes_;
    std::vector<std::ptrdiff_t> first_plane_;
    std::ptrdiff_t n_vector_planes_ = 0;
    std::ptrdiff_t most_lists_ = 0;
    std::vector<SampleLists> lists_;
    std::vector<BitVector> rows_;
    std::vector<BitVector> planes_;
    std::vector<std::uint32_t> counts_;
    std::vector<CountSum> sums_;
};

PositionalCounts::PositionalCounts(const CountedCodes& x, const CountedCodes& y,
                                   const CountLogCount& c_ln_c)
    : x_(x), y_(y), c_ln_c_(c_ln_c), layout_(y) {
    for (std::ptrdiff_t i = 0; i < x.codes.n_units; ++i)
        listed_.emplace_back(x.marginal(i), x.codes.n_codes);
}

bool PositionalCounts::possible(const CountedCodes& y) {
    for (std::ptrdiff_t j = 0; j < y.codes.n_units; ++j) {
        if (UnitBits(y.marginal(j), y.codes.n_codes).n_bits > kMostBits) return false;
    }
    return true;
}

std::vector<PairTile> PositionalCounts::tiles(int n_threads) const {
    const std::ptrdiff_t threads = std::max(n_threads, 1);
    const std::ptrdiff_t wanted = threads > 1 ? 2 * threads : 1;
    const std::ptrdiff_t n_units = x_.codes.n_units, n_groups = layout_.n_groups();
    // The units of y are prepared for each piece of x, so there are no more of these than needed:
    // as many for every thread.
    const std::ptrdiff_t even = threads * n_pieces(n_pieces(n_units, kTileUnits), threads);
    const std::ptrdiff_t x_pieces =
        std::min(n_pieces(n_units, kTileUnits / 4), std::max(even, wanted));
    std::ptrdiff_t x_step =
        std::max<std::ptrdiff_t>(n_pieces(n_units, std::max<std::ptrdiff_t>(x_pieces, 1)), 1);
    std::ptrdiff_t group_step = std::min(kTileGroups, n_groups);
    while (n_pieces(n_units, x_step) * n_pieces(n_groups, group_step) < wanted) {
        if (group_step > 1) {
            group_step = n_pieces(group_step, 2);
        } else if (x_step > 1) {
            x_step = n_pieces(x_step, 2);
        } else {
            break;
        }
    }
    std::vector<PairTile> tiles;
    for (std::ptrdiff_t i = 0; i < n_units; i += x_step) {
        for (std::ptrdiff_t g = 0; g < n_groups; g += group_step) {
            tiles.push_back({i, std::min(i + x_step, n_units), layout_.first_unit(g),
                             layout_.first_unit(std::min(g + group_step, n_groups))});
        }
    }
    return tiles;
}

double PositionalCounts::cost() const {
    const auto n = static_cast<double>(x_.codes.n_examples);
    const auto n_units = static_cast<double>(x_.codes.n_units);
    const auto n_groups = static_cast<double>(layout_.n_groups());
    const double n_blocks = std::ceil(n / SampleLists::kBlock);
    double n_listed = 0, n_lists = 0;
    for (const ListedCodes& listed : listed_) {
        n_listed += static_cast<double>(listed.n_samples);
        n_lists += listed.n_lists();
    }
    // Half a step of padding, and the carry out of the lists' low planes.
    const double n_rows = n_listed + n_lists * n_blocks * carry_save::kStep;
    const double tiles = std::ceil(n_units / kTileUnits);
    const double buffers = 6e4;  // new memory
    return buffers + n * n_units + 0.3 * n * static_cast<double>(y_.codes.n_units) * tiles +
           (0.5 * static_cast<double>(kGroupVectors) * n_rows + kGroupBits * n_lists) * n_groups;
}

std::vector<CountSum> PositionalCounts::sums(const PairTile& tile, const StopToken& stop) const {
    return PositionalTile(*this, tile).run(stop);
}

}  // namespace convergent
