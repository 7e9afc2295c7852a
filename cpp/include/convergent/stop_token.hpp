#pragma once

#include <atomic>
#include <exception>

namespace convergent {

/// Thrown by a kernel that was asked to stop; its outputs are then unspecified.
class Interrupted : public std::exception {
 public:
    const char* what() const noexcept override { return "interrupted"; }
};

/// A request to stop, made by the border (Ctrl-C) and read by the kernels at least a few times a
/// second.
class StopToken {
 public:
    StopToken() = default;
    /// Requested when either of two others is, which must outlive it.
    StopToken(const StopToken& first, const StopToken& second) : sources_{&first, &second} {}

    void request() noexcept { requested_.store(true, std::memory_order_relaxed); }
    bool requested() const noexcept {
        if (requested_.load(std::memory_order_relaxed)) return true;
        return sources_[0] && (sources_[0]->requested() || sources_[1]->requested());
    }

    /// Throws Interrupted when a stop was requested.
    void check() const {
        if (requested()) throw Interrupted();
    }

 private:
    std::atomic<bool> requested_{false};
    const StopToken* sources_[2] = {nullptr, nullptr};
};

}  // namespace convergent
