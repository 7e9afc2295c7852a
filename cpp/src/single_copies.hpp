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

/// Sets shifts and squares of copies of that many examples and values. Returns whether centre and
/// factor were near enough; otherwise sets better ones, with which all is to be read again, once.
bool set_sums(const ExampleSums& sums, Eigen::Index n_examples, double n_values,
              SingleCopies& copies);

/// Reads each network once, or twice where few examples say little about the size of all. Where
/// `squares` is not finite, the copies are worthless.
SingleCopies copy_in_single(const std::vector<NetworkView>& networks, int n_threads,
                            const StopToken& stop);

/// What copies would be, with `center` with means removed, but for the copies: their sum of squares
/// and means.
SingleCopies measure(const std::vector<NetworkView>& networks, bool center, int n_threads,
                     const StopToken& stop);

/// Copies of one example of every `group` neighbours, drawn with a fixed seed: neither an order
/// of the examples nor a period in it leaves anything out. With `center`, means are removed, those
/// of the examples drawn. `squares` is that of these.
SingleCopies draw_in_single(const std::vector<NetworkView>& networks, bool center,
                            Eigen::Index group, int n_threads, const StopToken& stop);

}  // namespace convergent
