#pragma once
// A fully connected layer in the parametrisation of the neural tangent kernel: A. Jacot, F. Gabriel, C. Hongler,
// NeurIPS 2018. With gain sqrt(2) it is the equalised learning rate of T. Karras et al., Progressive GAN, ICLR 2018.
#include <lamina/nn/init.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/linear.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of NtkLinear.
struct NtkLinearConfig {
    bool bias = true;
    double gain = 1;
};

/// y [..., out] = gain / sqrt(in) x W^T + b, where W begins as N(0, 1): the functions of Linear, but an optimizer's
/// steps have another size, since the scale stands in the forward pass and not in the weights.
template <Real T = float>
struct NtkLinear {
    static constexpr std::string_view kind = "NtkLinear";
    NtkLinearConfig options;
    Parameter<T, 2> weight;  ///< [out, in]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values.
    NtkLinear(Index in, Index out, const NtkLinearConfig& config = {}) : options(config), weight(Shape{out, in}) {
        if (config.bias) bias.emplace(Shape{out});
    }
    void reset(random::Rng& rng) {
        normal_(weight, rng);
        if (bias) bias->fill(T(0));
    }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        const double width = double(weight.dim(1) > 0 ? weight.dim(1) : 1);
        return observed(*this, linear(x * T(options.gain / std::sqrt(width)), weight, bias));
    }
    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
