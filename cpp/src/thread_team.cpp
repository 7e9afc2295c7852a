#include "thread_team.hpp"

#include <algorithm>
#include <chrono>
#include <exception>

namespace convergent {
namespace {

constexpr std::uint64_t kMostHelpers = (1 << 16) - 2;
constexpr std::uint64_t kEnd = kMostHelpers + 1;  // in place of the number of helpers wanted
constexpr std::uint64_t kRun = kEnd + 1;          // counts one run
/// That long a thread looks for a change, again and again, before it sleeps.
constexpr std::chrono::microseconds kWatch{500};

/// Returns when is_so() holds, at most `kWatch` later; the thread gives way to others meanwhile.
template <class Condition>
void watch(const Condition& is_so) {
    const auto end = std::chrono::steady_clock::now() + kWatch;
    while (!is_so() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

}  // namespace

thread_local ThreadTeam* ThreadTeam::current_ = nullptr;

ThreadTeam::ThreadTeam(int n_threads) : previous_(current_) {
    const auto n_helpers =
        std::min(static_cast<std::uint64_t>(std::max(n_threads, 1) - 1), kMostHelpers);
    helpers_.reserve(n_helpers);
    try {
        for (std::uint64_t i = 0; i < n_helpers; ++i) {
            helpers_.emplace_back([this, i] { help(i); });
        }
    } catch (const std::exception&) {
        // Those that there are do the work.
    }
    current_ = this;
}

ThreadTeam::~ThreadTeam() {
    current_ = previous_;
    tell(kEnd);
    for (std::thread& helper : helpers_) helper.join();
}

void ThreadTeam::tell(std::uint64_t n_wanted) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        order_.store((order_.load() / kRun + 1) * kRun + n_wanted);
    }
    ordered_.notify_all();
}

void ThreadTeam::help(std::uint64_t number) {
    for (std::uint64_t known = 0;;) {
        const auto is_new = [&] { return order_.load() != known; };
        watch(is_new);
        {
            std::unique_lock<std::mutex> lock(mutex_);
            ordered_.wait(lock, is_new);
            known = order_.load();
        }
        const std::uint64_t n_wanted = known % kRun;
        if (n_wanted == kEnd) return;
        if (number >= n_wanted) continue;
        (*work_)();
        if (n_working_.fetch_sub(1) == 1) {
            const std::lock_guard<std::mutex> lock(mutex_);
            finished_.notify_one();
        }
    }
}

void ThreadTeam::run(std::ptrdiff_t n_helpers, const std::function<void()>& work) {
    const auto n_wanted = static_cast<std::uint64_t>(
        std::clamp<std::ptrdiff_t>(n_helpers, 0, static_cast<std::ptrdiff_t>(helpers_.size())));
    if (n_wanted != 0) {
        work_ = &work;
        n_working_.store(n_wanted);
        tell(n_wanted);
    }
    current_ = nullptr;
    work();
    current_ = this;
    if (n_wanted == 0) return;
    const auto is_finished = [&] { return n_working_.load() == 0; };
    watch(is_finished);
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, is_finished);
}

}  // namespace convergent
