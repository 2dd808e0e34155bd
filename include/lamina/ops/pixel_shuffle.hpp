#pragma once
// Channels to pixels and back, and channels dealt out to groups: rearrangements, each the other's or its own gradient.
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/pixel_shuffle.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// y = the elements of `x` rearranged by move(assign or add, from, to); gradients return by back(…).
template <Element T, int R, class Move, class Back>
Tensor<T, R> rearranged(const char* op, const Tensor<T, R>& x, const Shape<R>& shape, const Move& move,
                        const Back& back) {
    const auto input = contiguous(x);
    auto y = empty<T>(shape);
    if (y.numel()) move(std::false_type{}, input.data(), y.mutable_data());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record(op, y, [back, n = y.numel(), x = x.grad_link()](const T* dy) {
                const auto dx = autograd::grad_target<T>(x);
                if (!dx || n == 0) return;
                if (dx.accumulate) back(std::true_type{}, dy, dx.data);
                else back(std::false_type{}, dy, dx.data);
            });
    }
    return y;
}

template <bool Add>
inline constexpr auto write_mode = Add ? kernels::Write::add : kernels::Write::assign;

struct PixelShuffleMove {
    kernels::PixelShuffleGeometry g;
    template <bool Add, class T>
    void operator()(std::bool_constant<Add>, const T* small, T* large) const {
        kernels::pixel_shuffle<write_mode<Add>>(g, small, large);
    }
};
struct PixelUnshuffleMove {
    kernels::PixelShuffleGeometry g;
    template <bool Add, class T>
    void operator()(std::bool_constant<Add>, const T* large, T* small) const {
        kernels::pixel_unshuffle<write_mode<Add>>(g, large, small);
    }
};
/// [outer, a, b, inner] to [outer, b, a, inner].
struct ChannelShuffleMove {
    Index outer, a, b, inner;
    template <bool Add, class T>
    void operator()(std::bool_constant<Add>, const T* from, T* to) const {
        kernels::CopyLayout layout;
        layout.push(outer, a * b * inner, a * b * inner);
        layout.push(b, inner, a * inner);
        layout.push(a, b * inner, inner);
        layout.push(inner, 1, 1);
        kernels::copy<write_mode<Add>>(layout, from, to);
    }
};

}  // namespace detail

/// [..., C r r, H, W] to [..., C, H r, W r]: out[c, h r + i, w r + j] = in[c r r + i r + j, h, w]. Throws ValueError
/// for r < 1, ShapeError when the channels do not divide (torch.nn.functional.pixel_shuffle; Shi et al. 2016).
template <Element T, int R>
Tensor<T, R> pixel_shuffle(const Tensor<T, R>& x, Index r) {
    static_assert(R >= 3, "pixel_shuffle: the input has at least the dimensions [C, H, W]");
    require<ValueError>(r >= 1, "pixel_shuffle: factor must be positive but is ", r);
    Shape<R> shape = x.shape();
    const Index channels = shape[R - 3];
    require(channels % (r * r) == 0, "pixel_shuffle: channels must divide by the factor squared but there are ",
            channels, " and the factor is ", r, " (input ", x.shape(), ")");
    shape[R - 3] = channels / (r * r);
    shape[R - 2] *= r;
    shape[R - 1] *= r;
    const kernels::PixelShuffleGeometry g{shape.product(0, R - 2), r, x.shape()[R - 2], x.shape()[R - 1]};
    return detail::rearranged("pixel_shuffle", x, shape, detail::PixelShuffleMove{g}, detail::PixelUnshuffleMove{g});
}

/// The inverse, [..., C, H r, W r] to [..., C r r, H, W]. Throws ValueError for r < 1, ShapeError when height or width
/// does not divide (torch.nn.functional.pixel_unshuffle).
template <Element T, int R>
Tensor<T, R> pixel_unshuffle(const Tensor<T, R>& x, Index r) {
    static_assert(R >= 3, "pixel_unshuffle: the input has at least the dimensions [C, H, W]");
    require<ValueError>(r >= 1, "pixel_unshuffle: factor must be positive but is ", r);
    Shape<R> shape = x.shape();
    require(shape[R - 2] % r == 0 && shape[R - 1] % r == 0,
            "pixel_unshuffle: height and width must divide by the factor but are ", shape[R - 2], " and ", shape[R - 1],
            " and the factor is ", r, " (input ", x.shape(), ")");
    const Index planes = shape.product(0, R - 2);
    shape[R - 3] *= r * r;
    shape[R - 2] /= r;
    shape[R - 1] /= r;
    const kernels::PixelShuffleGeometry g{planes, r, shape[R - 2], shape[R - 1]};
    return detail::rearranged("pixel_unshuffle", x, shape, detail::PixelUnshuffleMove{g}, detail::PixelShuffleMove{g});
}

/// Channels of `x` [N, C, ...] dealt out: channel k of group j becomes channel k `groups` + j. Throws ValueError for
/// groups < 1, ShapeError when the channels do not divide (torch.channel_shuffle; Zhang et al. 2017).
template <Element T, int R>
Tensor<T, R> channel_shuffle(const Tensor<T, R>& x, Index groups) {
    static_assert(R >= 2, "channel_shuffle: the input has at least the dimensions [N, C]");
    require<ValueError>(groups >= 1, "channel_shuffle: groups must be positive but are ", groups);
    const auto& s = x.shape();
    require(s[1] % groups == 0, "channel_shuffle: channels must divide into groups but there are ", s[1],
            " channels and ", groups, " groups (input ", s, ")");
    const Index inner = s.product(2, R), each = s[1] / groups;
    return detail::rearranged("channel_shuffle", x, s, detail::ChannelShuffleMove{s[0], groups, each, inner},
                              detail::ChannelShuffleMove{s[0], each, groups, inner});
}

}  // namespace lamina::inline LAMINA_ABI
