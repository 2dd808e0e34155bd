#pragma once
// CenterNet on residual networks (X. Zhou, D. Wang, P. Krähenbühl, Objects as Points, 2019), its neck of transposed
// convolutions plain or with deformable ones before them; parameters have the official names.
#include <lamina/models/centernet_heads.hpp>
#include <lamina/models/resnet.hpp>
#include <lamina/nn/conv_transpose.hpp>
#include <lamina/nn/deform_conv.hpp>
#include <lamina/nn/init_conv.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Doubles height and width.
struct UpConvolution : nn::ConvTranspose2d<> {
    /// What the weights begin as.
    enum class Begin : std::uint8_t { small, bilinear };
    Begin begin;

    /// Enlarges by `factor`, channel by channel where `groups` says so.
    UpConvolution(Index in, Index out, Begin first, Index factor = 2, Index groups = 1)
        : nn::ConvTranspose2d<>(
              in, out,
              {.kernel = 2 * factor, .stride = factor, .padding = factor / 2, .groups = groups, .bias = false}),
          begin(first) {}
    void reset(random::Rng& rng) {
        nn::ConvTranspose2d<>::reset(rng);
        if (begin == Begin::small) normal_(weight, rng, 0, 0.001);
        else nn::init::bilinear(weight);
    }
};

/// A stage of the plain neck, to 256 channels.
struct UpStage {
    static constexpr std::string_view kind = "UpStage";
    static constexpr Index widths[] = {256, 256, 256};
    UpConvolution up;
    nn::BatchNorm2d<> norm;

    UpStage(Index in, Index out) : up(in, out, UpConvolution::Begin::small), norm(out) {}
    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        return nn::observed(*this, nn::chain(x, up, norm, nn::ReLU{}));
    }
    /// The layers by position in a sequence that has activations too; returns the position after them.
    static Index layers(auto& self, Index at, auto&& visit) {
        visit(message(at), self.up);
        visit(message(at + 1), self.norm);
        return at + 3;
    }
};

/// A stage of the deformable neck.
struct DeformableUpStage {
    static constexpr std::string_view kind = "DeformableUpStage";
    static constexpr Index widths[] = {256, 128, 64};
    nn::DCNv2<> conv;
    nn::BatchNorm2d<> norm;
    UpConvolution up;
    nn::BatchNorm2d<> up_norm;

    DeformableUpStage(Index in, Index out)
        : conv(in, out, {.kernel = 3, .padding = 1}),
          norm(out),
          up(out, out, UpConvolution::Begin::bilinear),
          up_norm(out) {}
    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        return nn::observed(*this, nn::chain(x, conv, norm, nn::ReLU{}, up, up_norm, nn::ReLU{}));
    }
    /// The layers by position in a sequence that has activations too; returns the position after them.
    static Index layers(auto& self, Index at, auto&& visit) {
        visit(message(at), self.conv);
        visit(message(at + 1), self.norm);
        visit(message(at + 3), self.up);
        visit(message(at + 4), self.up_norm);
        return at + 6;
    }
};

/// Three stages from 1/32 to 1/4 of the image, their layers numbered through.
template <class Stage>
struct CenterNetNeck {
    static constexpr std::string_view kind = "CenterNetNeck";
    static constexpr Index channels = Stage::widths[2];
    std::vector<Stage> stages;

    explicit CenterNetNeck(Index in) {
        for (const Index out : Stage::widths) {
            stages.emplace_back(in, out);
            in = out;
        }
    }
    Tensor<float, 4> operator()(Tensor<float, 4> x) const {
        for (const auto& stage : stages) x = stage(x);
        return nn::observed(*this, x);
    }
    static void members(auto& self, auto&& visit) {
        Index at = 0;
        for (auto& stage : self.stages) at = Stage::layers(stage, at, visit);
    }
};

/// `CenterNetResNet<BasicBlock<>, DeformableUpStage> net({2, 2, 2, 2})`; see centernet_resdcn18 and its like.
template <class Block, class Stage>
struct CenterNetResNet {
    static constexpr std::string_view kind = "CenterNetResNet";
    ResNetBody<Block> body;
    CenterNetNeck<Stage> neck;
    CenterNetHeads heads;

    explicit CenterNetResNet(const std::array<Index, 4>& blocks, const CenterNetHeadsConfig& c = {})
        : body(blocks),
          neck(ResNetBody<Block>::channels),
          heads(CenterNetNeck<Stage>::channels, c) {}

    /// Maps at a quarter of `image` [N, 3, H, W], whose sides are multiples of 32.
    CenterNetOutput operator()(const Tensor<float, 4>& image) const { return heads(neck(body.features(image)[3])); }

    static void members(auto& self, auto&& visit) {
        ResNetBody<Block>::members(self.body, visit);
        visit("deconv_layers", self.neck);
        CenterNetHeads::members(self.heads, visit);
    }
};

/// 15,820,372 parameters (res_18 of the official code).
inline CenterNetResNet<BasicBlock<>, UpStage> centernet_resnet18(Index classes = 80) {
    return CenterNetResNet<BasicBlock<>, UpStage>({2, 2, 2, 2}, {.classes = classes});
}
/// 53,435,476 parameters (res_101).
inline CenterNetResNet<Bottleneck<>, UpStage> centernet_resnet101(Index classes = 80) {
    return CenterNetResNet<Bottleneck<>, UpStage>({3, 4, 23, 3}, {.classes = classes});
}
/// 14,437,349 parameters (resdcn_18).
inline CenterNetResNet<BasicBlock<>, DeformableUpStage> centernet_resdcn18(Index classes = 80) {
    return CenterNetResNet<BasicBlock<>, DeformableUpStage>({2, 2, 2, 2}, {.classes = classes});
}
/// 49,673,189 parameters (resdcn_101).
inline CenterNetResNet<Bottleneck<>, DeformableUpStage> centernet_resdcn101(Index classes = 80) {
    return CenterNetResNet<Bottleneck<>, DeformableUpStage>({3, 4, 23, 3}, {.classes = classes});
}

}  // namespace lamina::inline LAMINA_ABI::models
