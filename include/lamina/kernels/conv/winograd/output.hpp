#pragma once
// The output's side of Winograd: products of all frequencies become tiles of outputs, a vector of channels at a time;
// one row of tiles is collected pixel by pixel, turned back to planes, and written with the epilogue.
#include <lamina/kernels/conv/winograd/blocks.hpp>
#include <lamina/kernels/conv/winograd/tile.hpp>
#include <lamina/kernels/gemm/epilogue.hpp>
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/permute.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Pixels of one image on their way to its planes: `runs` runs of `length` neighbouring positions.
template <class T>
struct Strip {
    const T* pixels;  ///< [run][length][lanes], with room for one vector of pixels more
    Index image, channel, channels;
    Index position, runs, length, run_step;  ///< the first in its plane, and how far apart runs are there
};

/// Writes strips to y, with the epilogue's type erased: the kernels around it are compiled once.
template <class T>
struct StripWriter {
    const void* epilogue;
    void (*write)(const void* epilogue, const Conv2dGeometry& g, const Strip<T>& strip, T* y);
};

/// Does the result go around the caches?
template <class T>
bool streams_outputs(const Conv2dGeometry& g) {
    return g.batch * g.out_channels * g.plane() * Index(sizeof(T)) >= stream_threshold_bytes;
}

template <class V, class Count>
LAMINA_INLINE V finish_lanes(const NoEpilogue&, V x, Index, Index, Count) {
    return x;
}
template <class Epilogue, class V, class Count>
LAMINA_INLINE V finish_lanes(const Epilogue& epilogue, V x, Index channel, Index position, Count count) {
    return epilogue(x, channel, position, count);
}

template <class Arch, class T, class Epilogue>
void write_strip(const void* self, const Conv2dGeometry& g, const Strip<T>& strip, T* y) {
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width;
    const auto& epilogue = epilogue_of_image(*static_cast<const Epilogue*>(self), strip.image);
    const Index plane = g.plane();
    const bool streams = streams_outputs<T>(g);
    T* const to = y + (strip.image * g.out_channels + strip.channel) * plane;
    for (Index r = 0; r < strip.runs; ++r) {
        const T* pixels = strip.pixels + r * strip.length * lanes;
        const Index position = strip.position + r * strip.run_step;
        simd::row<Arch, T>(strip.length, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            V square[lanes];
            simd::unroll<int(lanes)>(
                [&](auto k) LAMINA_INLINE_LAMBDA { square[k] = simd::load<Arch>(pixels + (i + k) * lanes); });
            simd::transpose(square);
            simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA {
                if (c >= strip.channels) return;
                T* const line = to + c * plane + position + i;
                const V done = finish_lanes(epilogue, square[c], strip.channel + c, position + i, count);
                if (streams && count == lanes) simd::stream(line, done);
                else simd::store_count(line, done, count);
            });
        });
    }
}

/// Transforms one row of tiles; frequency f of tile t is at `from + f * stride + t * panel`. `width` pixels of each row
/// of outputs exist.
template <class Arch, class T, int M>
void transform_outputs(const T* from, Index stride, Index tiles, T* to, Index width) {
    using Tile = WinogradTile<M>;
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width, panel = 2 * lanes;
    for (Index t = 0; t < tiles; ++t, from += panel, to += M * lanes) {
        const Index inside = width - t * M;
        const auto tile = [&](auto store) LAMINA_INLINE_LAMBDA {
            transform_square<Tile::size, M, V>([](const auto& m, auto& y) LAMINA_INLINE_LAMBDA { Tile::output(m, y); },
                                               [&](int i, int j) LAMINA_INLINE_LAMBDA {
                                                   return simd::load<Arch>(from + (i * Tile::size + j) * stride);
                                               },
                                               store);
        };
        if (inside >= M)
            tile([&](int i, int j, V y) LAMINA_INLINE_LAMBDA { simd::store(to + (i * width + j) * lanes, y); });
        else
            tile([&](int i, int j, V y) LAMINA_INLINE_LAMBDA {
                if (j < inside) simd::store(to + (i * width + j) * lanes, y);
            });
    }
}

/// Outputs of one panel of channels for a block of tiles; m is [frequency][tile][panel], frequencies `stride` apart.
template <class Arch, class T, int M>
void winograd_output(const Conv2dGeometry& g, const TileGrid& grid, const TileBlock& block, const T* m, Index stride,
                     Index first_channel, const StripWriter<T>& writer, T* y, int slot) {
    constexpr Index lanes = simd::Vec<T, Arch>::width, panel = 2 * lanes;
    const Piece pixels{block.columns.begin * M, smaller(block.columns.end * M, g.out_w)};
    const Index width = pixels.size();
    T* const room = parallel::scratch<T>((M * width + lanes) * lanes, slot);
    for (Index half = 0; half < 2; ++half) {
        const Index channel = first_channel + half * lanes, channels = smaller(lanes, g.out_channels - channel);
        if (channels <= 0) break;
        for (Index r = 0; r < block.rows.size(); ++r) {
            const TileRow part = block.at(r, grid.down);
            transform_outputs<Arch, T, M>(m + part.first * panel + half * lanes, stride, block.columns.size(), room,
                                          width);
            const Index rows = smaller(M, g.out_h - part.row * M), position = part.row * M * g.out_w + pixels.begin;
            const bool whole = width == g.out_w;
            writer.write(writer.epilogue, g,
                         Strip<T>{room, part.image, channel, channels, position, whole ? 1 : rows,
                                  whole ? rows * width : width, g.out_w},
                         y);
        }
    }
    if (streams_outputs<T>(g)) simd::stream_fence();
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
