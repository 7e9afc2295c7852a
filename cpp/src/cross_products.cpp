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

constexpr Index kTile = 256;
constexpr Index kStrip = 128;        // examples in one matrix product
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

/// Examples a block: about kBlockBytes, and whole strips.
Index block_rows(Index n_units) {
    const Index rows = kBlockBytes / (8 * std::max<Index>(n_units, 1)) / kStrip * kStrip;
    return std::clamp(rows, kLeastBlockRows, kMostBlockRows);
}

/// Reads examples [first, first + n_examples) into the columns of `block`, (n_units, n_examples).
void read_block(const std::vector<NetworkView>& networks, Index first, int n_threads,
                const StopToken& stop, Eigen::Ref<MatrixXd> block) {
    const Index n_tasks = (block.cols() + kRowsToRead - 1) / kRowsToRead;
    parallel_for(n_tasks, n_threads, stop, [&](Index task) {
        const Index begin = task * kRowsToRead;
        const Index count = std::min(kRowsToRead, block.cols() - begin);
        Index offset = 0;
        for (const NetworkView& network : networks) {
            read_rectangle(network, {first + begin, count, 0, network.n_units},
                           block.data() + begin * block.outerStride() + offset,
                           block.outerStride());
            offset += network.n_units;
        }
    });
}

/// Adds a strip's share to one tile, of which only the part above the diagonal is needed.
void add_strip(const Eigen::Ref<const MatrixXd>& strip, Index row, Index column, Index n_rows,
               Index n_columns, Eigen::Ref<MatrixXd> products) {
    if (row != column) {
        products.block(row, column, n_rows, n_columns).noalias() +=
            strip.middleRows(row, n_rows) * strip.middleRows(column, n_columns).transpose();
        return;
    }
    for (Index begin = 0; begin < n_columns; begin += kDiagonalStep) {
        const Index count = std::min(kDiagonalStep, n_columns - begin);
        products.block(row, column + begin, begin + count, count).noalias() +=
            strip.middleRows(row, begin + count) *
            strip.middleRows(column + begin, count).transpose();
    }
}

void add_block(const Eigen::Ref<const MatrixXd>& block, int n_threads, const StopToken& stop,
               Eigen::Ref<MatrixXd> products) {
    const Index n_units = block.rows();
    const Index n_tiles = (n_units + kTile - 1) / kTile;
    parallel_for(n_tiles * n_tiles, n_threads, stop, [&](Index task) {
        const Index row = task % n_tiles * kTile, column = task / n_tiles * kTile;
        if (row > column) return;
        const Index n_rows = std::min(kTile, n_units - row);
        const Index n_columns = std::min(kTile, n_units - column);
        for (Index first = 0; first < block.cols(); first += kStrip) {
            const Index count = std::min(kStrip, block.cols() - first);
            add_strip(block.middleCols(first, count), row, column, n_rows, n_columns, products);
        }
    });
}

}  // namespace

void add_cross_products(const std::vector<NetworkView>& networks, int n_threads,
                        const StopToken& stop, Eigen::Ref<MatrixXd> products) {
    const Index n_units = count_units(networks);
    if (products.rows() != n_units || products.cols() != n_units) {
        throw std::invalid_argument("the products must have one row and one column a unit");
    }
    if (networks.empty()) return;
    const Index n_examples = networks.front().n_examples;
    MatrixXd buffer(n_units, std::min(block_rows(n_units), n_examples));
    for (Index first = 0; first < n_examples; first += buffer.cols()) {
        auto block = buffer.leftCols(std::min(buffer.cols(), n_examples - first));
        read_block(networks, first, n_threads, stop, block);
        add_block(block, n_threads, stop, products);
    }
}

}  // namespace convergent
