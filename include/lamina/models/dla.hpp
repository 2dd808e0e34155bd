#pragma once
// Deep layer aggregation: networks whose blocks are leaves of trees that gather what lies below them (F. Yu, D. Wang,
// E. Shelhamer, T. Darrell, Deep Layer Aggregation, CVPR 2018), with the official names.
#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/chain.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/pool.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Two 3x3 convolutions and a shortcut from outside.
struct DLABlock {
    static constexpr std::string_view kind = "DLABlock";
    nn::Conv2d<> conv1, conv2;
    nn::BatchNorm2d<> bn1, bn2;

    DLABlock(Index in, Index out, Index stride)
        : conv1(in, out, {.kernel = 3, .stride = stride, .padding = 1, .bias = false}),
          conv2(out, out, {.kernel = 3, .padding = 1, .bias = false}),
          bn1(out),
          bn2(out) {}
    Tensor<float, 4> operator()(const Tensor<float, 4>& x, const Tensor<float, 4>& shortcut) const {
        return nn::observed(*this, nn::chain(x, conv1, bn1, nn::ReLU{}, conv2, bn2, nn::Plus{shortcut}, nn::ReLU{}));
    }
    static void members(auto& self, auto&& visit) {
        visit("conv1", self.conv1);
        visit("bn1", self.bn1);
        visit("conv2", self.conv2);
        visit("bn2", self.bn2);
    }
};

/// Joins the maps of a tree by a 1x1 convolution.
struct DLARoot {
    static constexpr std::string_view kind = "DLARoot";
    nn::Conv2d<> conv;
    nn::BatchNorm2d<> bn;

    DLARoot(Index in, Index out) : conv(in, out, {.kernel = 1, .bias = false}), bn(out) {}
    Tensor<float, 4> operator()(const std::vector<Tensor<float, 4>>& maps) const {
        return nn::observed(*this, nn::chain(cat(maps, 1), conv, bn, nn::ReLU{}));
    }
    static void members(auto& self, auto&& visit) {
        visit("conv", self.conv);
        visit("bn", self.bn);
    }
};

/// Two blocks and the root that joins them, or two smaller trees, the second of which joins what the first one gave.
struct DLATree {
    static constexpr std::string_view kind = "DLATree";
    std::vector<DLABlock> blocks;
    std::vector<DLATree> trees;
    std::optional<DLARoot> root;
    /// Brings the shortcut to the width of the output. Trees of trees have one too, and leave it idle.
    std::optional<nn::Sequential<nn::Conv2d<>, nn::BatchNorm2d<>>> project;
    Index stride;
    bool keeps_input;  ///< the input, shrunk, is one of the maps to join

    /// A tree of `levels` levels that joins `more` channels from outside besides its own.
    DLATree(Index levels, Index in, Index out, Index step, bool joins_input, Index more = 0)
        : stride(step),
          keeps_input(joins_input) {
        if (keeps_input) more += in;
        if (levels == 1) {
            blocks.emplace_back(in, out, stride);
            blocks.emplace_back(out, out, 1);
            root.emplace(2 * out + more, out);
        } else {
            trees.reserve(2);
            trees.emplace_back(levels - 1, in, out, stride, false);
            trees.emplace_back(levels - 1, out, out, 1, false, more + out);
        }
        if (in != out) project.emplace(nn::Conv2d<>(in, out, {.kernel = 1, .bias = false}), nn::BatchNorm2d<>(out));
    }
    /// `joined` are the maps from outside.
    Tensor<float, 4> operator()(const Tensor<float, 4>& x, std::vector<Tensor<float, 4>> joined = {}) const {
        const auto bottom = stride > 1 ? max_pool2d(x, {.kernel = stride}) : x;
        if (keeps_input) joined.push_back(bottom);
        if (!root) {
            const auto first = trees[0](x);
            joined.push_back(first);
            return nn::observed(*this, trees[1](first, std::move(joined)));
        }
        const auto first = blocks[0](x, project ? (*project)(bottom) : bottom);
        std::vector<Tensor<float, 4>> maps{blocks[1](first, first), first};
        maps.insert(maps.end(), joined.begin(), joined.end());
        return nn::observed(*this, (*root)(maps));
    }
    static void members(auto& self, auto&& visit) {
        const auto both = [&](auto& parts) {
            if (parts.empty()) return;
            visit("tree1", parts[0]);
            visit("tree2", parts[1]);
        };
        both(self.blocks);
        both(self.trees);
        visit("root", self.root);
        visit("project", self.project);
    }
};

/// The feature maps of a DLA at 1, 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
using DLAFeatures = std::array<Tensor<float, 4>, 6>;

/// DLA-34 without its classifier: 15,270,832 parameters.
struct DLA34 {
    static constexpr std::string_view kind = "DLA34";
    static constexpr Index channels[] = {16, 32, 64, 128, 256, 512};
    using Level = nn::Sequential<nn::Conv2d<>, nn::BatchNorm2d<>, nn::ReLU>;
    Level base_layer, level0, level1;
    DLATree level2, level3, level4, level5;

    DLA34()
        : base_layer(level(3, 16, 7, 1)),
          level0(level(16, 16, 3, 1)),
          level1(level(16, 32, 3, 2)),
          level2(1, 32, 64, 2, false),
          level3(2, 64, 128, 2, true),
          level4(2, 128, 256, 2, true),
          level5(1, 256, 512, 2, true) {}

    /// Feature maps of `image` [N, 3, H, W].
    DLAFeatures features(const Tensor<float, 4>& image) const {
        DLAFeatures f;
        f[0] = level0(base_layer(image));
        f[1] = level1(f[0]);
        f[2] = level2(f[1]);
        f[3] = level3(f[2]);
        f[4] = level4(f[3]);
        f[5] = level5(f[4]);
        return f;
    }
    static void members(auto& self, auto&& visit) {
        visit("base_layer", self.base_layer);
        visit("level0", self.level0);
        visit("level1", self.level1);
        visit("level2", self.level2);
        visit("level3", self.level3);
        visit("level4", self.level4);
        visit("level5", self.level5);
    }

private:
    static Level level(Index in, Index out, Index kernel, Index stride) {
        return Level{nn::Conv2d<>(in, out, {.kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false}),
                     nn::BatchNorm2d<>(out), nn::ReLU{}};
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
