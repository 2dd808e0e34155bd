#pragma once
// Layer normalisation over the last dimension.
#include <lamina/nn/affine.hpp>
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
struct LayerNorm : Affine<T> {
    static constexpr std::string_view kind = "LayerNorm";
    LayerNormConfig options;
    Index features;

    explicit LayerNorm(Index count, const LayerNormConfig& config = {})
        : Affine<T>(count, config.affine),
          options(config),
          features(count) {}
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, layer_norm(x, Shape{features}, this->weight, this->bias, options.eps));
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
