#pragma once
// The input's side of Winograd: pixels of as many channels as a vector has lanes are turned pixel by pixel, with zeros
// for what lies outside, and each tile of them is transformed. Vectors run over channels, never over tiles, so that
// images of 7 or 14 pixels waste nothing.
#include <lamina/kernels/conv/winograd/blocks.hpp>
#include <lamina/kernels/conv/winograd/tile.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/permute.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Some planes of an image, one for each lane; past the last channel the last, whose values nobody reads.
template <class Arch, class T>
struct Planes {
    static constexpr Index lanes = simd::Vec<T, Arch>::width;
    const T* data;
    Index height, width;
    Index offsets[lanes];

    Planes(const T* images, Index image, Index channels, Index channel, Index h, Index w)
        : data(images + (image * channels + channel) * h * w),
          height(h),
          width(w) {
        for (Index c = 0; c < lanes; ++c) offsets[c] = smaller(c, channels - 1 - channel) * h * w;
    }
};

/// Pixels [x, x + count) of row y as `count` vectors of channels; zeros outside the image. `to` has room for one vector
/// of pixels more.
template <class Arch, class T>
void gather_pixels(const Planes<Arch, T>& p, Index y, Index x, Index count, T* to) {
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width;
    const bool outside = y < 0 || y >= p.height;
    const Index begin = outside ? count : smaller(count, larger(0, -x));
    const Index end = outside ? count : larger(begin, smaller(count, p.width - x));
    const auto clear = [&](Index i, Index until) {
        for (; i < until; ++i) simd::store(to + i * lanes, V(T(0)));
    };
    clear(0, begin);
    const T* from = p.data + y * p.width + x;
    const Index ahead = 2 * p.width;  // far enough for the third-level cache
    const auto turn = [&](Index i, auto some) LAMINA_INLINE_LAMBDA {
        V square[lanes];
        simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA {
            const T* line = from + p.offsets[c] + i;
            square[c] = simd::load_count<Arch>(line, some);
            simd::prefetch(line + ahead);
        });
        simd::transpose(square);
        // A last vector that is not whole spills over into what is cleared afterwards.
        simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA { simd::store(to + (i + c) * lanes, square[c]); });
    };
    // In long rows vectors begin at cache lines: planes are often a power of two apart and share a cache set, where a
    // line is gone before the next vector comes for its other half.
    const Index inside = end - begin, off = Index(reinterpret_cast<std::uintptr_t>(from + begin) / sizeof(T)) % lanes;
    const Index first = inside > 4 * lanes && off > 0 ? lanes - off : 0;
    if constexpr (lanes > 1) {
        if (first > 0) turn(begin, first);
    }
    const Index rest = begin + first;
    simd::row<Arch, T>(end - rest, [&](Index i, auto some) LAMINA_INLINE_LAMBDA { turn(rest + i, some); });
    clear(end, count);
}

/// Transforms the tiles of one row. Tile t of frequency f goes to `to + f * stride + t * lanes`.
template <class Arch, class T, int M>
void transform_inputs(const T* const (&rows)[M + 2], Index tiles, T* to, Index stride) {
    using Tile = WinogradTile<M>;
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width;
    for (Index t = 0; t < tiles; ++t, to += lanes)
        transform_square<Tile::size, Tile::size, V>(
            [](const auto& d, auto& v) LAMINA_INLINE_LAMBDA { Tile::input(d, v); },
            [&](int i, int j) LAMINA_INLINE_LAMBDA { return simd::load<Arch>(rows[i] + (t * M + j) * lanes); },
            [&](int i, int j, V x) LAMINA_INLINE_LAMBDA { simd::store(to + (i * Tile::size + j) * stride, x); });
}

/// Transforms a block of tiles for the channels [channel, channel + lanes) of x. Pixels are kept for one row of tiles;
/// the last two of its rows of pixels are the first two of the next.
template <class Arch, class T, int M>
void winograd_input(const Conv2dGeometry& g, const TileGrid& grid, const TileBlock& block, const T* x, Index channel,
                    T* to, Index stride, int slot) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    constexpr int size = M + 2;
    const Index pixels = block.columns.size() * M + 2, pitch = (pixels + lanes) * lanes + winograd_line<T>;
    T* const room = parallel::scratch<T>(size * pitch, slot);
    T* rows[size];
    for (int i = 0; i < size; ++i) rows[i] = room + i * pitch;
    for (Index r = 0; r < block.rows.size(); ++r) {
        const TileRow part = block.at(r, grid.down);
        const Planes<Arch, T> planes(x, part.image, g.in_channels, channel, g.in_h, g.in_w);
        int have = 0;
        if (r > 0 && part.row > 0) {
            T* old[size];
            for (int i = 0; i < size; ++i) old[i] = rows[i];
            for (int i = 0; i < size; ++i) rows[i] = old[(i + M) % size];
            have = 2;
        }
        for (int i = have; i < size; ++i)
            gather_pixels<Arch>(planes, part.row * M + i - g.pad_h, part.columns.begin * M - g.pad_w, pixels, rows[i]);
        const T* read[size];
        for (int i = 0; i < size; ++i) read[i] = rows[i];
        transform_inputs<Arch, T, M>(read, part.columns.size(), to + part.first * lanes, stride);
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
