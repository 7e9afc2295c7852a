#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <exception>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "convergent/stop_token.hpp"

// What every binding shares. Bindings convert and do no arithmetic: they take exact dtypes
// (`.noconvert()`), allocate the outputs, and give up the GIL around exactly one call of the core.

namespace convergent::border {

namespace py = pybind11;

/// An array taken as it is: exact dtype, any strides. Bind it with `.noconvert()`.
template <class Scalar>
using Array = py::array_t<Scalar, 0>;

/// Runs work(stop) without the GIL on a thread of its own, while the calling thread answers signals
/// and, about twenty times a second, calls tick() with the GIL.
///
/// Ctrl-C, or an exception that Python code raises in tick, requests a stop, waits for the work to
/// end, and is raised. Exceptions of the work are rethrown here.
template <class Work, class Tick>
void run_interruptible(Work&& work, Tick&& tick) {
    StopToken stop;
    std::optional<py::error_already_set> signal_error;
    std::exception_ptr work_error;
    {
        const py::gil_scoped_release no_gil;
        std::promise<void> finished;
        std::future<void> done = finished.get_future();
        std::thread worker([&] {
            try {
                work(std::as_const(stop));
            } catch (...) {
                work_error = std::current_exception();
            }
            finished.set_value();
        });
        while (done.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
            if (signal_error) continue;
            const py::gil_scoped_acquire gil;
            try {
                if (PyErr_CheckSignals() != 0) throw py::error_already_set();
                tick();
            } catch (py::error_already_set& error) {
                signal_error.emplace(std::move(error));
                stop.request();
            }
        }
        worker.join();
    }
    if (signal_error) throw std::move(*signal_error);
    if (work_error) std::rethrow_exception(work_error);
}

template <class Work>
void run_interruptible(Work&& work) {
    run_interruptible(std::forward<Work>(work), [] {});
}

}  // namespace convergent::border
