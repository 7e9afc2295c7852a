#include "working_memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <new>

#include "huge_pages.hpp"

namespace convergent {
namespace {

constexpr std::size_t kPage = std::size_t{1} << 12;
constexpr std::size_t kLeastKept = std::size_t{8} << 20;  // less is quick to come by
constexpr std::size_t kMostKept = std::size_t{256} << 20;

/// Tells the system that it may take these pages, and give others when they are written to.
/// Returns whether it understands.
bool mark_free([[maybe_unused]] void* data, [[maybe_unused]] std::size_t n_bytes) {
#if defined(__linux__) && defined(MADV_FREE)
    return madvise(data, n_bytes, MADV_FREE) == 0;
#else
    return false;
#endif
}

/// Blocks that wait to be asked for, from the one that has waited longest. Nobody waits for another
/// thread here: it may not exist in a process that was forked meanwhile.
class Waiting {
 public:
    /// One that is large enough and no more than twice that; none where there is no such.
    WorkingMemory::Block take(std::size_t n_bytes) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock) return {};
        const auto fits = [&](const WorkingMemory::Block& block) {
            return block.size >= n_bytes && block.size / 2 <= n_bytes;
        };
        const auto found = std::find_if(blocks_.begin(), blocks_.end(), fits);
        if (found == blocks_.end()) return {};
        const WorkingMemory::Block block = *found;
        blocks_.erase(found);
        size_ -= block.size;
        return block;
    }
    /// Returns whether the block is here now.
    bool put(const WorkingMemory::Block& block) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock) return false;
        try {
            blocks_.push_back(block);
        } catch (const std::bad_alloc&) {
            return false;
        }
        size_ += block.size;
        for (; size_ > kMostKept; blocks_.pop_front()) {
            size_ -= blocks_.front().size;
            std::free(blocks_.front().data);
        }
        return true;
    }

 private:
    std::mutex mutex_;
    std::deque<WorkingMemory::Block> blocks_;
    std::size_t size_ = 0;
};

/// Never destroyed: a thread may still compute while the process ends.
Waiting& waiting() {
    static Waiting* const all = new Waiting;
    return *all;
}

}  // namespace

WorkingMemory::WorkingMemory(std::size_t n_bytes) {
    if (n_bytes >= kLeastKept) block_ = waiting().take(n_bytes);
    if (block_.data != nullptr || n_bytes == 0) return;
    block_.size = (n_bytes + kPage - 1) / kPage * kPage;
    block_.data = std::aligned_alloc(kPage, block_.size);
    if (block_.data == nullptr) throw std::bad_alloc();
    prefer_huge_pages(block_.data, block_.size);
}

WorkingMemory::~WorkingMemory() {
    const bool is_moderate = block_.size >= kLeastKept && block_.size <= kMostKept;
    if (is_moderate && mark_free(block_.data, block_.size) && waiting().put(block_)) return;
    std::free(block_.data);
}

}  // namespace convergent
