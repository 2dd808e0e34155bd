#pragma once
// The head of the MobileNetV3 CenterNet: three maps of the backbone meet the last one on its way up, two separable
// convolutions a step; a gate by channel; two outputs.
#include <lamina/kernels/enlarge.hpp>
#include <lamina/nn/bands.hpp>
#include <lamina/nn/squeeze_excitation.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/slice.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::models {

namespace detail {

/// 1/6 as the published graph has it: rounded to half precision.
inline constexpr float half_sixth = 0.1666259765625F;

/// x relu6(x + 3) / 6.
struct HalfHardswishFunction {
    static constexpr const char* name = "half_hardswish";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return C(half_sixth) * x * kernels::Relu6{}(x + C(3));
    }
};
/// relu6(x + 3) / 6.
struct HalfHardsigmoidFunction {
    static constexpr const char* name = "half_hardsigmoid";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return C(half_sixth) * kernels::Relu6{}(x + C(3));
    }
};

/// A convolution with TensorFlow's SAME padding.
inline nn::Conv2d<> same_conv(Index in, Index out, Index kernel, Index stride = 1, Index groups = 1, bool bias = true) {
    return {
        in,
        out,
        {.kernel = kernel, .stride = stride, .padding = Padding::same_tensorflow(), .groups = groups, .bias = bias}};
}

}  // namespace detail

using HalfHardswish = nn::Activation<detail::HalfHardswishFunction>;
using HalfHardsigmoid = nn::Activation<detail::HalfHardsigmoidFunction>;

/// One filter for each channel, then a mix of the channels.
struct SeparableConv {
    static constexpr std::string_view kind = "SeparableConv";
    nn::Conv2d<> depthwise, pointwise;

    SeparableConv(Index in, Index out, Index kernel)
        : depthwise(detail::same_conv(in, in, kernel, 1, in, false)),
          pointwise(detail::same_conv(in, out, 1)) {}

    /// Through `next` too, as nn::chain.
    template <class... Next>
    Tensor<float, 4> operator()(const Tensor<float, 4>& x, const Next&... next) const {
        return nn::observed(*this, nn::chain_in_bands(x, depthwise, pointwise, next...));
    }
    /// Of x times `factors`, which the filters' results are as well multiplied by; nobody may record.
    template <class... Next>
    Tensor<float, 4> gated(const Tensor<float, 4>& x, const nn::Times<float>& factors, const Next&... next) const {
        return nn::chain_in_bands(x, depthwise, factors, pointwise, next...);
    }
    static void members(auto& self, auto&& visit) {
        visit("depthwise", self.depthwise);
        visit("pointwise", self.pointwise);
    }
};

/// A map of the backbone joined with the coarser one below it, enlarged twice: relu of both, channel behind channel.
struct CenterNetMobileNetStep {
    static constexpr std::string_view kind = "CenterNetMobileNetStep";
    nn::Conv2d<> reverse_1x1;
    SeparableConv reverse_3x3, branch_x, branch_y;

    /// `tap` channels of the backbone become `kept`, `in` from below become `out`.
    CenterNetMobileNetStep(Index tap, Index kept, Index in, Index out)
        : reverse_1x1(detail::same_conv(tap, tap / 4, 1)),
          reverse_3x3(tap / 4, kept, 5),
          branch_x(in, out, 3),
          branch_y(in, out, 5) {}

    Tensor<float, 4> operator()(const Tensor<float, 4>& tap, const Tensor<float, 4>& below) const {
        const auto sum = branch_x(below, nn::Plus{branch_y(below)});
        if (nn::may_fuse() && tap.dim(0) == 1) {
            // Both halves are made where they belong.
            const Index kept = reverse_3x3.pointwise.weight.dim(0);
            auto joined = empty<float>(Shape{Index(1), kept + sum.dim(1), tap.dim(2), tap.dim(3)});
            const auto &deep = reverse_3x3.depthwise, &wide = reverse_3x3.pointwise;
            nn::chain_in_bands(tap, reverse_1x1, nn::ReLU{}, deep, wide, nn::ReLU{},
                               nn::Into{slice(joined, 1, 0, kept)});
            kernels::enlarge_twice(sum.dim(1), sum.dim(2), sum.dim(3), sum.data(),
                                   slice(joined, 1, kept, joined.dim(1)).mutable_data(), kernels::Relu{});
            return joined;
        }
        const auto kept = reverse_3x3(nn::chain(tap, reverse_1x1, nn::ReLU{}), nn::ReLU{});
        const auto up = interpolate(
            sum, {.scale_factor = 2, .mode = InterpolateMode::bilinear, .coordinates = PixelCoordinates::asymmetric});
        return nn::observed(*this, cat({kept, nn::ReLU{}(up)}, 1));
    }
    /// By the names of the graph for a tap `from` and what comes up from `below`: "c4" and "c5".
    static void members(auto& self, const std::string& from, const std::string& below, auto&& visit) {
        visit(from + "_reverse.1x1", self.reverse_1x1);
        visit(from + "_reverse.3x3", self.reverse_3x3);
        visit(below + "_upsample.branch_x_upsample_resize", self.branch_x);
        visit(below + "_upsample.branch_y_upsample_resize", self.branch_y);
    }
};

/// Channels weighed by what the whole image holds; unlike nn::SqueezeExcitation's, the second layer has no bias.
struct CenterNetMobileNetGate {
    static constexpr std::string_view kind = "CenterNetMobileNetGate";
    nn::Conv2d<> squeeze, excite;

    CenterNetMobileNetGate(Index channels, Index squeezed)
        : squeeze(detail::same_conv(channels, squeezed, 1)),
          excite(detail::same_conv(squeezed, channels, 1, 1, 1, false)) {}

    /// The factors [N, channels, 1, 1].
    Tensor<float, 4> factors(const Tensor<float, 4>& x) const {
        return nn::chain(adaptive_avg_pool2d(x, 1), squeeze, nn::ReLU{}, excite, nn::Sigmoid{});
    }
    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const { return nn::observed(*this, x * factors(x)); }
};

/// The outputs of a CenterNetMobileNetHead.
struct CenterNetMobileNetHeadMaps {
    Tensor<float, 4> keypoints, sides;
};

/// From three maps of the backbone, at 1/4, 1/8 and 1/16 of the image, and its last, at 1/32.
struct CenterNetMobileNetHead {
    static constexpr std::string_view kind = "CenterNetMobileNetHead";
    CenterNetMobileNetStep quarter{72, 64, 192, 64}, eighth{96, 96, 256, 96}, sixteenth{88, 128, 480, 128};
    CenterNetMobileNetGate gate{128, 32};
    SeparableConv classes{128, 80, 3}, sides{128, 4, 3};

    CenterNetMobileNetHeadMaps operator()(std::span<const Tensor<float, 4>, 3> taps,
                                          const Tensor<float, 4>& last) const {
        const auto joined = quarter(taps[0], eighth(taps[1], sixteenth(taps[2], last)));
        if (nn::may_fuse()) {
            const nn::Times factors(gate.factors(joined));
            return {classes.gated(joined, factors, nn::Sigmoid{}), sides.gated(joined, factors) * 16.0F};
        }
        const auto x = gate(joined);
        return {classes(x, nn::Sigmoid{}), sides(x) * 16.0F};
    }
    static void members(auto& self, auto&& visit) {
        CenterNetMobileNetStep::members(self.quarter, "c2", "c3", visit);
        CenterNetMobileNetStep::members(self.eighth, "c3", "c4", visit);
        CenterNetMobileNetStep::members(self.sixteenth, "c4", "c5", visit);
        visit("conv1x1_se_a", self.gate.squeeze);
        visit("conv1x1_se_b", self.gate.excite);
        visit("centernet_cls_output", self.classes);
        visit("centernet_wh_output", self.sides);
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
