#pragma once

#include <Eigen/Core>
#include <vector>

#include "convergent/network_view.hpp"
#include "convergent/stop_token.hpp"
#include "copies.hpp"

namespace convergent {

/// Activations in single precision, less a centre and times a factor that makes them of ordinary
/// size. Their shifts are what the means are beside the centre, times the factor.
struct SingleCopies {
    Copies<float> networks;
    std::vector<Eigen::VectorXd> centres;  ///< none for activations as they are read
    double factor = 1.0;
    double squares = 0.0;  ///< sum of squares about the means, in double, without the factor

    /// Means of the networks, without the factor.
    std::vector<Eigen::VectorXd> means() const;
};

/// Views with these means; none leaves them as they are.
std::vector<NetworkView> with_means(const std::vector<NetworkView>& networks,
                                    const std::vector<Eigen::VectorXd>& means);

/// Squares and sums over examples, as they are read, less the centres.
struct ExampleSums {
    double squares = 0.0;
    std::vector<Eigen::VectorXd> sums;  ///< of each network; none without centres

    /// Zeros for networks with these centres.
    static ExampleSums zeros(const std::vector<Eigen::VectorXd>& centres);
    void operator+=(const ExampleSums& other);
    /// Where to add for a network; null without centres.
    double* sums_of(std::size_t network) { return sums.empty() ? nullptr : sums[network].data(); }
};

/// Units of each network.
std::vector<Eigen::Index> widths_of(const std::vector<NetworkView>& networks);

/// Sets shifts and squares of copies of that many values a unit; returns whether centre and factor
/// are near enough to means and size.
bool set_sums(const ExampleSums& sums, Eigen::Index n_examples, double n_values,
              SingleCopies& copies);
/// Sets centre and factor by sums that are set, for another reading.
void move_near(double n_values, SingleCopies& copies);

/// Sets the sums to what read() returns for the centres and the factor that are set; once more
/// where these were far off because few examples say little about all.
template <class Read>
void read_until_near(const std::vector<NetworkView>& networks, Eigen::Index n_examples,
                     SingleCopies& copies, const Read& read) {
    double n_values = 0.0;
    for (const NetworkView& network : networks) {
        n_values += static_cast<double>(n_examples * network.n_units);
    }
    if (set_sums(read(), n_examples, n_values, copies)) return;
    move_near(n_values, copies);
    set_sums(read(), n_examples, n_values, copies);
}

/// Copies of all examples; with `center`, means are removed. Where `squares` is not finite, they
/// are worthless.
SingleCopies copy_in_single(const std::vector<NetworkView>& networks, bool center, int n_threads,
                            const StopToken& stop);

/// What those would be but for the copies: their sum of squares and means.
SingleCopies measure(const std::vector<NetworkView>& networks, bool center, int n_threads,
                     const StopToken& stop);

/// Copies of one example of every `group` neighbours, drawn with a fixed seed: neither an order
/// of the examples nor a period in it leaves anything out. Means and `squares` are those of these.
SingleCopies draw_in_single(const std::vector<NetworkView>& networks, bool center,
                            Eigen::Index group, int n_threads, const StopToken& stop);

}  // namespace convergent
