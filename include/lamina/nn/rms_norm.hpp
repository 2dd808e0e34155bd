#pragma once
// Normalisation of the last dimension by its root mean square (Zhang and Sennrich, 2019).
#include <lamina/nn/observe.hpp>
#include <lamina/ops/layer_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Divides the last dimension of [..., features] by its root mean square and multiplies by a learned scale.
template <Real T = float>
struct RMSNorm {
    static constexpr std::string_view kind = "RMSNorm";
    Parameter<T, 1> weight;  ///< [features]
    double eps;

    explicit RMSNorm(Index features, double epsilon = 1e-6) : weight(ones<T>(Shape{features})), eps(epsilon) {}
    void reset(random::Rng&) { weight.fill(T(1)); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, rms_norm(x, weight.shape(), Optional<T, 1>(weight), eps));
    }
    static void members(auto& self, auto&& visit) { visit("weight", self.weight); }
};

}  // namespace lamina::inline LAMINA_ABI::nn
