#pragma once
// By how much weights must be larger so that an activation does not shrink what passes through it.
#include <lamina/core/abi.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn::init::gain {

/// torch.nn.init.calculate_gain. Linear and convolution layers and sigmoid have gain 1.
inline constexpr double linear = 1, sigmoid = 1, tanh = 5.0 / 3, selu = 0.75;
inline constexpr double relu = 1.4142135623730951;
/// sqrt(2 / (1 + slope²)).
inline double leaky_relu(double slope = 0.01) { return std::sqrt(2 / (1 + slope * slope)); }

/// Gains that keep the second moment of a standard normal input exactly: 1 / sqrt(E[f(x)²]). With y = sum of m terms
/// x_i w_i, E[y²] = m E[x²] E[w²]; so weights of second moment 1/m keep that of x, and times gain² that of f(x) too.
/// (relu's is the one above.)
namespace second_moment {
inline constexpr double gelu = 1.533530441196, silu = 1.676532470331, tanh = 1.592537419723, elu = 1.245198300701;
}

}  // namespace lamina::inline LAMINA_ABI::nn::init::gain
