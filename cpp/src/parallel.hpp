#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>

#include "convergent/stop_token.hpp"
#include "thread_team.hpp"

namespace convergent {

/// Calls body(task) once for every task in [0, n_tasks), on at most n_threads threads (the caller's
/// among them).
///
/// Tasks are handed out in order, one at a time, so that uneven tasks balance; which thread runs a
/// task must not change its result. The first exception stops the hand-out and is rethrown here
/// once every thread has ended. Throws Interrupted when `stop` is requested.
template <class Body>
void parallel_for(std::ptrdiff_t n_tasks, int n_threads, const StopToken& stop, Body&& body) {
    std::atomic<std::ptrdiff_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr first_error;
    std::mutex error_mutex;

    const auto work = [&] {
        try {
            for (;;) {
                const std::ptrdiff_t task = next.fetch_add(1, std::memory_order_relaxed);
                if (task >= n_tasks || failed.load(std::memory_order_relaxed)) return;
                stop.check();
                body(task);
            }
        } catch (...) {
            const std::lock_guard<std::mutex> lock(error_mutex);
            if (!first_error) first_error = std::current_exception();
            failed.store(true, std::memory_order_relaxed);
        }
    };

    const auto n_helpers = static_cast<int>(std::min<std::ptrdiff_t>(n_threads, n_tasks)) - 1;
    if (ThreadTeam* const team = ThreadTeam::current(); team != nullptr || n_helpers <= 0) {
        team == nullptr ? work() : team->run(n_helpers, std::ref(work));
    } else {
        ThreadTeam(n_helpers + 1).run(n_helpers, std::ref(work));
    }
    if (first_error) std::rethrow_exception(first_error);
}

/// The same for the indices of a container.
template <class Body>
void parallel_for_each(std::size_t n_elements, int n_threads, const StopToken& stop, Body&& body) {
    parallel_for(static_cast<std::ptrdiff_t>(n_elements), n_threads, stop,
                 [&](std::ptrdiff_t task) { body(static_cast<std::size_t>(task)); });
}

}  // namespace convergent
