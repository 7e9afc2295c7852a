#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace convergent {

/// Threads that stay between the parallel loops of a computation with many short ones, for which
/// starting threads would take longer than the work. While one lives, every `parallel_for` of the
/// thread that made it uses them; loops within a loop's tasks start threads of their own.
class ThreadTeam {
 public:
    /// The caller and n_threads - 1 others, or as many as the system grants.
    explicit ThreadTeam(int n_threads);
    ~ThreadTeam();
    ThreadTeam(const ThreadTeam&) = delete;
    ThreadTeam& operator=(const ThreadTeam&) = delete;

    /// The team of this thread, or null; the latest one where there are several.
    static ThreadTeam* current() { return current_; }

    /// Calls work() here and on up to n_helpers of the team, beside each other, and returns when
    /// all have returned. It must not throw.
    void run(std::ptrdiff_t n_helpers, const std::function<void()>& work);

 private:
    void help(std::uint64_t number);
    void tell(std::uint64_t n_wanted);

    static thread_local ThreadTeam* current_;

    ThreadTeam* const previous_;
    /// Counts runs, and says how many helpers are wanted for the last one.
    std::atomic<std::uint64_t> order_{0};
    std::atomic<std::uint64_t> n_working_{0};
    const std::function<void()>* work_ = nullptr;
    std::mutex mutex_;
    std::condition_variable ordered_, finished_;
    std::vector<std::thread> helpers_;
};

}  // namespace convergent
