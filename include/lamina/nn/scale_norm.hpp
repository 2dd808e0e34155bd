#pragma once
// RMS normalisation of the last dimension with a single learned gain.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/scale_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of ScaleNorm.
struct ScaleNormConfig {
    double eps = 1e-5;
};

/// `g` x / max(|x| / sqrt(d), eps) over the last dimension, the gain 1 at first. (Nguyen, Salazar 2019)
template <Real T = float>
struct ScaleNorm {
    static constexpr std::string_view kind = "ScaleNorm";
    ScaleNormConfig options;
    Parameter<T, 1> g;  ///< [1]

    explicit ScaleNorm(const ScaleNormConfig& config = {}) : options(config), g(ones<T>(Shape{1})) {}
    /// The same for any number of features, as layers make the norm that they are given as a type.
    explicit ScaleNorm(Index, const ScaleNormConfig& config = {}) : ScaleNorm(config) {}
    void reset(random::Rng&) { g.fill(T(1)); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, scale_norm(x, g, options.eps));
    }
    static void members(auto& self, auto&& visit) { visit("g", self.g); }
};

}  // namespace lamina::inline LAMINA_ABI::nn
