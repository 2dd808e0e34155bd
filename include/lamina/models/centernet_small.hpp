#pragma once
// A CenterNet of about a million parameters for small images, which learns from nothing in minutes.
#include <lamina/models/centernet_heads.hpp>
#include <lamina/models/resnet.hpp>
#include <lamina/nn/upsample.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Residual blocks down to 1/16 of the image, and up again to 1/4 with what was there on the way down.
struct SmallCenterNet {
    static constexpr std::string_view kind = "SmallCenterNet";
    using Narrowed = nn::Sequential<nn::Conv2d<>, nn::BatchNorm2d<>>;
    using Mixed = nn::Sequential<nn::Conv2d<>, nn::BatchNorm2d<>, nn::ReLU>;
    static constexpr Index half = 16, quarter = 32, eighth = 80, sixteenth = 160;
    nn::Conv2d<> stem{3, half, {.kernel = 3, .stride = 2, .padding = 1, .bias = false}};
    nn::BatchNorm2d<> stem_norm{half};
    BasicBlock<> down4{half, quarter, 2}, down8{quarter, eighth, 2}, down16{eighth, sixteenth, 2},
        deep{sixteenth, sixteenth, 1};
    Narrowed up8 = narrowed(sixteenth, eighth), up4 = narrowed(eighth, quarter);
    Mixed mix8 = mixed(eighth), mix4 = mixed(quarter);
    CenterNetHeads heads;

    explicit SmallCenterNet(const CenterNetHeadsConfig& c) : heads(quarter, c) {}

    /// Maps at a quarter of `image` [N, 3, H, W], whose values lie around 0 and whose sides are multiples of 16.
    CenterNetOutput operator()(const Tensor<float, 4>& image) const {
        const nn::Upsample twice{{.scale_factor = 2}};
        const auto x4 = down4(nn::chain(image, stem, stem_norm, nn::ReLU{}));
        const auto x8 = down8(x4);
        const auto y16 = deep(down16(x8));
        const auto y8 = mix8(nn::chain(y16, up8, twice, nn::Plus{x8}, nn::ReLU{}));
        return heads(mix4(nn::chain(y8, up4, twice, nn::Plus{x4}, nn::ReLU{})));
    }
    static void members(auto& self, auto&& visit) {
        visit("stem", self.stem);
        visit("stem_norm", self.stem_norm);
        visit("down4", self.down4);
        visit("down8", self.down8);
        visit("down16", self.down16);
        visit("deep", self.deep);
        visit("up8", self.up8);
        visit("up4", self.up4);
        visit("mix8", self.mix8);
        visit("mix4", self.mix4);
        visit("heads", self.heads);
    }

private:
    static Mixed mixed(Index width) {
        return Mixed{nn::Conv2d(width, width, {.kernel = 3, .padding = 1, .bias = false}), nn::BatchNorm2d(width),
                     nn::ReLU{}};
    }
    static Narrowed narrowed(Index in, Index out) {
        return Narrowed{nn::Conv2d(in, out, {.kernel = 1, .bias = false}), nn::BatchNorm2d(out)};
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
