#pragma once
// The convolution layer of sequences.
#include <lamina/nn/init.hpp>
#include <lamina/ops/conv.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of Conv1d.
struct Conv1dConfig {
    Index kernel, stride = 1;
    Padding padding = 0;
    Index dilation = 1, groups = 1;
    bool bias = true;
    PadMode padding_mode = PadMode::constant;  ///< what the margins hold; constant means zeros
};

/// Learned 1-D convolution of [N, in, L]; parameter names and initial distribution are torch.nn.Conv1d's.
template <Real T = float>
struct Conv1d {
    static constexpr std::string_view kind = "Conv1d";
    Conv1dOptions options;
    Parameter<T, 3> weight;  ///< [out, in / groups, kernel]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values. Throws ValueError when the channels do not divide into the groups.
    Conv1d(Index in, Index out, const Conv1dConfig& c)
        : options{c.stride, c.padding, c.dilation, c.groups, c.padding_mode},
          weight(weight_shape(in, out, c)) {
        if (c.bias) bias.emplace(Shape{out});
    }
    /// Weight and bias uniform in ±1/sqrt(in / groups * kernel).
    void reset(random::Rng& rng) { init::fan_in_uniform(weight, bias, rng); }

    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const { return observed(*this, conv1d(x, weight, bias, options)); }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }

private:
    static Shape<3> weight_shape(Index in, Index out, const Conv1dConfig& c) {
        require<ValueError>(c.groups > 0 && in % c.groups == 0 && out % c.groups == 0,
                            "Conv1d: channels must divide into groups but are ", in, " and ", out, " in ", c.groups);
        return {out, in / c.groups, c.kernel};
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
