#pragma once
// MobileNetV3 for image classification (Howard et al., 2019) with torchvision's parameter names.
#include <lamina/nn/bands.hpp>
#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/dropout.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/nn/squeeze_excitation.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// One row of the paper's tables 1 and 2.
struct InvertedResidualConfig {
    Index in, kernel, expanded, out;
    bool squeeze, hardswish;
    Index stride;
};

/// A convolution, its normalisation and, where it is asked for, an activation; named 0 and 1.
struct ConvNormActivation {
    static constexpr std::string_view kind = "ConvNormActivation";
    enum class Activation : std::uint8_t { none, relu, hardswish };
    nn::Conv2d<> conv;
    nn::BatchNorm2d<> norm;
    Activation activation;

    ConvNormActivation(Index in, Index out, Index kernel, Index stride, Index groups, Activation f)
        : conv(in, out, {.kernel = kernel, .stride = stride, .padding = kernel / 2, .groups = groups, .bias = false}),
          norm(out, {.eps = 1e-3, .momentum = 0.01}),
          activation(f) {}

    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        switch (activation) {
            case Activation::relu: return nn::observed(*this, nn::chain(x, conv, norm, nn::ReLU{}));
            case Activation::hardswish: return nn::observed(*this, nn::chain(x, conv, norm, nn::Hardswish{}));
            default: return nn::observed(*this, nn::chain(x, conv, norm));
        }
    }
    static void members(auto& self, auto&& visit) {
        visit("0", self.conv);
        visit("1", self.norm);
    }
};

/// Expand, filter each channel, squeeze and excite, project; the identity is added where shapes allow.
struct InvertedResidual {
    static constexpr std::string_view kind = "InvertedResidual";
    std::optional<ConvNormActivation> expand;
    ConvNormActivation depthwise;
    std::optional<nn::SqueezeExcitation<nn::Hardsigmoid>> squeeze;
    ConvNormActivation project;
    bool residual;

    explicit InvertedResidual(const InvertedResidualConfig& c)
        : depthwise(c.expanded, c.expanded, c.kernel, c.stride, c.expanded, activation(c)),
          project(c.expanded, c.out, 1, 1, 1, ConvNormActivation::Activation::none),
          residual(c.stride == 1 && c.in == c.out) {
        if (c.expanded != c.in) expand.emplace(c.in, c.expanded, 1, 1, 1, activation(c));
        if (c.squeeze) squeeze.emplace(c.expanded, divisible_by_8(c.expanded / 4));
    }

    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        if (nn::may_fuse()) return hardswish() ? fused(x, nn::Hardswish{}) : fused(x, nn::ReLU{});
        auto y = depthwise(expand ? (*expand)(x) : x);
        if (squeeze) y = (*squeeze)(y);
        if (residual) return nn::observed(*this, nn::chain(y, project.conv, project.norm, nn::Plus{x}));
        return nn::observed(*this, project(y));
    }
    static void members(auto& self, auto&& visit) {
        // Numbered in order of what there is.
        Index i = 0;
        const auto next = [&](auto& part) { visit("block." + message(i++), part); };
        if (self.expand) next(*self.expand);
        next(self.depthwise);
        if (self.squeeze) next(*self.squeeze);
        next(self.project);
    }

    /// The multiple of 8 next to `channels`, at most a tenth below it.
    static Index divisible_by_8(Index channels) {
        const Index near = std::max<Index>(8, (channels + 4) / 8 * 8);
        return 10 * near < 9 * channels ? near + 8 : near;
    }

private:
    bool hardswish() const { return depthwise.activation == ConvNormActivation::Activation::hardswish; }
    /// As one chain, or two where the squeeze needs the whole map.
    template <class F>
    Tensor<float, 4> fused(const Tensor<float, 4>& x, const F& f) const {
        const auto &d = depthwise, &p = project;
        const auto filtered = [&](const auto&... rest) {
            return expand ? nn::chain_in_bands(x, expand->conv, expand->norm, f, d.conv, d.norm, f, rest...)
                          : nn::chain_in_bands(x, d.conv, d.norm, f, rest...);
        };
        if (!squeeze) return residual ? filtered(p.conv, p.norm, nn::Plus{x}) : filtered(p.conv, p.norm);
        const auto y = (*squeeze)(filtered());
        return residual ? nn::chain(y, p.conv, p.norm, nn::Plus{x}) : nn::chain(y, p.conv, p.norm);
    }
    static ConvNormActivation::Activation activation(const InvertedResidualConfig& c) {
        return c.hardswish ? ConvNormActivation::Activation::hardswish : ConvNormActivation::Activation::relu;
    }
};

/// The whole network; see mobilenet_v3_small and mobilenet_v3_large.
struct MobileNetV3 {
    static constexpr std::string_view kind = "MobileNetV3";
    ConvNormActivation first;
    std::vector<InvertedResidual> blocks;
    ConvNormActivation last;
    nn::Linear<> hidden, scores;
    nn::Dropout dropout{0.2};

    MobileNetV3(std::span<const InvertedResidualConfig> rows, Index hidden_features, Index classes)
        : first(3, rows.front().in, 3, 2, 1, ConvNormActivation::Activation::hardswish),
          last(rows.back().out, 6 * rows.back().out, 1, 1, 1, ConvNormActivation::Activation::hardswish),
          hidden(6 * rows.back().out, hidden_features),
          scores(hidden_features, classes) {
        for (const auto& row : rows) blocks.emplace_back(row);
    }

    /// The last feature map of `image` [N, 3, H, W], at 1/32 of its size.
    Tensor<float, 4> features(const Tensor<float, 4>& image) const {
        auto x = first(image);
        for (const auto& block : blocks) x = block(x);
        return last(x);
    }
    /// Scores of the classes [N, classes].
    Tensor<float, 2> operator()(const Tensor<float, 4>& image) const {
        const auto mean = adaptive_avg_pool2d(features(image), 1);
        return nn::observed(*this, nn::chain(mean, nn::Flatten{}, hidden, nn::Hardswish{}, dropout, scores));
    }
    static void members(auto& self, auto&& visit) {
        visit("features.0", self.first);
        Index i = 1;
        for (auto& block : self.blocks) visit("features." + message(i++), block);
        visit("features." + message(i), self.last);
        visit("classifier.0", self.hidden);
        visit("classifier.3", self.scores);
    }
};

/// 2,542,856 parameters.
inline MobileNetV3 mobilenet_v3_small(Index classes = 1000) {
    static constexpr InvertedResidualConfig rows[] = {
        {16, 3, 16, 16, true, false, 2}, {16, 3, 72, 24, false, false, 2}, {24, 3, 88, 24, false, false, 1},
        {24, 5, 96, 40, true, true, 2},  {40, 5, 240, 40, true, true, 1},  {40, 5, 240, 40, true, true, 1},
        {40, 5, 120, 48, true, true, 1}, {48, 5, 144, 48, true, true, 1},  {48, 5, 288, 96, true, true, 2},
        {96, 5, 576, 96, true, true, 1}, {96, 5, 576, 96, true, true, 1},
    };
    return {rows, 1024, classes};
}
/// 5,483,032 parameters.
inline MobileNetV3 mobilenet_v3_large(Index classes = 1000) {
    static constexpr InvertedResidualConfig rows[] = {
        {16, 3, 16, 16, false, false, 1},  {16, 3, 64, 24, false, false, 2},  {24, 3, 72, 24, false, false, 1},
        {24, 5, 72, 40, true, false, 2},   {40, 5, 120, 40, true, false, 1},  {40, 5, 120, 40, true, false, 1},
        {40, 3, 240, 80, false, true, 2},  {80, 3, 200, 80, false, true, 1},  {80, 3, 184, 80, false, true, 1},
        {80, 3, 184, 80, false, true, 1},  {80, 3, 480, 112, true, true, 1},  {112, 3, 672, 112, true, true, 1},
        {112, 5, 672, 160, true, true, 2}, {160, 5, 960, 160, true, true, 1}, {160, 5, 960, 160, true, true, 1},
    };
    return {rows, 1280, classes};
}

}  // namespace lamina::inline LAMINA_ABI::models
