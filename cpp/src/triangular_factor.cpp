#include "convergent/triangular_factor.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "parallel.hpp"

// Columns lie in tiles of 32, row after row, so that a tile of 64 rows stays in the first cache
// while all earlier reflections pass over it, four at a time: a load then serves four
// multiply-adds.

namespace convergent {

namespace {

constexpr std::ptrdiff_t kLanes = 32;
constexpr std::ptrdiff_t kPanel = 4;
constexpr std::ptrdiff_t kBlockRows = 64;
constexpr std::ptrdiff_t kMostLeaves = 8;

using Panel = Eigen::Matrix<double, Eigen::Dynamic, kPanel, Eigen::RowMajor>;
using Corner = Eigen::Matrix<double, kPanel, kPanel>;
using Packet = Eigen::internal::packet_traits<double>::type;
constexpr std::ptrdiff_t kPacket = Eigen::internal::packet_traits<double>::size;
constexpr std::ptrdiff_t kPackets = 2;

/// Four reflections I - V T V^T; the first rows of V are the identity, on four rows of the
/// triangle.
struct Reflections {
    const double* below;   // the other rows of V, on the rows of the block: (n_rows, 4), row-major
    const double* mixing;  // T^T, lower triangular, (4, 4), row-major
};

/// sums = T^T V^T [head; block] for a strip of two packets.
inline void project(const Reflections& panel, std::ptrdiff_t n_rows, const double* head,
                    const double* block, Packet (&sums)[kPanel][kPackets]) {
    using namespace Eigen::internal;
    for (std::ptrdiff_t k = 0; k < kPanel; ++k) {
        for (std::ptrdiff_t p = 0; p < kPackets; ++p) {
            sums[k][p] = ploadu<Packet>(head + k * kLanes + p * kPacket);
        }
    }
    for (std::ptrdiff_t i = 0; i < n_rows; ++i) {
        Packet values[kPackets];
        for (std::ptrdiff_t p = 0; p < kPackets; ++p) {
            values[p] = ploadu<Packet>(block + i * kLanes + p * kPacket);
        }
        for (std::ptrdiff_t k = 0; k < kPanel; ++k) {
            const Packet v = pset1<Packet>(panel.below[i * kPanel + k]);
            for (std::ptrdiff_t p = 0; p < kPackets; ++p)
                sums[k][p] = pmadd(v, values[p], sums[k][p]);
        }
    }
    for (std::ptrdiff_t k = kPanel - 1; k >= 0; --k) {
        for (std::ptrdiff_t p = 0; p < kPackets; ++p) {
            Packet mixed = pmul(pset1<Packet>(panel.mixing[k * kPanel + k]), sums[k][p]);
            for (std::ptrdiff_t l = 0; l < k; ++l) {
                mixed = pmadd(pset1<Packet>(panel.mixing[k * kPanel + l]), sums[l][p], mixed);
            }
            sums[k][p] = mixed;
        }
    }
}

/// [head; block] -= V sums for a strip of two packets.
inline void subtract(const Reflections& panel, std::ptrdiff_t n_rows,
                     Packet (&sums)[kPanel][kPackets], double* head, double* block) {
    using namespace Eigen::internal;
    for (std::ptrdiff_t k = 0; k < kPanel; ++k) {
        for (std::ptrdiff_t p = 0; p < kPackets; ++p) {
            double* at = head + k * kLanes + p * kPacket;
            pstoreu(at, psub(ploadu<Packet>(at), sums[k][p]));
            sums[k][p] = pnegate(sums[k][p]);
        }
    }
    for (std::ptrdiff_t i = 0; i < n_rows; ++i) {
        Packet values[kPackets];
        for (std::ptrdiff_t p = 0; p < kPackets; ++p) {
            values[p] = ploadu<Packet>(block + i * kLanes + p * kPacket);
        }
        for (std::ptrdiff_t k = 0; k < kPanel; ++k) {
            const Packet v = pset1<Packet>(panel.below[i * kPanel + k]);
            for (std::ptrdiff_t p = 0; p < kPackets; ++p)
                values[p] = pmadd(v, sums[k][p], values[p]);
        }
        for (std::ptrdiff_t p = 0; p < kPackets; ++p) {
            pstoreu(block + i * kLanes + p * kPacket, values[p]);
        }
    }
}

/// Applies four reflections to a tile: `head` are their four rows of the triangle, `block` the new
/// rows.
void apply(const Reflections& panel, std::ptrdiff_t n_rows, double* head, double* block) {
    static_assert(kLanes % (kPackets * kPacket) == 0, "a tile is made of whole strips");
    for (std::ptrdiff_t lane = 0; lane < kLanes; lane += kPackets * kPacket) {
        Packet sums[kPanel][kPackets];
        project(panel, n_rows, head + lane, block + lane, sums);
        subtract(panel, n_rows, sums, head + lane, block + lane);
    }
}

/// Dot products of column k of (n_rows, 4) with its four columns, the rows in four groups.
void column_products(const Panel& columns, std::ptrdiff_t k, double (&products)[kPanel]) {
    double sums[4][kPanel] = {};
    const double* values = columns.data();
    const std::ptrdiff_t n_rows = columns.rows();
    for (std::ptrdiff_t i = 0; i + 4 <= n_rows; i += 4) {
        for (std::ptrdiff_t group = 0; group < 4; ++group) {
            const double* row = values + (i + group) * kPanel;
            for (std::ptrdiff_t j = 0; j < kPanel; ++j) sums[group][j] += row[k] * row[j];
        }
    }
    for (std::ptrdiff_t i = n_rows - n_rows % 4; i < n_rows; ++i) {
        const double* row = values + i * kPanel;
        for (std::ptrdiff_t j = 0; j < kPanel; ++j) sums[0][j] += row[k] * row[j];
    }
    for (std::ptrdiff_t j = 0; j < kPanel; ++j) {
        products[j] = (sums[0][j] + sums[1][j]) + (sums[2][j] + sums[3][j]);
    }
}

/// Norm of a column whose sum of squares overflows or underflows.
double scaled_norm(const Panel& columns, std::ptrdiff_t k) {
    double largest = 0.0;
    for (std::ptrdiff_t i = 0; i < columns.rows(); ++i)
        largest = std::max(largest, std::abs(columns(i, k)));
    if (largest == 0.0) return 0.0;
    double sum = 0.0;
    for (std::ptrdiff_t i = 0; i < columns.rows(); ++i) {
        const double value = columns(i, k) / largest;
        sum += value * value;
    }
    return largest * std::sqrt(sum);
}

double column_norm(const Panel& columns, std::ptrdiff_t k) {
    double products[kPanel];
    column_products(columns, k, products);
    const bool safe = products[k] > 1e-280 && products[k] < 1e280;
    return safe ? std::sqrt(products[k]) : scaled_norm(columns, k);
}

/// Reduces four columns [corner; below]: `corner` becomes upper triangular, `below` the vectors V,
/// `mixing` T.
void factor_panel(Corner& corner, Panel& below, Corner& mixing) {
    mixing.setZero();
    for (std::ptrdiff_t k = 0; k < kPanel; ++k) {
        const double tail = column_norm(below, k);
        const double head = corner(k, k);
        if (tail == 0.0) continue;
        const double image = head > 0.0 ? -std::hypot(head, tail) : std::hypot(head, tail);
        const double tau = (image - head) / image;
        for (std::ptrdiff_t i = 0; i < below.rows(); ++i) below(i, k) /= head - image;
        double products[kPanel];
        column_products(below, k, products);
        double weights[kPanel] = {};
        for (std::ptrdiff_t j = k + 1; j < kPanel; ++j) {
            weights[j] = tau * (corner(k, j) + products[j]);
            corner(k, j) -= weights[j];
        }
        for (std::ptrdiff_t i = 0; i < below.rows(); ++i) {
            for (std::ptrdiff_t j = 0; j < kPanel; ++j) below(i, j) -= weights[j] * below(i, k);
        }
        corner(k, k) = image;
        for (std::ptrdiff_t row = 0; row < k; ++row) {
            double sum = 0.0;
            for (std::ptrdiff_t l = row; l < k; ++l) sum += mixing(row, l) * products[l];
            mixing(row, k) = -tau * sum;
        }
        mixing(k, k) = tau;
    }
}

/// The triangle, a block of rows and its reflections, all padded with columns of zeros to whole
/// tiles.
class Folding {
 public:
    explicit Folding(const Eigen::Ref<const RowMatrix>& triangle)
        : n_columns_(triangle.cols()),
          n_tiles_((n_columns_ + kLanes - 1) / kLanes),
          triangle_(Eigen::VectorXd::Zero(n_tiles_ * n_tiles_ * kLanes * kLanes)),
          block_(kBlockRows * kLanes),
          vectors_(n_tiles_ * kLanes * kBlockRows),
          mixings_(n_tiles_ * kLanes * kPanel) {
        for (std::ptrdiff_t row = 0; row < n_columns_; ++row) {
            for (std::ptrdiff_t column = row; column < n_columns_; ++column) {
                at(row, column) = triangle(row, column);
            }
        }
    }

    /// Folds at most kBlockRows rows in, whose columns are taken in `order` (as they are when it is
    /// empty); those before `first_column` are zero.
    void fold(const Eigen::Ref<const RowMatrix>& rows, const ColumnOrder& order,
              std::ptrdiff_t first_column) {
        n_rows_ = rows.rows();
        const std::ptrdiff_t first_tile = first_column / kLanes;
        for (std::ptrdiff_t tile = first_tile; tile < n_tiles_; ++tile) {
            load(rows, order, tile);
            for (std::ptrdiff_t row = first_tile * kLanes; row < tile * kLanes; row += kPanel) {
                apply(panel(row), n_rows_, head(row, tile), block_.data());
            }
            for (std::ptrdiff_t row = tile * kLanes; row < (tile + 1) * kLanes; row += kPanel) {
                reduce_panel(row, tile);
            }
        }
    }

    void store(Eigen::Ref<RowMatrix> triangle) {
        for (std::ptrdiff_t row = 0; row < n_columns_; ++row) {
            for (std::ptrdiff_t column = row; column < n_columns_; ++column) {
                triangle(row, column) = at(row, column);
            }
        }
    }

 private:
    double* head(std::ptrdiff_t row, std::ptrdiff_t tile) {
        return triangle_.data() + (tile * n_tiles_ * kLanes + row) * kLanes;
    }
    double& at(std::ptrdiff_t row, std::ptrdiff_t column) {
        return head(row, column / kLanes)[column % kLanes];
    }
    Reflections panel(std::ptrdiff_t row) const {
        return {vectors_.data() + row * kBlockRows, mixings_.data() + row * kPanel};
    }

    void load(const Eigen::Ref<const RowMatrix>& rows, const ColumnOrder& order,
              std::ptrdiff_t tile) {
        const std::ptrdiff_t begin = tile * kLanes;
        const std::ptrdiff_t n_lanes = std::min(kLanes, n_columns_ - begin);
        for (std::ptrdiff_t i = 0; i < n_rows_; ++i) {
            double* lanes = block_.data() + i * kLanes;
            if (order.empty()) {
                for (std::ptrdiff_t c = 0; c < n_lanes; ++c) lanes[c] = rows(i, begin + c);
            } else {
                const std::ptrdiff_t* columns = order.data() + begin;
                for (std::ptrdiff_t c = 0; c < n_lanes; ++c) lanes[c] = rows(i, columns[c]);
            }
            std::fill(lanes + n_lanes, lanes + kLanes, 0.0);
        }
    }

    /// Makes the reflections of the four columns at the diagonal, and applies them to their tile.
    void reduce_panel(std::ptrdiff_t row, std::ptrdiff_t tile) {
        const std::ptrdiff_t lane = row % kLanes;
        Eigen::Map<Eigen::Matrix<double, Eigen::Dynamic, kLanes, Eigen::RowMajor>> block(
            block_.data(), n_rows_, kLanes);
        Eigen::Map<Eigen::Matrix<double, kPanel, kLanes, Eigen::RowMajor>> heads(head(row, tile));
        Panel below = block.middleCols<kPanel>(lane);
        Corner corner = heads.middleCols<kPanel>(lane);
        Corner mixing;
        factor_panel(corner, below, mixing);
        Eigen::Map<Panel>(vectors_.data() + row * kBlockRows, n_rows_, kPanel) = below;
        Eigen::Map<Corner>(mixings_.data() + row * kPanel) = mixing;  // read row-major: transposed
        block.middleCols<kPanel>(lane).setZero();
        heads.middleCols<kPanel>(lane).setZero();
        apply(panel(row), n_rows_, head(row, tile), block_.data());
        heads.middleCols<kPanel>(lane) = corner;
    }

    std::ptrdiff_t n_columns_, n_tiles_;
    std::ptrdiff_t n_rows_ = 0;
    Eigen::VectorXd triangle_, block_, vectors_, mixings_;
};

/// Folds examples [begin, end) of the networks side by side into a triangle.
void fold_part(const std::vector<NetworkView>& networks, const ColumnOrder& order,
               std::ptrdiff_t begin, std::ptrdiff_t end, const StopToken& stop,
               Eigen::Ref<RowMatrix> triangle) {
    Folding folding(triangle);
    RowMatrix rows(std::min(kBlockRows, end - begin), triangle.cols());
    for (; begin < end; begin += kBlockRows) {
        stop.check();
        const std::ptrdiff_t n_rows = std::min(kBlockRows, end - begin);
        std::ptrdiff_t column = 0;
        for (const NetworkView& network : networks) {
            read_rectangle(network, {begin, n_rows, 0, network.n_units}, rows.data() + column,
                           rows.cols());
            column += network.n_units;
        }
        folding.fold(rows.topRows(n_rows), order, 0);
    }
    folding.store(triangle);
}

void check_shapes(const std::vector<NetworkView>& networks, const ColumnOrder& order,
                  const Eigen::Ref<const RowMatrix>& triangle) {
    std::ptrdiff_t n_columns = 0;
    for (const NetworkView& network : networks) {
        if (network.n_examples != networks.front().n_examples) {
            throw std::invalid_argument("the networks must have the same examples");
        }
        n_columns += network.n_units;
    }
    if (triangle.rows() != triangle.cols() || n_columns != triangle.cols()) {
        throw std::invalid_argument("the triangle must be square and as wide as the examples");
    }
    if (order.empty()) return;
    std::vector<char> seen(static_cast<std::size_t>(n_columns), 0);
    for (const std::ptrdiff_t column : order) {
        if (column < 0 || column >= n_columns) break;
        seen[static_cast<std::size_t>(column)] = 1;
    }
    if (order.size() != seen.size() || std::find(seen.begin(), seen.end(), 0) != seen.end()) {
        throw std::invalid_argument("the order must be a permutation of the columns");
    }
}

/// How many parts the rows are folded in side by side: a matter of their number only, so that the
/// bits do not depend on the threads, and few enough for merging to cost little.
std::ptrdiff_t count_leaves(std::ptrdiff_t n_rows, std::ptrdiff_t n_columns) {
    return std::clamp<std::ptrdiff_t>(n_rows / (2 * std::max<std::ptrdiff_t>(n_columns, 1)), 1,
                                      kMostLeaves);
}

}  // namespace

void fold_examples(const std::vector<NetworkView>& networks, const ColumnOrder& order,
                   int n_threads, const StopToken& stop, Eigen::Ref<RowMatrix> triangle) {
    check_shapes(networks, order, triangle);
    if (networks.empty()) return;
    const std::ptrdiff_t n_columns = triangle.cols(), n_rows = networks.front().n_examples;
    const std::ptrdiff_t n_leaves = count_leaves(n_rows, n_columns);
    std::vector<RowMatrix> leaves(static_cast<std::size_t>(n_leaves) - 1,
                                  RowMatrix::Zero(n_columns, n_columns));
    const auto leaf = [&](std::ptrdiff_t index) -> Eigen::Ref<RowMatrix> {
        if (index == 0) return triangle;
        return leaves[static_cast<std::size_t>(index) - 1];
    };
    parallel_for(n_leaves, n_threads, stop, [&](std::ptrdiff_t index) {
        fold_part(networks, order, index * n_rows / n_leaves, (index + 1) * n_rows / n_leaves, stop,
                  leaf(index));
    });
    for (std::ptrdiff_t apart = 1; apart < n_leaves; apart *= 2) {
        parallel_for((n_leaves - apart + 2 * apart - 1) / (2 * apart), n_threads, stop,
                     [&](std::ptrdiff_t pair) {
                         const std::ptrdiff_t index = pair * 2 * apart;
                         fold_triangle(leaf(index + apart), stop, leaf(index));
                     });
    }
}

void fold_triangle(const Eigen::Ref<const RowMatrix>& other, const StopToken& stop,
                   Eigen::Ref<RowMatrix> triangle) {
    const std::ptrdiff_t n_columns = triangle.cols();
    if (triangle.rows() != n_columns || other.cols() != n_columns || other.rows() != n_columns) {
        throw std::invalid_argument("both triangles must be square and of the same size");
    }
    Folding folding(triangle);
    for (std::ptrdiff_t begin = 0; begin < n_columns; begin += kBlockRows) {
        stop.check();
        const std::ptrdiff_t n_rows = std::min(kBlockRows, n_columns - begin);
        folding.fold(other.middleRows(begin, n_rows), {}, begin);
    }
    folding.store(triangle);
}

}  // namespace convergent
