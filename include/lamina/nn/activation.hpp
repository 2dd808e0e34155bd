#pragma once
// Activations as layers: a functor over lanes with a name, applied by `map`, or by a neighbour's epilogue.
#include <lamina/kernels/activation.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/map.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// A layer without parameters that applies the lane functor `F` to each element.
template <class F>
struct Activation {
    static constexpr std::string_view kind = F::name;
    F function{};
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, map(function, x));
    }
    static void members(auto&, auto&&) {}
};

template <class L>
inline constexpr bool is_activation = false;
template <class F>
inline constexpr bool is_activation<Activation<F>> = true;

using ReLU = Activation<kernels::Relu>;
using ReLU6 = Activation<kernels::Relu6>;
using Sigmoid = Activation<kernels::Sigmoid>;
using Tanh = Activation<kernels::Tanh>;
using GELU = Activation<kernels::Gelu>;          ///< x/2 (1 + erf(x / sqrt 2))
using GELUTanh = Activation<kernels::GeluTanh>;  ///< the tanh form
using SiLU = Activation<kernels::Silu>;
using Mish = Activation<kernels::Mish>;
using Hardswish = Activation<kernels::Hardswish>;
using Hardsigmoid = Activation<kernels::Hardsigmoid>;
using SELU = Activation<kernels::Selu>;
using Softsign = Activation<kernels::Softsign>;
using LogSigmoid = Activation<kernels::Logsigmoid>;
using LeakyReLU = Activation<kernels::LeakyRelu<double>>;  ///< `LeakyReLU{{.slope = 0.2}}`
using ELU = Activation<kernels::Elu<double>>;
using CELU = Activation<kernels::Celu<double>>;
using Softplus = Activation<kernels::Softplus<double>>;
using Hardtanh = Activation<kernels::Hardtanh<double>>;
using ReLUSquared = Activation<kernels::ReluSquared>;
using Laplace = Activation<kernels::Laplace>;

}  // namespace lamina::inline LAMINA_ABI::nn
