#pragma once
// How sums of a convolution become its result, with the epilogue's type erased: convolutions, which take the compiler
// longest, exist once for all epilogues.
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/gemm/epilogue.hpp>
#include <lamina/kernels/gemm/tile.hpp>
#include <lamina/simd/permute.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Neighbouring pixels, each a vector of channels, on their way to the planes of these.
template <class T>
struct TurnedPixels {
    const T* from;                           ///< with room for one vector of pixels more
    Index step, run_step;                    ///< from pixel to pixel, and from run to run
    T* to;                                   ///< the plane of the first channel
    Index plane;                             ///< from plane to plane
    Index channel, channels;                 ///< the first, and how many of the vector
    Index position, runs, length, distance;  ///< the first in its plane, runs, their pixels, from run to run there
    bool add, stream;                        ///< is there a sum already? does the result go around the caches?
};

/// What happens to sums on their way to where they belong. `epilogue` must live as long.
template <class T>
struct ConvFinish {
    const void* epilogue;  ///< null where sums are left as they are
    /// Moves the `positions` of `channels` of image n: the first is at `from` and goes to `to`, which may be the same.
    void (*move)(const void* epilogue, Index n, const T* from, Index from_step, T* to, Index to_step,
                 detail::Piece channels, detail::Piece positions);
    /// The same for pixels whose lanes are channels.
    void (*turn)(const void* epilogue, Index n, const TurnedPixels<T>& pixels);
};

/// Erases the type of `epilogue`, called on lanes as `epilogue(y, output channel, position in the plane, count)`; one
/// with a member `image(n)` is asked for each image's own.
template <class Arch = simd::native, class T, class Epilogue>
ConvFinish<T> conv_finish(const Epilogue& epilogue);

namespace detail {

/// Calls an epilogue on lanes.
template <class Epilogue, class V, class Count>
LAMINA_INLINE V finished(const Epilogue& epilogue, V x, Index channel, Index position, Count count) {
    if constexpr (std::is_same_v<Epilogue, NoEpilogue>) return x;
    else return epilogue(x, channel, position, count);
}

/// The epilogue for image n.
template <class Epilogue>
LAMINA_INLINE decltype(auto) finish_of_image(const void* epilogue, Index n) {
    if constexpr (std::is_same_v<Epilogue, NoEpilogue>) return NoEpilogue{};
    else return epilogue_of_image(*static_cast<const Epilogue*>(epilogue), n);
}

template <class Arch, class T, class Epilogue>
void move_rows(const void* self, Index n, const T* from, Index from_step, T* to, Index to_step, Piece channels,
               Piece positions) {
    constexpr int width = simd::Vec<T, Arch>::width;
    const auto& epilogue = finish_of_image<Epilogue>(self, n);
    const bool panel = positions.size() == tile_vectors * width;
    for (Index c = channels.begin; c < channels.end; ++c, from += from_step, to += to_step) {
        const auto move = [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
            simd::store_count(
                to + j, finished(epilogue, simd::load_count<Arch>(from + j, count), c, positions.begin + j, count),
                count);
        };
        // Most are whole panels, with nothing left to be asked.
        if (panel)
            simd::unroll<tile_vectors>([&](auto j) LAMINA_INLINE_LAMBDA { move(j * width, simd::FullTag<width>{}); });
        else simd::row<Arch, T>(positions.size(), move);
    }
}

template <class Arch, class T, class Epilogue>
void turn_pixels(const void* self, Index n, const TurnedPixels<T>& p) {
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width;
    const auto& epilogue = finish_of_image<Epilogue>(self, n);
    for (Index r = 0; r < p.runs; ++r) {
        const T* pixels = p.from + r * p.run_step;
        const Index position = p.position + r * p.distance;
        simd::row<Arch, T>(p.length, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            V square[lanes];
            simd::unroll<int(lanes)>(
                [&](auto k) LAMINA_INLINE_LAMBDA { square[k] = simd::load<Arch>(pixels + (i + k) * p.step); });
            simd::transpose(square);
            simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA {
                if (c >= p.channels) return;
                T* const line = p.to + c * p.plane + position + i;
                if (p.add) square[c] += simd::load_count<Arch>(line, count);
                const V done = finished(epilogue, square[c], p.channel + c, position + i, count);
                if (p.stream && count == lanes) simd::stream(line, done);
                else simd::store_count(line, done, count);
            });
        });
    }
}

}  // namespace detail

template <class Arch, class T, class Epilogue>
ConvFinish<T> conv_finish(const Epilogue& epilogue) {
    if constexpr (std::is_same_v<Epilogue, ConvFinish<T>>) return epilogue;
    else
        return {std::is_same_v<Epilogue, NoEpilogue> ? nullptr : &epilogue, &detail::move_rows<Arch, T, Epilogue>,
                &detail::turn_pixels<Arch, T, Epilogue>};
}

}  // namespace lamina::inline LAMINA_ABI::kernels
