#pragma once
// Pixel shuffle: the r * r channels of a pixel become a block of r x r pixels, and back. A row of the large plane is r
// rows of small ones, interleaved in registers for r = 2, 3, 4; other factors go through the general copy.
#include <lamina/kernels/copy.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// `planes` large planes [in_h * factor, in_w * factor], each of factor * factor small ones [in_h, in_w].
struct PixelShuffleGeometry {
    Index planes, factor, in_h, in_w;

    Index numel() const { return planes * factor * factor * in_h * in_w; }
};

/// large[p, h factor + i, w factor + j] = small[p, i, j, h, w], or +=.
template <Write W = Write::assign, class Arch = simd::native, class T>
void pixel_shuffle(const PixelShuffleGeometry& g, const T* small, T* large);
/// small[p, i, j, h, w] = large[p, h factor + i, w factor + j], or +=.
template <Write W = Write::assign, class Arch = simd::native, class T>
void pixel_unshuffle(const PixelShuffleGeometry& g, const T* large, T* small);

namespace detail {

/// Puts lanes at p as `copy` does: stored, streamed or added; `count` is a FullTag or a number.
template <Write W, class T, class Arch, class Count>
LAMINA_INLINE void put_lanes(T* p, simd::Vec<T, Arch> v, Count count, bool stream) {
    if constexpr (W == Write::add) simd::store_count(p, simd::load_count<Arch>(p, count) + v, count);
    else if (stream && !std::is_same_v<Count, Index>) simd::stream(p, v);
    else simd::store_count(p, v, count);
}

/// Lanes of vector `k` that belong to the first `count` groups of R.
template <int R, class Arch, class T>
constexpr Index lanes_in_group(Index count, int k) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    const Index left = count * R - k * width;
    return left < 0 ? 0 : left < width ? left : width;
}

template <int R, Write W, class Arch, class T>
void shuffle_rows(const PixelShuffleGeometry& g, const T* small, T* large, bool stream) {
    using V = simd::Vec<T, Arch>;
    const Index plane = g.in_h * g.in_w;
    parallel::for_range(g.planes * g.in_h * R, parallel::grain_for(R * g.in_w), [&](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) {
            const Index i = row % R, h = row / R % g.in_h, p = row / R / g.in_h;
            const T* from = small + (p * R + i) * R * plane + h * g.in_w;
            T* to = large + row * R * g.in_w;
            simd::row<Arch, T>(g.in_w, [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
                V v[R];
                simd::unroll<R>(
                    [&](auto j) LAMINA_INLINE_LAMBDA { v[j] = simd::load_count<Arch>(from + j * plane + c, count); });
                simd::interleave(v);
                simd::unroll<R>([&](auto k) LAMINA_INLINE_LAMBDA {
                    T* out = to + c * R + k * V::width;
                    if constexpr (!std::is_same_v<decltype(count), Index>) put_lanes<W>(out, v[k], count, stream);
                    else put_lanes<W>(out, v[k], lanes_in_group<R, Arch, T>(count, k), false);
                });
            });
        }
        if (stream) simd::stream_fence();
    });
}

template <int R, Write W, class Arch, class T>
void unshuffle_rows(const PixelShuffleGeometry& g, const T* large, T* small, bool stream) {
    using V = simd::Vec<T, Arch>;
    const Index plane = g.in_h * g.in_w;
    parallel::for_range(g.planes * R * g.in_h, parallel::grain_for(R * g.in_w), [&](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) {  // the rows of R small planes before those of the next
            const Index h = row % g.in_h, i = row / g.in_h % R, p = row / g.in_h / R;
            const T* from = large + ((p * g.in_h + h) * R + i) * R * g.in_w;
            T* to = small + (p * R + i) * R * plane + h * g.in_w;
            simd::row<Arch, T>(g.in_w, [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
                V v[R];
                simd::unroll<R>([&](auto k) LAMINA_INLINE_LAMBDA {
                    const T* in = from + c * R + k * V::width;
                    if constexpr (!std::is_same_v<decltype(count), Index>) v[k] = simd::load<Arch>(in);
                    else v[k] = simd::load_partial<Arch>(in, lanes_in_group<R, Arch, T>(count, k));
                });
                simd::deinterleave(v);
                simd::unroll<R>([&](auto j)
                                    LAMINA_INLINE_LAMBDA { put_lanes<W>(to + j * plane + c, v[j], count, stream); });
            });
        }
        if (stream) simd::stream_fence();
    });
}

/// Streaming pays for whole cache lines only.
template <Write W, class T>
bool streams_rows(const PixelShuffleGeometry& g, Index row) {
    return W == Write::assign && g.numel() * Index(sizeof(T)) >= dense_stream_threshold_bytes &&
           row * Index(sizeof(T)) % 64 == 0;
}

inline CopyLayout pixel_layout(const PixelShuffleGeometry& g, bool to_large) {
    const Index r = g.factor, plane = g.in_h * g.in_w;
    CopyLayout layout;
    const auto push = [&](Index extent, Index in_small, Index in_large) {
        layout.push(extent, to_large ? in_small : in_large, to_large ? in_large : in_small);
    };
    push(g.planes, r * r * plane, r * r * plane);
    push(r, r * plane, r * g.in_w);
    push(r, plane, 1);
    push(g.in_h, g.in_w, r * r * g.in_w);
    push(g.in_w, 1, r);
    return layout;
}

}  // namespace detail

template <Write W, class Arch, class T>
void pixel_shuffle(const PixelShuffleGeometry& g, const T* small, T* large) {
    if constexpr (detail::is_lane<T>) {
        const bool stream = detail::streams_rows<W, T>(g, g.in_w * g.factor);
        if (g.factor == 2) return detail::shuffle_rows<2, W, Arch>(g, small, large, stream);
        if (g.factor == 3) return detail::shuffle_rows<3, W, Arch>(g, small, large, stream);
        if (g.factor == 4) return detail::shuffle_rows<4, W, Arch>(g, small, large, stream);
    }
    copy<W, Arch>(detail::pixel_layout(g, true), small, large);
}

template <Write W, class Arch, class T>
void pixel_unshuffle(const PixelShuffleGeometry& g, const T* large, T* small) {
    if constexpr (detail::is_lane<T>) {
        const bool stream = detail::streams_rows<W, T>(g, g.in_w);
        if (g.factor == 2) return detail::unshuffle_rows<2, W, Arch>(g, large, small, stream);
        if (g.factor == 3) return detail::unshuffle_rows<3, W, Arch>(g, large, small, stream);
        if (g.factor == 4) return detail::unshuffle_rows<4, W, Arch>(g, large, small, stream);
    }
    copy<W, Arch>(detail::pixel_layout(g, false), large, small);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
