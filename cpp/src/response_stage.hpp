#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <memory>
#include <type_traits>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "response_on_examples.hpp"
#include "response_on_products.hpp"

namespace convergent {

constexpr double kExpectedIterations = 30;  // for choosing what to work on

/// What the stages of one fit share.
struct ResponseProblem {
    /// Of networks: the activations of the same examples.
    ResponseProblem(const std::vector<NetworkView>& networks, Eigen::Index k, int n_threads,
                    const StopToken& stop)
        : networks(&networks), k(k), n_threads(n_threads), stop(stop) {
        for (const NetworkView& network : networks) widths.push_back(network.n_units);
        n_examples = static_cast<double>(networks.front().n_examples);
    }
    /// Of their cross-products.
    ResponseProblem(const Eigen::MatrixXd& products, const std::vector<Eigen::Index>& widths,
                    Eigen::Index k, int n_threads, const StopToken& stop)
        : products(&products), widths(widths), k(k), n_threads(n_threads), stop(stop) {
        n_examples = n_units();  // a sweep on products costs as much
    }

    const std::vector<NetworkView>* networks = nullptr;  ///< null where there are only products
    const Eigen::MatrixXd* products = nullptr;           ///< null where there are only networks
    std::vector<Eigen::Index> widths;
    Eigen::Index k;
    double n_examples = 0.0;
    double total = 0.0;  ///< sum of squares of all activations
    int n_threads;
    const StopToken& stop;

    double n_units() const {
        double sum = 0.0;
        for (const Eigen::Index width : widths) sum += static_cast<double>(width);
        return sum;
    }
    double objective(double norm) const {
        return total - norm / static_cast<double>(widths.size());
    }
};

/// Whether reading the examples in every iteration is less work than their cross-products, or these
/// too large.
template <class Scalar>
bool prefer_examples(const ResponseProblem& problem, double iterations) {
    constexpr double kReading = 1.3;  // time of an operation on the examples over one on products
    constexpr Eigen::Index kWide = 256;                  // width from which on they take the same
    constexpr double kSmallProducts = 64.0 * (1 << 20);  // bytes

    if (problem.networks == nullptr) return false;
    const double units = problem.n_units(), width = static_cast<double>(problem.k);
    const double size = sizeof(Scalar);
    const double room = std::max(8.0 * problem.n_examples * units, kSmallProducts);
    if (size * units * units > room) return true;
    const double reading = problem.k < kWide ? kReading : 1.0;
    const double on_examples = reading * iterations * 4.0 * problem.n_examples * units * width;
    const double on_products =
        problem.n_examples * units * units + iterations * 2.0 * units * units * width;
    return on_examples < on_products;
}

/// The sum in one precision, on the examples or on the cross-products.
template <class Scalar>
class ResponseStage {
 public:
    /// On the examples where they lie, with `response` (n_examples, k) for the sum, or on products;
    /// a null response takes some of its own.
    ResponseStage(const ResponseProblem& problem, double iterations, Scalar* response)
        : on_examples_(prefer_examples<Scalar>(problem, iterations)) {
        if (on_examples_) {
            sum_ = std::make_unique<ResponseOnExamples<Scalar>>(
                *problem.networks, problem.total, room(problem.n_examples, problem.k, response),
                problem.k);
        } else {
            begin_on_products(problem, 1.0);
        }
    }
    /// On copies of the examples, or on products times the square of `factor`.
    ResponseStage(const ResponseProblem& problem, const Copies<Scalar>& copies, double factor)
        : on_examples_(!copies.empty()) {
        if (on_examples_) {
            const auto n_examples = static_cast<double>(copies.n_examples());
            sum_ = std::make_unique<ResponseOnExamples<Scalar>>(
                copies, room(n_examples, problem.k, nullptr), problem.k);
        } else {
            begin_on_products(problem, factor);
        }
    }

    ResponseSum<Scalar>& sum() { return *sum_; }
    bool on_examples() const { return on_examples_; }

 private:
    Scalar* room(double n_examples, Eigen::Index k, Scalar* response) {
        if (response != nullptr) return response;
        own_response_.resize(static_cast<Eigen::Index>(n_examples), k);
        return own_response_.data();
    }

    void begin_on_products(const ResponseProblem& problem, double factor) {
        const Dense<Scalar>* products = &products_;
        if (problem.products == nullptr) {
            products_ =
                all_products<Scalar>(*problem.networks, factor, problem.n_threads, problem.stop);
        } else if constexpr (std::is_same_v<Scalar, double>) {
            products = problem.products;
        } else {
            products_ = (*problem.products * (factor * factor)).template cast<Scalar>();
        }
        sum_ = std::make_unique<ResponseOnProducts<Scalar>>(*products, problem.widths, problem.k);
    }

    bool on_examples_;
    RowDense<Scalar> own_response_;
    Dense<Scalar> products_;
    std::unique_ptr<ResponseSum<Scalar>> sum_;
};

}  // namespace convergent
