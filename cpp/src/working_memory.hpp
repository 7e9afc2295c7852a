#pragma once

#include <cstddef>
#include <utility>

namespace convergent {

/// Memory that a computation takes for as long as it lasts, begun at a page, without values.
///
/// The first touch of new memory can take as long as the work it is for. So blocks of moderate size
/// stay with the process for the next ones that ask, as far as the system has no better use for
/// them: their pages are marked as free. Where the system knows no such mark, nothing stays.
class WorkingMemory {
 public:
    WorkingMemory() = default;
    explicit WorkingMemory(std::size_t n_bytes);  ///< throws std::bad_alloc
    WorkingMemory(WorkingMemory&& other) noexcept { swap(other); }
    WorkingMemory& operator=(WorkingMemory&& other) noexcept {
        WorkingMemory taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~WorkingMemory();

    void* data() const { return block_.data; }

    struct Block {
        void* data = nullptr;
        std::size_t size = 0;
    };

 private:
    void swap(WorkingMemory& other) noexcept { std::swap(block_, other.block_); }

    Block block_;
};

}  // namespace convergent
