#include "convergent/cross_products.hpp"

#include <algorithm>
#include <stdexcept>

#include "parallel.hpp"

// A block of examples is converted once for all threads; then each tile of the result is one task,
// which passes over the block in strips that stay in the second cache.

namespace convergent {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

constexpr Index kTile = 256;
constexpr Index kSmallTile = 128;  // where there would be too few for the threads
constexpr Index kFewUnits = 768;
constexpr Index kStrip = 128;        // examples in one matrix product, in double
constexpr Index kDiagonalStep = 64;  // columns at a time in a tile on the diagonal
constexpr Index kRowsToRead = 32;    // examples in one task of the conversion
constexpr Index kBlockBytes = 8 << 20;
constexpr Index kLeastBlockRows = 2 * kStrip;
constexpr Index kMostBlockRows = 8 * kStrip;

Index count_units(const std::vector<NetworkView>& networks) {
    Index n_units = 0;
    for (const NetworkView& network : networks) {
        if (network.n_examples != networks.front().n_examples) {
            throw std::invalid_argument("the networks must have the same examples");
        }
        n_units += network.n_units;
    }
    return n_units;
}

/// Examples a block, whole strips: about kBlockBytes, or a quarter of the products where these are
/// larger, since every block passes over all of them.
Index block_rows(Index n_units) {
    const Index rows = std::max(kBlockBytes / (8 * std::max<Index>(n_units, 1)), n_units / 4);
    return std::clamp(rows / kStrip * kStrip, kLeastBlockRows, kMostBlockRows);
}

/// Rows and columns of a tile of a result of that size; depends on nothing else, so that the sums
/// have the same bits for every n_threads.
Index tile_size(Index n_rows, Index n_columns) {
    return std::min(n_rows, n_columns) < kFewUnits ? kSmallTile : kTile;
}

/// Reads examples [first, first + n_examples), times `factor`, into the columns of `block`,
/// (n_units, n_examples).
template <class Scalar>
void read_block(const std::vector<NetworkView>& networks, Index first, double factor, int n_threads,
                const StopToken& stop, Eigen::Ref<Matrix<Scalar>> block) {
    const Index n_tasks = (block.cols() + kRowsToRead - 1) / kRowsToRead;
    parallel_for(n_tasks, n_threads, stop, [&](Index task) {
        const Index begin = task * kRowsToRead;
        const Index count = std::min(kRowsToRead, block.cols() - begin);
        Index offset = 0;
        for (const NetworkView& network : networks) {
            read_rectangle(network, {first + begin, count, 0, network.n_units}, factor,
                           block.data() + begin * block.outerStride() + offset,
                           block.outerStride());
            offset += network.n_units;
        }
    });
}

/// Units that lie side by side in a block.
struct Units {
    Index first;
    Index count;
};

/// Adds a strip's share to one tile; of one of units by themselves only what is above the diagonal.
template <class Scalar>
void add_strip(const Eigen::Ref<const Matrix<Scalar>>& strip, Units rows, Units columns,
               Eigen::Ref<Matrix<Scalar>> tile) {
    if (rows.first != columns.first) {
        tile.noalias() += strip.middleRows(rows.first, rows.count) *
                          strip.middleRows(columns.first, columns.count).transpose();
        return;
    }
    for (Index begin = 0; begin < columns.count; begin += kDiagonalStep) {
        const Index count = std::min(kDiagonalStep, columns.count - begin);
        tile.block(0, begin, begin + count, count).noalias() +=
            strip.middleRows(rows.first, begin + count) *
            strip.middleRows(columns.first + begin, count).transpose();
    }
}

/// Adds the products of some units of a block and others to `products`; where both are the same
/// units, to its upper triangle.
template <class Scalar>
void add_block(const Eigen::Ref<const Matrix<Scalar>>& block, Units rows, Units columns,
               int n_threads, const StopToken& stop, Eigen::Ref<Matrix<Scalar>> products) {
    const Index size = tile_size(rows.count, columns.count);
    const Index n_row_tiles = (rows.count + size - 1) / size;
    const Index n_column_tiles = (columns.count + size - 1) / size;
    const bool is_symmetric = rows.first == columns.first;
    parallel_for(n_row_tiles * n_column_tiles, n_threads, stop, [&](Index task) {
        const Index row = task % n_row_tiles * size, column = task / n_row_tiles * size;
        if (is_symmetric && row > column) return;
        const Units tile_rows{rows.first + row, std::min(size, rows.count - row)};
        const Units tile_columns{columns.first + column, std::min(size, columns.count - column)};
        auto tile = products.block(row, column, tile_rows.count, tile_columns.count);
        constexpr Index kLength = kStrip * sizeof(double) / sizeof(Scalar);
        for (Index first = 0; first < block.cols(); first += kLength) {
            const Index count = std::min(kLength, block.cols() - first);
            add_strip<Scalar>(block.middleCols(first, count), tile_rows, tile_columns, tile);
        }
    });
}

/// Reads the examples, times `factor`, block by block, the units of all networks side by side, and
/// calls work(block), (n_units, n_examples of the block).
template <class Scalar, class Work>
void for_each_block(const std::vector<NetworkView>& networks, Index n_units, double factor,
                    int n_threads, const StopToken& stop, const Work& work) {
    const Index n_examples = networks.front().n_examples;
    Matrix<Scalar> buffer(n_units, std::min(block_rows(n_units), n_examples));
    for (Index first = 0; first < n_examples; first += buffer.cols()) {
        auto block = buffer.leftCols(std::min(buffer.cols(), n_examples - first));
        read_block<Scalar>(networks, first, factor, n_threads, stop, block);
        work(block);
    }
}

template <class Scalar>
void add_all(const std::vector<NetworkView>& networks, double factor, int n_threads,
             const StopToken& stop, Eigen::Ref<Matrix<Scalar>> products) {
    const Index n_units = count_units(networks);
    if (products.rows() != n_units || products.cols() != n_units) {
        throw std::invalid_argument("the products must have one row and one column a unit");
    }
    if (networks.empty()) return;
    for_each_block<Scalar>(networks, n_units, factor, n_threads, stop, [&](const auto& block) {
        add_block<Scalar>(block, {0, n_units}, {0, n_units}, n_threads, stop, products);
    });
}

}  // namespace

void add_cross_products(const std::vector<NetworkView>& networks, int n_threads,
                        const StopToken& stop, Eigen::Ref<MatrixXd> products) {
    add_all<double>(networks, 1.0, n_threads, stop, products);
}

void add_cross_products(const std::vector<NetworkView>& networks, double factor, int n_threads,
                        const StopToken& stop, Eigen::Ref<Eigen::MatrixXf> products) {
    add_all<float>(networks, factor, n_threads, stop, products);
}

void add_products_between(const NetworkView& x, const NetworkView& y, int n_threads,
                          const StopToken& stop, ProductsBetween sums) {
    const Index n_units = count_units({x, y});
    if (sums.products.rows() != x.n_units || sums.products.cols() != y.n_units ||
        sums.x_squares.size() != x.n_units || sums.y_squares.size() != y.n_units) {
        throw std::invalid_argument("the sums must have the shapes of the networks' units");
    }
    for_each_block<double>({x, y}, n_units, 1.0, n_threads, stop, [&](const auto& block) {
        add_block<double>(block, {0, x.n_units}, {x.n_units, y.n_units}, n_threads, stop,
                          sums.products);
        for (Index example = 0; example < block.cols(); ++example) {
            sums.x_squares += block.col(example).head(x.n_units).cwiseAbs2();
            sums.y_squares += block.col(example).tail(y.n_units).cwiseAbs2();
        }
    });
}

}  // namespace convergent
