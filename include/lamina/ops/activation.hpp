#pragma once
// Activation functions, each one lane functor under `map`: fused and differentiable. The functors themselves, for
// epilogues, are in kernels/activation.hpp.
#include <lamina/kernels/activation.hpp>
#include <lamina/ops/map.hpp>

namespace lamina::inline LAMINA_ABI {

/// max(0, x); gradient 0 at 0.
template <Real T, int R>
Tensor<T, R> relu(const Tensor<T, R>& x) {
    return map(kernels::Relu{}, x);
}

/// min(max(0, x), 6).
template <Real T, int R>
Tensor<T, R> relu6(const Tensor<T, R>& x) {
    return map(kernels::Relu6{}, x);
}

/// relu(x)².
template <Real T, int R>
Tensor<T, R> relu_squared(const Tensor<T, R>& x) {
    return map(kernels::ReluSquared{}, x);
}

/// 1 / (1 + e^-x).
template <Real T, int R>
Tensor<T, R> sigmoid(const Tensor<T, R>& x) {
    return map(kernels::Sigmoid{}, x);
}

/// Hyperbolic tangent.
template <Real T, int R>
Tensor<T, R> tanh(const Tensor<T, R>& x) {
    return map(kernels::Tanh{}, x);
}

/// x sigmoid(1.702 x).
template <Real T, int R>
Tensor<T, R> quick_gelu(const Tensor<T, R>& x) {
    return map(kernels::QuickGelu{}, x);
}

/// x sigmoid(x), also called swish.
template <Real T, int R>
Tensor<T, R> silu(const Tensor<T, R>& x) {
    return map(kernels::Silu{}, x);
}

/// x tanh(log(1 + e^x)).
template <Real T, int R>
Tensor<T, R> mish(const Tensor<T, R>& x) {
    return map(kernels::Mish{}, x);
}

/// The scaled elu of self-normalizing networks.
template <Real T, int R>
Tensor<T, R> selu(const Tensor<T, R>& x) {
    return map(kernels::Selu{}, x);
}

/// x relu6(x + 3) / 6.
template <Real T, int R>
Tensor<T, R> hardswish(const Tensor<T, R>& x) {
    return map(kernels::Hardswish{}, x);
}

/// relu6(x + 3) / 6.
template <Real T, int R>
Tensor<T, R> hardsigmoid(const Tensor<T, R>& x) {
    return map(kernels::Hardsigmoid{}, x);
}

/// x / (1 + |x|).
template <Real T, int R>
Tensor<T, R> softsign(const Tensor<T, R>& x) {
    return map(kernels::Softsign{}, x);
}

/// log(sigmoid(x)).
template <Real T, int R>
Tensor<T, R> logsigmoid(const Tensor<T, R>& x) {
    return map(kernels::Logsigmoid{}, x);
}

/// x - tanh(x).
template <Real T, int R>
Tensor<T, R> tanhshrink(const Tensor<T, R>& x) {
    return map(kernels::Tanhshrink{}, x);
}

/// The normal cdf of mean sqrt(1/2) and deviation sqrt(1/(4 pi)).
template <Real T, int R>
Tensor<T, R> laplace(const Tensor<T, R>& x) {
    return map(kernels::Laplace{}, x);
}

/// Which formula `gelu` uses for the normal cdf.
enum class GeluForm { erf, tanh };

/// x times the normal cdf of x, exact or by tanh.
template <Real T, int R>
Tensor<T, R> gelu(const Tensor<T, R>& x, GeluForm form = GeluForm::erf) {
    return form == GeluForm::erf ? map(kernels::Gelu{}, x) : map(kernels::GeluTanh{}, x);
}

/// x above 0, slope * x below.
template <Real T, int R>
Tensor<T, R> leaky_relu(const Tensor<T, R>& x, std::type_identity_t<T> slope = T(0.01)) {
    return map(kernels::LeakyRelu<T>{slope}, x);
}

/// x above 0, alpha (e^x - 1) below.
template <Real T, int R>
Tensor<T, R> elu(const Tensor<T, R>& x, std::type_identity_t<T> alpha = T(1)) {
    return map(kernels::Elu<T>{alpha}, x);
}

/// x above 0, alpha (e^(x / alpha) - 1) below. Throws ValueError for alpha 0.
template <Real T, int R>
Tensor<T, R> celu(const Tensor<T, R>& x, std::type_identity_t<T> alpha = T(1)) {
    require<ValueError>(alpha != T(0), "celu: alpha must not be 0");
    return map(kernels::Celu<T>{alpha}, x);
}

/// x held to [low, high]; gradient 0 at the ends. Throws ValueError for low > high.
template <Real T, int R>
Tensor<T, R> hardtanh(const Tensor<T, R>& x, std::type_identity_t<T> low = T(-1), std::type_identity_t<T> high = T(1)) {
    require<ValueError>(low <= high, "hardtanh: low must not be above high (", low, " and ", high, ")");
    return map(kernels::Hardtanh<T>{low, high}, x);
}

/// log(1 + e^(beta x)) / beta; x itself where beta x is above `threshold`.
template <Real T, int R>
Tensor<T, R> softplus(const Tensor<T, R>& x, std::type_identity_t<T> beta = T(1),
                      std::type_identity_t<T> threshold = T(20)) {
    return map(kernels::Softplus<T>{beta, threshold}, x);
}

/// x above `threshold`, `value` elsewhere.
template <Real T, int R>
Tensor<T, R> threshold(const Tensor<T, R>& x, std::type_identity_t<T> threshold, std::type_identity_t<T> value) {
    return map(kernels::Threshold<T>{threshold, value}, x);
}

/// x above 0, a x below, with a slope for each channel: `x` [N, C, …], `weight` [C] or [1]. Throws ShapeError.
template <Real T, int R>
Tensor<T, R> prelu(const Tensor<T, R>& x, const Tensor<T, 1>& weight) {
    const Index channels = R > 1 ? x.shape()[R > 1 ? 1 : 0] : 1;
    require(weight.numel() == 1 || weight.numel() == channels, "prelu: weight must have 1 element or ", channels,
            " but has ", weight.numel(), " (input ", x.shape(), ")");
    // The weight lies along dimension 1 by its strides; its gradient is dense in either rank.
    Shape<R> shape;
    Strides<R> strides{};
    for (int d = 0; d < R; ++d) shape[d] = 1;
    if constexpr (R > 1) shape[1] = weight.numel(), strides[1] = weight.strides()[0];
    Tensor<T, R> slopes(weight.storage(), const_cast<T*>(weight.data()), shape, strides);
    slopes.set_grad_link(weight.grad_link());
    return map(kernels::Prelu{}, x, slopes);
}

}  // namespace lamina::inline LAMINA_ABI
