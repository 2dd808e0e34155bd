#pragma once
// The output's side of Winograd: products of all frequencies become tiles of outputs, a vector of channels at a time;
// one row of tiles is collected pixel by pixel, turned back to planes, and written with the epilogue.
#include <lamina/kernels/conv/finish.hpp>
#include <lamina/kernels/conv/winograd/blocks.hpp>
#include <lamina/kernels/conv/winograd/tile.hpp>
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/scratch.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Does the result go around the caches?
template <class T>
bool streams_outputs(const Conv2dGeometry& g) {
    return g.batch * g.out_channels * g.plane() * Index(sizeof(T)) >= stream_threshold_bytes;
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

/// Where outputs go: whole images, by what, and are they added to what is there?
template <class T>
struct WinogradTarget {
    T* y;
    ConvFinish<T> finish;
    bool add;
};

/// Outputs of one panel of channels for a block of tiles; m is [frequency][tile][panel], frequencies `stride` apart.
template <class Arch, class T, int M>
void winograd_output(const Conv2dGeometry& g, const TileGrid& grid, const TileBlock& block, const T* m, Index stride,
                     Index first_channel, const WinogradTarget<T>& target, int slot) {
    constexpr Index lanes = simd::Vec<T, Arch>::width, panel = 2 * lanes;
    const Piece pixels{block.columns.begin * M, smaller(block.columns.end * M, g.out_w)};
    const Index width = pixels.size();
    T* const room = parallel::scratch<T>((M * width + lanes) * lanes, slot);
    const bool streams = !target.add && streams_outputs<T>(g);
    for (Index half = 0; half < 2; ++half) {
        const Index channel = first_channel + half * lanes, channels = smaller(lanes, g.out_channels - channel);
        if (channels <= 0) break;
        for (Index r = 0; r < block.rows.size(); ++r) {
            const TileRow part = block.at(r, grid.down);
            transform_outputs<Arch, T, M>(m + part.first * panel + half * lanes, stride, block.columns.size(), room,
                                          width);
            const Index rows = smaller(M, g.out_h - part.row * M), position = part.row * M * g.out_w + pixels.begin;
            const bool whole = width == g.out_w;
            target.finish.turn(target.finish.epilogue, part.image,
                               TurnedPixels<T>{.from = room,
                                               .step = lanes,
                                               .run_step = width * lanes,
                                               .to = target.y + (part.image * g.out_channels + channel) * g.plane(),
                                               .plane = g.plane(),
                                               .channel = channel,
                                               .channels = channels,
                                               .position = position,
                                               .runs = whole ? 1 : rows,
                                               .length = whole ? rows * width : width,
                                               .distance = g.out_w,
                                               .add = target.add,
                                               .stream = streams});
        }
    }
    if (streams) simd::stream_fence();
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
