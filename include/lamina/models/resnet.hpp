#pragma once
// Residual networks for images (He, Zhang, Ren, Sun, 2016) with torchvision's parameter names.
#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/chain.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Two 3x3 convolutions and the identity, of ResNet-18 and -34. `Norm` is nn::BatchNorm2d or nn::FrozenBatchNorm2d.
template <class Norm = nn::BatchNorm2d<>>
struct BasicBlock {
    static constexpr std::string_view kind = "BasicBlock";
    static constexpr Index expansion = 1;
    nn::Conv2d<> conv1, conv2;
    Norm bn1, bn2;
    /// Brings the input to the shape of the output, where they differ.
    std::optional<nn::Sequential<nn::Conv2d<>, Norm>> downsample;

    BasicBlock(Index in, Index width, Index stride)
        : conv1(in, width, {.kernel = 3, .stride = stride, .padding = 1, .bias = false}),
          conv2(width, width, {.kernel = 3, .padding = 1, .bias = false}),
          bn1(width),
          bn2(width) {
        if (stride != 1 || in != width)
            downsample.emplace(nn::Conv2d<>(in, width, {.kernel = 1, .stride = stride, .bias = false}), Norm(width));
    }
    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        const nn::Plus shortcut{downsample ? (*downsample)(x) : x};
        return nn::observed(*this, nn::chain(x, conv1, bn1, nn::ReLU{}, conv2, bn2, shortcut, nn::ReLU{}));
    }
    static void members(auto& self, auto&& visit) {
        visit("conv1", self.conv1);
        visit("bn1", self.bn1);
        visit("conv2", self.conv2);
        visit("bn2", self.bn2);
        visit("downsample", self.downsample);
    }
};

/// A 3x3 convolution between two 1x1, of ResNet-50 and deeper; the stride is the 3x3's, as torchvision has it.
template <class Norm = nn::BatchNorm2d<>>
struct Bottleneck {
    static constexpr std::string_view kind = "Bottleneck";
    static constexpr Index expansion = 4;
    nn::Conv2d<> conv1, conv2, conv3;
    Norm bn1, bn2, bn3;
    /// Brings the input to the shape of the output, where they differ.
    std::optional<nn::Sequential<nn::Conv2d<>, Norm>> downsample;

    Bottleneck(Index in, Index width, Index stride)
        : conv1(in, width, {.kernel = 1, .bias = false}),
          conv2(width, width, {.kernel = 3, .stride = stride, .padding = 1, .bias = false}),
          conv3(width, expansion * width, {.kernel = 1, .bias = false}),
          bn1(width),
          bn2(width),
          bn3(expansion * width) {
        if (stride != 1 || in != expansion * width)
            downsample.emplace(nn::Conv2d<>(in, expansion * width, {.kernel = 1, .stride = stride, .bias = false}),
                               Norm(expansion * width));
    }
    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        const nn::Plus shortcut{downsample ? (*downsample)(x) : x};
        return nn::observed(
            *this, nn::chain(x, conv1, bn1, nn::ReLU{}, conv2, bn2, nn::ReLU{}, conv3, bn3, shortcut, nn::ReLU{}));
    }
    static void members(auto& self, auto&& visit) {
        visit("conv1", self.conv1);
        visit("bn1", self.bn1);
        visit("conv2", self.conv2);
        visit("bn2", self.bn2);
        visit("conv3", self.conv3);
        visit("bn3", self.bn3);
        visit("downsample", self.downsample);
    }
};

/// The feature maps of a residual network at 1/4, 1/8, 1/16 and 1/32 of the image.
using ResNetFeatures = std::array<Tensor<float, 4>, 4>;

/// A residual network without its classifier: what other networks are built on.
template <class Block>
struct ResNetBody {
    static constexpr std::string_view kind = "ResNetBody";
    /// Channels of the last map.
    static constexpr Index channels = 512 * Block::expansion;
    using Norm = decltype(Block::bn1);
    nn::Conv2d<> conv1;
    Norm bn1;
    std::vector<Block> layer1, layer2, layer3, layer4;

    explicit ResNetBody(const std::array<Index, 4>& blocks)
        : conv1(3, 64, {.kernel = 7, .stride = 2, .padding = 3, .bias = false}),
          bn1(64) {
        Index in = 64;
        stage(layer1, in, 64, blocks[0], 1);
        stage(layer2, in, 128, blocks[1], 2);
        stage(layer3, in, 256, blocks[2], 2);
        stage(layer4, in, 512, blocks[3], 2);
    }

    /// Feature maps of `image` [N, 3, H, W].
    ResNetFeatures features(const Tensor<float, 4>& image) const {
        ResNetFeatures f;
        auto x = nn::chain(image, conv1, bn1, nn::ReLU{}, nn::MaxPool2d{{.kernel = 3, .stride = 2, .padding = 1}});
        std::size_t level = 0;
        for (const auto* blocks : {&layer1, &layer2, &layer3, &layer4}) {
            for (const auto& block : *blocks) x = block(x);
            f[level++] = x;
        }
        return f;
    }
    static void members(auto& self, auto&& visit) {
        visit("conv1", self.conv1);
        visit("bn1", self.bn1);
        visit("layer1", self.layer1);
        visit("layer2", self.layer2);
        visit("layer3", self.layer3);
        visit("layer4", self.layer4);
    }

private:
    static void stage(std::vector<Block>& blocks, Index& in, Index width, Index count, Index stride) {
        blocks.reserve(std::size_t(count));
        for (Index i = 0; i < count; ++i) {
            blocks.emplace_back(in, width, i == 0 ? stride : 1);
            in = width * Block::expansion;
        }
    }
};

/// `ResNet<BasicBlock<>> net({2, 2, 2, 2})` is ResNet-18; see resnet18 and its like.
template <class Block>
struct ResNet : ResNetBody<Block> {
    static constexpr std::string_view kind = "ResNet";
    nn::Linear<> fc;

    explicit ResNet(const std::array<Index, 4>& blocks, Index classes = 1000)
        : ResNetBody<Block>(blocks),
          fc(ResNetBody<Block>::channels, classes) {}

    /// Scores of the classes [N, classes].
    Tensor<float, 2> operator()(const Tensor<float, 4>& image) const {
        const auto mean = adaptive_avg_pool2d(this->features(image)[3], 1);
        return nn::observed(*this, nn::chain(mean, nn::Flatten{}, fc));
    }
    static void members(auto& self, auto&& visit) {
        ResNetBody<Block>::members(self, visit);
        visit("fc", self.fc);
    }
};

/// 11,689,512 parameters.
template <class Norm = nn::BatchNorm2d<>>
ResNet<BasicBlock<Norm>> resnet18(Index classes = 1000) {
    return ResNet<BasicBlock<Norm>>({2, 2, 2, 2}, classes);
}
/// 21,797,672 parameters.
template <class Norm = nn::BatchNorm2d<>>
ResNet<BasicBlock<Norm>> resnet34(Index classes = 1000) {
    return ResNet<BasicBlock<Norm>>({3, 4, 6, 3}, classes);
}
/// 25,557,032 parameters.
template <class Norm = nn::BatchNorm2d<>>
ResNet<Bottleneck<Norm>> resnet50(Index classes = 1000) {
    return ResNet<Bottleneck<Norm>>({3, 4, 6, 3}, classes);
}
/// 44,549,160 parameters.
template <class Norm = nn::BatchNorm2d<>>
ResNet<Bottleneck<Norm>> resnet101(Index classes = 1000) {
    return ResNet<Bottleneck<Norm>>({3, 4, 23, 3}, classes);
}

}  // namespace lamina::inline LAMINA_ABI::models
