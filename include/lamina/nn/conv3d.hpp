#pragma once
// The convolution layer of volumes.
#include <lamina/nn/init.hpp>
#include <lamina/ops/conv3d.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of Conv3d.
struct Conv3dConfig {
    Size3 kernel, stride = 1, padding = 0, dilation = 1;
    Index groups = 1;
    bool bias = true;
};

/// Learned 3-D convolution of [N, in, D, H, W]; parameter names and initial distribution are torch.nn.Conv3d's.
template <Real T = float>
struct Conv3d {
    static constexpr std::string_view kind = "Conv3d";
    Conv3dOptions options;
    Parameter<T, 5> weight;  ///< [out, in / groups, kernel depth, height, width]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values. Throws ValueError when the channels do not divide into the groups.
    Conv3d(Index in, Index out, const Conv3dConfig& c)
        : options{c.stride, c.padding, c.dilation, c.groups},
          weight(weight_shape(in, out, c)) {
        if (c.bias) bias.emplace(Shape{out});
    }
    /// Weight and bias uniform in ±1/sqrt(in / groups * kernel volume).
    void reset(random::Rng& rng) { init::fan_in_uniform(weight, bias, rng); }

    Tensor<T, 5> operator()(const Tensor<T, 5>& x) const { return observed(*this, conv3d(x, weight, bias, options)); }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }

private:
    static Shape<5> weight_shape(Index in, Index out, const Conv3dConfig& c) {
        require<ValueError>(c.groups > 0 && in % c.groups == 0 && out % c.groups == 0,
                            "Conv3d: channels must divide into groups but are ", in, " and ", out, " in ", c.groups);
        return {out, in / c.groups, c.kernel.d, c.kernel.h, c.kernel.w};
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
