#pragma once
// How parameters begin: the schemes of torch.nn.init, and the default of each layer for a whole model at once.
#include <lamina/nn/module.hpp>
#include <lamina/ops/random.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn::init {

/// Inputs and outputs of one unit, as torch counts them from a weight's shape [out, in, …].
struct Fans {
    Index in, out;
};
/// Throws ShapeError for weights of fewer than two dimensions.
template <int R>
Fans fans(const Shape<R>& weight) {
    require(R >= 2, "init: fans need a weight of at least two dimensions but it has shape ", weight);
    const Index receptive = weight.product(2, R);
    return {weight[1] * receptive, weight[0] * receptive};
}

/// What the bound or deviation of a Kaiming scheme follows.
struct KaimingOptions {
    double gain = 1.4142135623730951;  ///< sqrt(2) for relu; sqrt(2 / (1 + a²)) for leaky_relu of slope a; 1 for linear
    bool fan_out = false;              ///< count outputs instead of inputs
};

/// U(±gain sqrt(3 / fan)) (He et al. 2015).
template <Real T, int R>
void kaiming_uniform(Tensor<T, R>& x, random::Rng& rng, const KaimingOptions& o = {}) {
    const auto [in, out] = fans(x.shape());
    const double bound = o.gain * std::sqrt(3.0 / double(o.fan_out ? out : in));
    uniform_(x, rng, -bound, bound);
}
/// N(0, gain² / fan).
template <Real T, int R>
void kaiming_normal(Tensor<T, R>& x, random::Rng& rng, const KaimingOptions& o = {}) {
    const auto [in, out] = fans(x.shape());
    normal_(x, rng, 0, o.gain / std::sqrt(double(o.fan_out ? out : in)));
}
/// U(±gain sqrt(6 / (fan_in + fan_out))) (Glorot and Bengio 2010).
template <Real T, int R>
void xavier_uniform(Tensor<T, R>& x, random::Rng& rng, double gain = 1) {
    const auto [in, out] = fans(x.shape());
    const double bound = gain * std::sqrt(6.0 / double(in + out));
    uniform_(x, rng, -bound, bound);
}
/// N(0, gain² 2 / (fan_in + fan_out)).
template <Real T, int R>
void xavier_normal(Tensor<T, R>& x, random::Rng& rng, double gain = 1) {
    const auto [in, out] = fans(x.shape());
    normal_(x, rng, 0, gain * std::sqrt(2.0 / double(in + out)));
}

/// U(±sqrt(3 / fan_in)): variance 1 / fan_in (LeCun et al. 1998).
template <Real T, int R>
void lecun_uniform(Tensor<T, R>& x, random::Rng& rng) {
    kaiming_uniform(x, rng, {.gain = 1});
}
/// N(0, 1 / fan_in).
template <Real T, int R>
void lecun_normal(Tensor<T, R>& x, random::Rng& rng) {
    kaiming_normal(x, rng, {.gain = 1});
}

/// torch's default for a linear or convolution layer: weight and bias uniform in ±1/sqrt(fan_in).
template <Real T, int R, class Bias>
void fan_in_uniform(Parameter<T, R>& weight, Bias& bias, random::Rng& rng) {
    const Index in = fans(weight.shape()).in;
    const double bound = in > 0 ? 1 / std::sqrt(double(in)) : 0;
    uniform_(weight, rng, -bound, bound);
    if (bias) uniform_(*bias, rng, -bound, bound);
}

}  // namespace lamina::inline LAMINA_ABI::nn::init

namespace lamina::inline LAMINA_ABI::nn {

/// Sets every layer of `module` to PyTorch's initial distribution, drawn from `rng`. Layers are made with zero weights,
/// ready to be loaded; a model that is to learn from nothing needs this call or another initialisation first.
template <Module M>
void reset_parameters(M& module, random::Rng& rng) {
    for_each_module(module, [&](const std::string&, auto& layer) {
        if constexpr (requires { layer.reset(rng); }) layer.reset(rng);
    });
}

}  // namespace lamina::inline LAMINA_ABI::nn
