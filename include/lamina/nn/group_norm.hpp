#pragma once
// Normalisation of each example by itself: over groups of channels, or each channel alone.
#include <lamina/nn/activation.hpp>
#include <lamina/ops/group_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of GroupNorm.
struct GroupNormConfig {
    double eps = 1e-5;
    bool affine = true;  ///< learn a scale and a shift per channel
};

/// Normalises each group of channels of [N, C, …]; names are torch.nn.GroupNorm's (Wu and He, 2018).
template <Real T = float>
struct GroupNorm {
    static constexpr std::string_view kind = "GroupNorm";
    GroupNormConfig options;
    Index groups;
    std::optional<Parameter<T, 1>> weight, bias;  ///< [C]

    GroupNorm(Index count, Index channels, const GroupNormConfig& config = {}) : options(config), groups(count) {
        if (!config.affine) return;
        weight.emplace(ones<T>(Shape{channels}));
        bias.emplace(Shape{channels});
    }
    void reset(random::Rng&) {
        if (weight) weight->fill(T(1));
        if (bias) bias->fill(T(0));
    }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, group_norm(x, groups, weight, bias, options.eps));
    }
    /// An activation runs where the result is written.
    template <class... Next>
    static constexpr std::size_t absorbs() {
        return 0;
    }
    template <class Next, class... More>
        requires is_activation<Next>
    static constexpr std::size_t absorbs() { return 1; }
    template <int R, class F>
    Tensor<T, R> fused(const Tensor<T, R>& x, const Activation<F>& activation) const {
        const auto optional = [](const auto& p) { return p ? OptionalTensor<T, 1>(*p) : OptionalTensor<T, 1>(); };
        return lamina::detail::group_norm("group_norm", x, groups, optional(weight), optional(bias), options.eps,
                                          activation.function);
    }
    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }
};

/// Options of InstanceNorm.
struct InstanceNormConfig {
    double eps = 1e-5;
    bool affine = false;  ///< learn a scale and a shift per channel
};

/// Normalises each channel of each example of [N, C, …]; names are torch.nn.InstanceNorm2d's. It keeps no running
/// statistics.
template <Real T = float>
struct InstanceNorm {
    static constexpr std::string_view kind = "InstanceNorm";
    InstanceNormConfig options;
    std::optional<Parameter<T, 1>> weight, bias;  ///< [C]

    explicit InstanceNorm(Index channels, const InstanceNormConfig& config = {}) : options(config) {
        if (!config.affine) return;
        weight.emplace(ones<T>(Shape{channels}));
        bias.emplace(Shape{channels});
    }
    void reset(random::Rng&) {
        if (weight) weight->fill(T(1));
        if (bias) bias->fill(T(0));
    }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, instance_norm(x, weight, bias, options.eps));
    }
    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
