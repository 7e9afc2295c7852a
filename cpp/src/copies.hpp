#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/network_view.hpp"
#include "huge_pages.hpp"

namespace convergent {

template <class Scalar>
using Dense = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
template <class Scalar>
using RowDense = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Activations of the same examples in memory of our own, (n_examples, n_units) for each network.
template <class Scalar>
class Copies {
 public:
    /// Takes memory for this, without values.
    void resize(Eigen::Index n_examples, const std::vector<Eigen::Index>& widths) {
        n_examples_ = n_examples;
        widths_ = widths;
        starts_.clear();
        Eigen::Index size = 0;
        for (const Eigen::Index width : widths) {
            starts_.push_back(size);
            size += n_examples * width;
        }
        resize_in_huge_pages(values_, size, 1);
    }
    bool empty() const { return widths_.empty(); }
    std::size_t size() const { return widths_.size(); }
    Eigen::Index n_examples() const { return n_examples_; }
    Eigen::Map<RowDense<Scalar>> operator[](std::size_t network) {
        return {values_.data() + starts_[network], n_examples_, widths_[network]};
    }
    Eigen::Map<const RowDense<Scalar>> operator[](std::size_t network) const {
        return {values_.data() + starts_[network], n_examples_, widths_[network]};
    }
    /// A network, with the shift as its means.
    NetworkView view(std::size_t network) const {
        constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(Scalar));
        NetworkView view;
        view.values = values_.data() + starts_[network];
        view.is_single = sizeof(Scalar) < sizeof(double);
        view.n_examples = n_examples_;
        view.n_units = widths_[network];
        view.example_stride = kSize * widths_[network];
        view.unit_stride = kSize;
        if (!shifts.empty()) view.means = shifts[network].data();
        return view;
    }

    /// What the means of the units still are, for each network; none where they are zero.
    std::vector<Eigen::VectorXd> shifts;

 private:
    Eigen::Index n_examples_ = 0;
    std::vector<Eigen::Index> widths_, starts_;
    Eigen::Array<Scalar, Eigen::Dynamic, 1> values_;
};

}  // namespace convergent
