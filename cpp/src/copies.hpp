#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <vector>

#include "convergent/network_view.hpp"
#include "working_memory.hpp"

namespace convergent {

template <class Scalar>
using Dense = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
template <class Scalar>
using RowDense = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Activations of the same examples in memory of our own, (n_examples, n_units) for each network.
/// An example takes an odd number of whole cache lines: lines of a few units of many examples,
/// which products read, would else lie in few of a cache's sets.
template <class Scalar>
class Copies {
 public:
    template <class Matrix>
    using Rows = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;

    /// Takes memory for this, without values.
    void resize(Eigen::Index n_examples, const std::vector<Eigen::Index>& widths) {
        n_examples_ = n_examples;
        widths_ = widths;
        starts_.clear();
        Eigen::Index size = 0;
        for (const Eigen::Index width : widths) {
            starts_.push_back(size);
            size += n_examples * stride_of(width);
        }
        memory_ = {};
        memory_ = WorkingMemory(sizeof(Scalar) * static_cast<std::size_t>(size));
    }
    bool empty() const { return widths_.empty(); }
    std::size_t size() const { return widths_.size(); }
    Eigen::Index n_examples() const { return n_examples_; }
    Rows<RowDense<Scalar>> operator[](std::size_t network) {
        const Eigen::Index width = widths_[network];
        return {at(network), n_examples_, width, Eigen::OuterStride<>(stride_of(width))};
    }
    Rows<const RowDense<Scalar>> operator[](std::size_t network) const {
        const Eigen::Index width = widths_[network];
        return {at(network), n_examples_, width, Eigen::OuterStride<>(stride_of(width))};
    }
    /// A network, with the shift as its means.
    NetworkView view(std::size_t network) const {
        constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(Scalar));
        NetworkView view;
        view.values = at(network);
        view.is_single = sizeof(Scalar) < sizeof(double);
        view.n_examples = n_examples_;
        view.n_units = widths_[network];
        view.example_stride = kSize * stride_of(widths_[network]);
        view.unit_stride = kSize;
        if (!shifts.empty()) view.means = shifts[network].data();
        return view;
    }

    /// What the means of the units still are, for each network; none where they are zero.
    std::vector<Eigen::VectorXd> shifts;

 private:
    static constexpr Eigen::Index kLine = 64 / static_cast<Eigen::Index>(sizeof(Scalar));
    static constexpr Eigen::Index kLeastLines = 8;  // of an example, for which gaps are small

    static Eigen::Index stride_of(Eigen::Index width) {
        const Eigen::Index n_lines = ((width + kLine - 1) / kLine) | 1;
        return n_lines < kLeastLines ? width : n_lines * kLine;
    }

    Scalar* at(std::size_t network) const {
        return static_cast<Scalar*>(memory_.data()) + starts_[network];
    }

    Eigen::Index n_examples_ = 0;
    std::vector<Eigen::Index> widths_, starts_;
    WorkingMemory memory_;
};

}  // namespace convergent
