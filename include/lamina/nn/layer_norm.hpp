#pragma once
// Layer normalisation over the last dimension.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/layer_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of LayerNorm.
struct LayerNormConfig {
    double eps = 1e-5;
    bool affine = true;  ///< learn a scale and a shift per feature
};

/// Normalises the last dimension of [..., features]; names are torch.nn.LayerNorm's.
template <Real T = float>
struct LayerNorm {
    static constexpr std::string_view kind = "LayerNorm";
    LayerNormConfig options;
    Index features;
    std::optional<Parameter<T, 1>> weight, bias;  ///< [features]

    explicit LayerNorm(Index count, const LayerNormConfig& config = {}) : options(config), features(count) {
        if (!config.affine) return;
        weight.emplace(ones<T>(Shape{count}));
        bias.emplace(Shape{count});
    }
    void reset(random::Rng&) {
        if (weight) weight->fill(T(1));
        if (bias) bias->fill(T(0));
    }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, layer_norm(x, Shape{features}, weight, bias, options.eps));
    }
    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
