#pragma once
// Normalisation of each example by itself: over groups of channels, or each channel alone.
#include <lamina/nn/activation.hpp>
#include <lamina/nn/affine.hpp>
#include <lamina/ops/group_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of GroupNorm.
struct GroupNormConfig {
    double eps = 1e-5;
    bool affine = true;  ///< learn a scale and a shift per channel
};

/// Normalises each group of channels of [N, C, …]; names are torch.nn.GroupNorm's (Wu and He, 2018).
template <Real T = float>
struct GroupNorm : Affine<T> {
    static constexpr std::string_view kind = "GroupNorm";
    GroupNormConfig options;
    Index groups;

    /// Throws ValueError unless `count` groups divide the channels.
    GroupNorm(Index count, Index channels, const GroupNormConfig& config = {})
        : Affine<T>(channels, config.affine),
          options(config),
          groups(count) {
        require<ValueError>(count >= 1 && channels % count == 0,
                            "GroupNorm: the number of groups must divide the channels (", count, " and ", channels,
                            ")");
    }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, group_norm(x, groups, this->weight, this->bias, options.eps));
    }
    /// An activation runs where the result is written.
    template <class Next, class... More>
        requires is_activation<Next>
    static constexpr std::size_t absorbs() { return 1; }
    template <int R, class F>
    Tensor<T, R> fused(const Tensor<T, R>& x, const Activation<F>& activation) const {
        const auto optional = [](const auto& p) { return p ? OptionalTensor<T, 1>(*p) : OptionalTensor<T, 1>(); };
        return lamina::detail::group_norm("group_norm", x, groups, optional(this->weight), optional(this->bias),
                                          options.eps, activation.function);
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
struct InstanceNorm : Affine<T> {
    static constexpr std::string_view kind = "InstanceNorm";
    InstanceNormConfig options;

    explicit InstanceNorm(Index channels, const InstanceNormConfig& config = {})
        : Affine<T>(channels, config.affine),
          options(config) {}
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, instance_norm(x, this->weight, this->bias, options.eps));
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
