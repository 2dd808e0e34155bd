#pragma once
// The weight's side of Winograd: 3 x 3 taps become one number for each frequency. Either once for many calls, in double
// and rounded once, or for some channels at a time into a buffer in the cache: four times fewer bytes to be read, for
// weights that change with every step.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/conv/winograd/blocks.hpp>
#include <lamina/kernels/conv/winograd/tile.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/simd/permute.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Transformed weights of a 3 x 3 convolution, [panel][frequency][input channel][two vectors of output channels];
/// channels that fill up the last panel are zeros.
template <class T, class Arch = simd::native>
class WinogradWeights {
public:
    WinogradWeights() = default;
    WinogradWeights(Index tile, Index in_channels, Index out_channels)
        : tile_(tile),
          in_(in_channels),
          out_(out_channels),
          storage_(Storage::allocate(std::size_t(panels() * panel_stride()) * sizeof(T))) {}

    Index tile() const { return tile_; }  ///< 2 or 4, 0 when there is nothing
    Index in_channels() const { return in_; }
    Index out_channels() const { return out_; }
    Index panels() const { return detail::ceil_div(out_, detail::winograd_panel<Arch, T>); }
    Index frequencies() const { return (tile_ + 2) * (tile_ + 2); }
    /// Elements from one frequency to the next, and from panel to panel.
    Index stride() const { return in_ * detail::winograd_panel<Arch, T>; }
    Index panel_stride() const { return frequencies() * stride(); }
    std::size_t bytes() const { return std::size_t(panels() * panel_stride()) * sizeof(T); }
    bool empty() const { return tile_ == 0; }
    const T* data() const { return reinterpret_cast<const T*>(storage_->data()); }
    T* mutable_data() { return reinterpret_cast<T*>(storage_->data()); }

private:
    Index tile_ = 0, in_ = 0, out_ = 0;
    Ref<Storage> storage_;
};

namespace detail {

/// The 3 x 3 taps of all pairs of channels, forwards or, for the gradient of the input, backwards with the channels'
/// roles exchanged.
template <class T>
struct WinogradTaps {
    const T* data;
    Index out, in;            ///< channels
    Index out_step, in_step;  ///< elements from channel to channel
    bool backwards;

    const T* at(Index co, Index ci) const { return data + co * out_step + ci * in_step; }
    Index place(Index tap) const { return backwards ? 8 - tap : tap; }
};
template <class T>
WinogradTaps<T> winograd_taps(const Conv2dGeometry& g, const T* w) {
    return {w, g.out_channels, g.in_channels, 9 * g.in_channels, 9, false};
}
template <class T>
WinogradTaps<T> rotated_winograd_taps(const Conv2dGeometry& g, const T* w) {
    return {w, g.in_channels, g.out_channels, 9, 9 * g.in_channels, true};
}

/// Loads the taps of up to a vector of input channels [channels) for the vector of output channels that begins at `co`:
/// to [channel][tap][lanes]. Lanes past the last output channel are zeros.
template <class Arch, class T>
void load_taps(const WinogradTaps<T>& taps, Index co, Piece channels, T* to) {
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width;
    const Index count = smaller(lanes, larger(0, taps.out - co));
    // Forwards, an output channel's taps follow each other from one input channel to the next, backwards they do not.
    const Index runs = taps.backwards ? channels.size() : 1, length = taps.backwards ? 9 : 9 * channels.size();
    for (Index r = 0; r < runs; ++r, to += 9 * lanes) {
        const T* from = taps.at(co, channels.begin + r);
        simd::row<Arch, T>(length, [&](Index i, auto some) LAMINA_INLINE_LAMBDA {
            V square[lanes];
            simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA {
                square[c] = c < count ? simd::load_count<Arch>(from + c * taps.out_step + i, some) : V(T(0));
            });
            simd::transpose(square);
            simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA {
                if (c < some) simd::store(to + (taps.backwards ? 8 - i - c : i + c) * lanes, square[c]);
            });
        });
    }
}

/// Transforms the input channels [channels) of the vector of output channels that begins at `co`, in T; frequency f of
/// the first goes to `to + f * stride`, the next channel two vectors further on.
template <class Arch, class T, int M>
void transform_weights(const WinogradTaps<T>& taps, Index co, Piece channels, T* to, Index stride) {
    using Tile = WinogradTile<M>;
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width, panel = 2 * lanes;
    alignas(64) T loaded[9 * lanes * lanes];
    for (Index begin = channels.begin; begin < channels.end; begin += lanes) {
        const Piece some{begin, smaller(begin + lanes, channels.end)};
        load_taps<Arch>(taps, co, some, loaded);
        const T* w = loaded;
        for (Index ci = some.begin; ci < some.end; ++ci, w += 9 * lanes, to += panel)
            transform_square<3, Tile::size, V>(
                [](const auto& g, auto& u) LAMINA_INLINE_LAMBDA { Tile::weight(g, u); },
                [&](int i, int j) LAMINA_INLINE_LAMBDA { return simd::load<Arch>(w + (i * 3 + j) * lanes); },
                [&](int i, int j, V x) LAMINA_INLINE_LAMBDA { simd::store(to + (i * Tile::size + j) * stride, x); });
    }
}

/// The same for a whole panel and one input channel, in double.
template <class Arch, class T, int M>
void transform_weights_exactly(const WinogradTaps<T>& taps, Index co, Index ci, T* to, Index stride) {
    using Tile = WinogradTile<M>;
    using V = simd::Vec<double, Arch>;
    constexpr Index panel = winograd_panel<Arch, T>;
    alignas(64) double w[9][panel];
    for (Index c = 0; c < panel; ++c)
        for (Index k = 0; k < 9; ++k) w[k][c] = co + c < taps.out ? double(taps.at(co + c, ci)[taps.place(k)]) : 0.0;
    for (Index c = 0; c < panel; c += V::width)
        transform_square<3, Tile::size, V>([](const auto& g, auto& u) LAMINA_INLINE_LAMBDA { Tile::weight(g, u); },
                                           [&](int i, int j)
                                               LAMINA_INLINE_LAMBDA { return simd::load<Arch>(&w[i * 3 + j][c]); },
                                           [&](int i, int j, V x) LAMINA_INLINE_LAMBDA {
                                               for (int lane = 0; lane < V::width; ++lane)
                                                   to[(i * Tile::size + j) * stride + c + lane] = T(x[lane]);
                                           });
}

/// Transforms all weights, `Exactly` in double or else in T.
template <class Arch, class T, int M, bool Exactly>
void prepare_weights(const WinogradTaps<T>& taps, WinogradWeights<T, Arch>& to) {
    constexpr Index lanes = simd::Vec<T, Arch>::width, panel = 2 * lanes;
    // Some channels of one panel are a task.
    const Index parts = ceil_div(taps.in, 64);
    parallel::for_each(to.panels() * parts, [&](Index i) {
        const Index co = i / parts * panel;
        const Piece channels = piece(taps.in, parts, i % parts);
        T* const out = to.mutable_data() + i / parts * to.panel_stride() + channels.begin * panel;
        if constexpr (Exactly)
            for (Index ci = channels.begin; ci < channels.end; ++ci)
                transform_weights_exactly<Arch, T, M>(taps, co, ci, out + (ci - channels.begin) * panel, to.stride());
        else
            for (Index half = 0; half < panel; half += lanes)
                transform_weights<Arch, T, M>(taps, co + half, channels, out + half, to.stride());
    });
}

}  // namespace detail

/// Transforms w [out_channels, in_channels, 3, 3] for F(tile x tile, 3 x 3), tile 2 or 4, in double, rounded once.
template <class Arch = simd::native, class T>
WinogradWeights<T, Arch> winograd_prepare(const Conv2dGeometry& g, int tile, const T* w) {
    WinogradWeights<T, Arch> prepared(tile, g.in_channels, g.out_channels);
    if (tile == 2) detail::prepare_weights<Arch, T, 2, true>(detail::winograd_taps(g, w), prepared);
    else detail::prepare_weights<Arch, T, 4, true>(detail::winograd_taps(g, w), prepared);
    return prepared;
}

}  // namespace lamina::inline LAMINA_ABI::kernels
