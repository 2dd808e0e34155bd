#pragma once
// The fully connected layer.
#include <lamina/nn/activation.hpp>
#include <lamina/nn/init.hpp>
#include <lamina/nn/prepared.hpp>
#include <lamina/ops/linear.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of Linear.
struct LinearConfig {
    bool bias = true;
};

/// y [..., out] = x [..., in] W^T + b; parameter names and initial distribution are torch.nn.Linear's.
template <Real T = float>
struct Linear {
    static constexpr std::string_view kind = "Linear";
    Parameter<T, 2> weight;  ///< [out, in]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values.
    Linear(Index in, Index out, const LinearConfig& config = {}) : weight(Shape{out, in}) {
        if (config.bias) bias.emplace(Shape{out});
    }
    /// Weight and bias uniform in ±1/sqrt(in).
    void reset(random::Rng& rng) { init::fan_in_uniform(weight, bias, rng); }

    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        if (autograd::current_tape()) return observed(*this, linear(x, weight, bias));
        return observed(*this, fused(x));
    }

    /// Activations run in the product's epilogue.
    template <class Next, class... More>
        requires is_activation<Next>
    static constexpr std::size_t absorbs() { return 1; }
    template <int R, class... F>
    Tensor<T, R> fused(const Tensor<T, R>& x, const Activation<F>&... activation) const {
        const auto packed = packed_.get([&] { return pack(); }, weight);
        const kernels::BiasColumns add{bias ? bias->data() : nullptr};
        if constexpr (sizeof...(F) == 0) return linear_packed(x, packed->value, add);
        else return linear_packed(x, packed->value, kernels::Then{add, kernels::Apply{activation.function...}});
    }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }

private:
    kernels::PackedMatrix<T> pack() const {
        return kernels::pack_b(weight.dim(1), weight.dim(0), kernels::transposed(weight.data(), weight.dim(1)));
    }
    Prepared<kernels::PackedMatrix<T>> packed_;
};

}  // namespace lamina::inline LAMINA_ABI::nn
