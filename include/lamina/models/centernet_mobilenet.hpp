#pragma once
// CenterNet on a widened MobileNetV3 (Zhou et al., Objects as Points, 2019; Howard et al., 2019) as 610265158's
// mobilenetv3_centernet published it for COCO, a TensorFlow graph: normalisations folded, SAME padding, old resizing.
#include <lamina/models/centernet_mobilenet_head.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// One row of the network's table.
struct MobileNetBlockConfig {
    Index in, expanded, out, kernel, stride;
    bool hardswish;
    Index squeezed;  ///< channels of the squeeze, 0 without one
};

/// Expand, filter each channel, squeeze and excite, project; the identity is added where shapes allow.
struct MobileNetBlock {
    static constexpr std::string_view kind = "MobileNetBlock";
    std::optional<nn::Conv2d<>> expand;
    nn::Conv2d<> depthwise;
    std::optional<nn::SqueezeExcitation<HalfHardsigmoid>> squeeze_excite;
    nn::Conv2d<> project;
    bool hardswish, residual;

    explicit MobileNetBlock(const MobileNetBlockConfig& c)
        : depthwise(detail::same_conv(c.expanded, c.expanded, c.kernel, c.stride, c.expanded)),
          project(detail::same_conv(c.expanded, c.out, 1)),
          hardswish(c.hardswish),
          residual(c.stride == 1 && c.in == c.out) {
        if (c.expanded != c.in) expand.emplace(detail::same_conv(c.in, c.expanded, 1));
        if (c.squeezed) squeeze_excite.emplace(c.expanded, c.squeezed);
    }

    /// What the depthwise convolution sees; the detector's head taps it in two blocks.
    Tensor<float, 4> expanded(const Tensor<float, 4>& x) const { return expand ? activated(*expand, x) : x; }
    /// The block of `x`, whose expansion is `wide`.
    Tensor<float, 4> operator()(const Tensor<float, 4>& x, const Tensor<float, 4>& wide) const {
        return projected(x, activated(depthwise, wide));
    }
    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        return hardswish ? run(x, HalfHardswish{}) : run(x, nn::ReLU{});
    }

    static void members(auto& self, auto&& visit) {
        visit("expand", self.expand);
        visit("depthwise", self.depthwise);
        if (self.squeeze_excite) {
            visit("squeeze_excite.Conv", self.squeeze_excite->fc1);
            visit("squeeze_excite.Conv_1", self.squeeze_excite->fc2);
        }
        visit("project", self.project);
    }

private:
    template <class F>
    Tensor<float, 4> run(const Tensor<float, 4>& x, const F& f) const {
        const auto chain = [&](const auto&... rest) {
            return expand ? nn::chain_in_bands(x, *expand, f, depthwise, f, rest...)
                          : nn::chain_in_bands(x, depthwise, f, rest...);
        };
        if (squeeze_excite) return projected(x, chain());
        return nn::observed(*this, residual ? chain(project, nn::Plus{x}) : chain(project));
    }
    Tensor<float, 4> projected(const Tensor<float, 4>& x, const Tensor<float, 4>& filtered) const {
        const auto y = squeeze_excite ? (*squeeze_excite)(filtered) : filtered;
        return nn::observed(*this, residual ? nn::chain(y, project, nn::Plus{x}) : nn::chain(y, project));
    }
    Tensor<float, 4> activated(const nn::Conv2d<>& conv, const Tensor<float, 4>& x) const {
        return hardswish ? nn::chain(x, conv, HalfHardswish{}) : nn::chain(x, conv, nn::ReLU{});
    }
};

/// What the detector says of images [N, 3, H, W].
struct CenterNetMaps {
    Tensor<float, 4> keypoints;  ///< [N, 80, H / 4, W / 4] probabilities of an object's point, by COCO's classes
    Tensor<float, 4> sides;      ///< [N, 4, H / 4, W / 4] pixels from there to its left, top, right and bottom
};

/// The whole network: 2,014,924 parameters, named as in the graph; see load_centernet_mobilenet for the published ones.
struct CenterNetMobileNet {
    static constexpr std::string_view kind = "CenterNetMobileNet";
    nn::Conv2d<> first = detail::same_conv(3, 16, 3, 2);
    std::vector<MobileNetBlock> blocks;
    nn::Conv2d<> last = detail::same_conv(120, 480, 1);
    CenterNetMobileNetHead head;

    CenterNetMobileNet() {
        static constexpr MobileNetBlockConfig rows[] = {
            {16, 16, 16, 3, 1, false, 0},    {16, 64, 24, 3, 2, false, 0},     {24, 72, 24, 3, 1, false, 0},
            {24, 72, 32, 5, 2, false, 24},   {32, 96, 32, 5, 1, false, 24},    {32, 96, 32, 5, 1, false, 24},
            {32, 192, 64, 3, 2, true, 0},    {64, 160, 64, 3, 1, true, 0},     {64, 144, 64, 3, 1, true, 0},
            {64, 144, 64, 3, 1, true, 0},    {64, 384, 88, 3, 1, true, 96},    {88, 528, 88, 3, 1, true, 136},
            {88, 528, 120, 5, 2, true, 136}, {120, 720, 120, 5, 1, true, 184}, {120, 720, 120, 5, 1, true, 184}};
        for (const auto& row : rows) blocks.emplace_back(row);
    }

    /// Images [N, 3, H, W] in RGB from 0 to 255, sides multiples of 32; it was trained on 512x512. Throws ShapeError.
    CenterNetMaps operator()(const Tensor<float, 4>& images) const {
        require(images.dim(1) == 3 && images.dim(2) % 32 == 0 && images.dim(3) % 32 == 0,
                "CenterNetMobileNet: images must have shape [N, 3, H, W] with sides that are multiples of 32 but have ",
                images.shape());
        auto x = nn::chain(images, first, HalfHardswish{});
        Tensor<float, 4> taps[3];
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            if (i == 3 || i == 5) {
                taps[i == 5] = blocks[i].expanded(x);
                x = blocks[i](x, taps[i == 5]);
            } else {
                x = blocks[i](x);
            }
            if (i == 11) taps[2] = x;
        }
        auto [keypoints, sides] = head(taps, nn::chain(x, last, HalfHardswish{}));
        nn::observed(*this, keypoints);
        return {std::move(keypoints), std::move(sides)};
    }

    static void members(auto& self, auto&& visit) {
        visit("MobilenetV3.Conv", self.first);
        for (std::size_t i = 0; i < self.blocks.size(); ++i)
            visit("MobilenetV3.expanded_conv" + (i ? message("_", Index(i)) : std::string()), self.blocks[i]);
        visit("extern1", self.last);
        visit("CenternetHead", self.head);
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
