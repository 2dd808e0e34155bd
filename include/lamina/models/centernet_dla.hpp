#pragma once
// CenterNet on DLA-34, its levels joined again on the way up by deformable convolutions; parameters have the official
// names (dla_34 of the code of X. Zhou et al., Objects as Points, 2019).
#include <lamina/models/centernet.hpp>
#include <lamina/models/dla.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Deformable convolution 3x3, normalisation, ReLU.
struct DLAConvolution {
    static constexpr std::string_view kind = "DLAConvolution";
    nn::DCNv2<> conv;
    nn::Sequential<nn::BatchNorm2d<>, nn::ReLU> actf;

    DLAConvolution(Index in, Index out)
        : conv(in, out, {.kernel = 3, .padding = 1}),
          actf(nn::BatchNorm2d<>(out), nn::ReLU{}) {}
    Tensor<float, 4> operator()(const Tensor<float, 4>& x) const {
        return nn::observed(*this, nn::chain(x, conv, actf.get<0>(), actf.get<1>()));
    }
    static void members(auto& self, auto&& visit) {
        visit("actf", self.actf);
        visit("conv", self.conv);
    }
};

/// Joins a map to the one below it, of a larger grid: project, enlarge, add, mix.
struct DLAJoin {
    DLAConvolution proj, node;
    UpConvolution up;

    DLAJoin(Index in, Index out, Index factor)
        : proj(in, out),
          node(out, out),
          up(out, out, UpConvolution::Begin::bilinear, factor, out) {}
    Tensor<float, 4> operator()(const Tensor<float, 4>& upper, const Tensor<float, 4>& lower) const {
        return nn::chain(upper, proj, up, nn::Plus{lower}, node);
    }
};

/// Iterative aggregation: every map after the first is joined to the one before it.
struct DLAIterative {
    static constexpr std::string_view kind = "DLAIterative";
    std::vector<DLAJoin> joins;

    /// For maps of `channels`, to `out` each, those after the first enlarged by `factors`.
    DLAIterative(Index out, std::initializer_list<Index> channels, std::initializer_list<Index> factors) {
        for (std::size_t i = 1; i < channels.size(); ++i)
            joins.emplace_back(channels.begin()[i], out, factors.begin()[i]);
    }
    void operator()(std::span<Tensor<float, 4>> maps) const {
        for (std::size_t i = 0; i < joins.size(); ++i) maps[i + 1] = joins[i](maps[i + 1], maps[i]);
    }
    static void members(auto& self, auto&& visit) {
        Index i = 1;
        for (auto& join : self.joins) {
            visit("proj_" + message(i), join.proj);
            visit("up_" + message(i), join.up);
            visit("node_" + message(i++), join.node);
        }
    }
};

/// Maps of 64, 128, 256 and 512 channels at 1/4 to 1/32, each but the last joined with all above it.
struct DLAUp {
    static constexpr std::string_view kind = "DLAUp";
    DLAIterative ida_0{256, {256, 512}, {1, 2}};
    DLAIterative ida_1{128, {128, 256, 256}, {1, 2, 2}};
    DLAIterative ida_2{64, {64, 128, 128, 128}, {1, 2, 2, 2}};

    /// Joined maps at 1/4, 1/8 and 1/16.
    std::array<Tensor<float, 4>, 3> operator()(std::array<Tensor<float, 4>, 4> maps) const {
        std::array<Tensor<float, 4>, 3> out;
        const std::span<Tensor<float, 4>> all(maps);
        ida_0(all.subspan(2));
        out[2] = maps[3];
        ida_1(all.subspan(1));
        out[1] = maps[3];
        ida_2(all);
        out[0] = maps[3];
        return out;
    }
    static void members(auto& self, auto&& visit) {
        visit("ida_0", self.ida_0);
        visit("ida_1", self.ida_1);
        visit("ida_2", self.ida_2);
    }
};

/// The whole network; see centernet_dla34.
struct CenterNetDLA34 {
    static constexpr std::string_view kind = "CenterNetDLA34";
    DLA34 base;
    DLAUp dla_up;
    DLAIterative ida_up{64, {64, 128, 256}, {1, 2, 4}};
    CenterNetHeads heads;

    explicit CenterNetDLA34(const CenterNetHeadsConfig& c) : heads(64, c) {}

    /// Maps at a quarter of `image` [N, 3, H, W], whose sides are multiples of 32.
    CenterNetOutput operator()(const Tensor<float, 4>& image) const {
        const auto f = base.features(image);
        auto maps = dla_up({f[2], f[3], f[4], f[5]});
        ida_up(maps);
        return heads(maps[2]);
    }
    static void members(auto& self, auto&& visit) {
        visit("base", self.base);
        visit("dla_up", self.dla_up);
        visit("ida_up", self.ida_up);
        CenterNetHeads::members(self.heads, visit);
    }
};

/// 19,675,892 parameters.
inline CenterNetDLA34 centernet_dla34(Index classes = 80, Index hidden = 256) {
    return CenterNetDLA34({.classes = classes, .hidden = hidden, .deviation = 0});
}

}  // namespace lamina::inline LAMINA_ABI::models
