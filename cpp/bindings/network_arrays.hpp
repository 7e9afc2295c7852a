#pragma once

#include <pybind11/stl.h>

#include <vector>

#include "border.hpp"
#include "convergent/network_view.hpp"

namespace convergent::border {

using Means = py::array_t<double, py::array::c_style>;

inline void set_means(const Means& means, NetworkView& view) {
    const bool has_scales = means.ndim() == 2 && means.shape(0) == 3;
    if ((!has_scales && means.ndim() != 1) || means.shape(means.ndim() - 1) != view.n_units) {
        throw py::value_error("means must have one value a unit, or three in rows");
    }
    if (!has_scales) {
        view.means = means.data();
        return;
    }
    view.scales = means.data();
    view.means = view.scales + view.n_units;
    view.rests = view.means + view.n_units;
}

/// A network's activations where they lie, (n_examples, n_units), float32 or float64 of any
/// strides. means: None, or float64 subtracted on reading: one a unit, or three a unit in rows, the
/// scale to multiply by before, the mean and the rest of the mean. The arrays must outlive the
/// view.
inline NetworkView network_view_of(const py::array& network, const py::object& means) {
    const bool is_single = py::isinstance<py::array_t<float>>(network);
    if (!is_single && !py::isinstance<py::array_t<double>>(network)) {
        throw py::type_error("networks must be float32 or float64 arrays");
    }
    if (network.ndim() != 2) throw py::value_error("networks must be two-dimensional");
    NetworkView view{network.data(),     is_single,          network.shape(0), network.shape(1),
                     network.strides(0), network.strides(1), nullptr};
    if (!means.is_none()) {
        if (!py::isinstance<Means>(means)) {
            throw py::type_error("means must be contiguous float64 arrays");
        }
        set_means(py::reinterpret_borrow<Means>(means), view);
    }
    return view;
}

/// The same of several networks. means: None, or a list with one array or None a network.
inline std::vector<NetworkView> network_views_of(const std::vector<py::array>& networks,
                                                 const py::object& means) {
    const auto mean_list = means.is_none() ? std::vector<py::object>(networks.size(), py::none())
                                           : means.cast<std::vector<py::object>>();
    if (mean_list.size() != networks.size()) {
        throw py::value_error("means must be as many as networks");
    }
    std::vector<NetworkView> views;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        views.push_back(network_view_of(networks[i], mean_list[i]));
    }
    return views;
}

}  // namespace convergent::border
