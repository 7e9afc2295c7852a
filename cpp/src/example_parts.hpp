#pragma once

#include <Eigen/Core>
#include <algorithm>

#include "convergent/stop_token.hpp"

namespace convergent {

/// Blocks of examples, handed out in parts that depend on nothing but sizes, so that sums over the
/// parts have the same bits for every n_threads.
struct ExampleParts {
    /// part_bytes: what each part takes while all are summed up, 0 for nothing.
    ExampleParts(Eigen::Index n_examples, Eigen::Index block_rows, Eigen::Index part_bytes)
        : n_blocks((n_examples + block_rows - 1) / block_rows), block_rows_(block_rows) {
        constexpr Eigen::Index kMostParts = 32, kLeastParts = 8, kLeastBlocks = 4, kFewBlocks = 16;
        constexpr Eigen::Index kMostBytes = 64 << 20;
        n_parts = std::min(n_blocks, kMostParts);
        if (part_bytes == 0) return;
        n_parts = std::min(n_parts, std::max(kMostBytes / part_bytes, kLeastParts / 2));
        if (n_blocks <= kFewBlocks) return;  // parts of one or two would keep threads waiting
        n_parts = std::min(n_parts, std::max(n_blocks / kLeastBlocks, kLeastParts));
    }

    /// Calls work(first example) for each block of a part.
    template <class Work>
    void for_each_block(Eigen::Index part, const StopToken& stop, const Work& work) const {
        for (Eigen::Index b = part * n_blocks / n_parts; b < (part + 1) * n_blocks / n_parts; ++b) {
            stop.check();
            work(b * block_rows_);
        }
    }

    Eigen::Index n_blocks, n_parts;

 private:
    Eigen::Index block_rows_;
};

}  // namespace convergent
