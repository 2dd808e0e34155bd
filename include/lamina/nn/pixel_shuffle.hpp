#pragma once
// Layers that rearrange channels and pixels.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/pixel_shuffle.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Channels to pixels, `PixelShuffle{2}`: [..., C r r, H, W] to [..., C, H r, W r].
struct PixelShuffle {
    static constexpr std::string_view kind = "PixelShuffle";
    Index factor = 1;
    template <Element T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, pixel_shuffle(x, factor));
    }
    static void members(auto&, auto&&) {}
};

/// Pixels to channels, `PixelUnshuffle{2}`: [..., C, H r, W r] to [..., C r r, H, W].
struct PixelUnshuffle {
    static constexpr std::string_view kind = "PixelUnshuffle";
    Index factor = 1;
    template <Element T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, pixel_unshuffle(x, factor));
    }
    static void members(auto&, auto&&) {}
};

/// Channels of the groups in turn, `ChannelShuffle{4}`.
struct ChannelShuffle {
    static constexpr std::string_view kind = "ChannelShuffle";
    Index groups = 1;
    template <Element T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, channel_shuffle(x, groups));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
