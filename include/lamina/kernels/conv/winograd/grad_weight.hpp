#pragma once
// The gradient of a 3 x 3 weight by the adjoint of F(4x4, 3x3): inputs and output gradients of a block of tiles are
// transformed, and for each frequency the sum over tiles of their products is a matrix [input channel, output channel].
// The layouts of the forward pass already are the panels of that product. Errors in float stay below 1.2e-5 of the RMS
// of the exact gradient, RMS 3e-6.
#include <lamina/kernels/conv/winograd/input.hpp>
#include <lamina/parallel/for.hpp>

#define LAMINA_UNROLL _Pragma("GCC unroll 16")

namespace lamina::inline LAMINA_ABI::kernels {

/// dw = dL/dw [out_channels, in_channels, 3, 3], or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void winograd_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate);

namespace detail {

struct WinogradGradPolicy {
    static constexpr Index sum_bytes = 5 << 20;   ///< of frequency sums held at a time,
    static constexpr Index tile_bytes = 1 << 20;  ///< of transformed tiles, but
    static constexpr Index least_tiles = 32;      ///< at least so many: each block reads and writes all sums
    static constexpr int tile_slot = 12, sum_slot = 13, pixel_slot = 14;  ///< parallel::scratch
};

/// Input channels of one register tile; they divide a vector.
template <class Arch, class T>
inline constexpr int winograd_grad_rows = int(smaller(simd::Vec<T, Arch>::width, Arch::bytes == 64 ? 8 : 4));

/// Transforms a block of tiles of dy for half a panel; tile t of frequency f goes to `to + f * stride + t * panel`.
template <class Arch, class T, int M>
void winograd_output_grad(const Conv2dGeometry& g, const TileGrid& grid, const TileBlock& block, const T* dy,
                          Index channel, T* to, Index stride, int slot) {
    using Tile = WinogradTile<M>;
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width, panel = 2 * lanes;
    const Index tiles = block.columns.size(), pixels = tiles * M, pitch = (pixels + lanes) * lanes + winograd_line<T>;
    T* const rows = parallel::scratch<T>(M * pitch, slot);
    for (Index r = 0; r < block.rows.size(); ++r) {
        const TileRow part = block.at(r, grid.down);
        const Planes<Arch, T> planes(dy, part.image, g.out_channels, channel, g.out_h, g.out_w);
        for (int i = 0; i < M; ++i)
            gather_pixels<Arch>(planes, part.row * M + i, part.columns.begin * M, pixels, rows + i * pitch);
        const T* from = rows;
        for (Index t = 0; t < tiles; ++t, from += M * lanes, to += panel)
            transform_square<M, Tile::size, V>(
                [](const auto& y, auto& m) LAMINA_INLINE_LAMBDA { Tile::output_adjoint(y, m); },
                [&](int i, int j) LAMINA_INLINE_LAMBDA { return simd::load<Arch>(from + i * pitch + j * lanes); },
                [&](int i, int j, V m) LAMINA_INLINE_LAMBDA { simd::store(to + (i * Tile::size + j) * stride, m); });
    }
}

/// sum [Rows, panel] (+)= sum over tiles of v [tile][Rows of the lanes] times d [tile][panel].
template <class Arch, class T, int Rows>
void winograd_grad_rows_product(const T* v, const T* d, Index tiles, T* to, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    constexpr int lanes = V::width, panel = 2 * lanes;
    V sum[Rows][2];
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        sum[i][0] = sum[i][1] = V(T(0));
        simd::prefetch_write(to + i * panel);
        simd::prefetch_write(to + i * panel + lanes);
    }
    _Pragma("GCC unroll 1") for (Index t = tiles; t > 0; --t, v += lanes, d += panel) {
        const V first = simd::load<Arch>(d), second = simd::load<Arch>(d + lanes);
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            const V x = simd::broadcast<Arch>(v + i);
            sum[i][0] = fma(x, first, sum[i][0]);
            sum[i][1] = fma(x, second, sum[i][1]);
        }
    }
    if (accumulate) {
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            sum[i][0] += simd::load<Arch>(to + i * panel);
            sum[i][1] += simd::load<Arch>(to + i * panel + lanes);
        }
    }
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        simd::store(to + i * panel, sum[i][0]);
        simd::store(to + i * panel + lanes, sum[i][1]);
    }
}

/// Writes taps [channel][tap][lanes] of up to a vector of input channels [channels) to the vector of output channels of
/// dw that begins at `co`.
template <class Arch, class T>
void store_taps(const Conv2dGeometry& g, const T* from, Index co, Piece channels, T* dw, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width;
    const Index count = smaller(lanes, g.out_channels - co), row = 9 * g.in_channels;
    T* const to = dw + co * row + channels.begin * 9;
    simd::row<Arch, T>(9 * channels.size(), [&](Index i, auto some) LAMINA_INLINE_LAMBDA {
        V square[lanes];
        simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA {
            square[c] = c < some ? simd::load<Arch>(from + (i + c) * lanes) : V(T(0));
        });
        simd::transpose(square);
        simd::unroll<int(lanes)>([&](auto c) LAMINA_INLINE_LAMBDA {
            if (c >= count) return;
            T* const taps = to + c * row + i;
            if (accumulate) square[c] += simd::load_count<Arch>(taps, some);
            simd::store_count(taps, square[c], some);
        });
    });
}

/// Turns the sums of one vector of output channels into 3 x 3 taps, for some input channels; frequency f of the first
/// is at `from + f * stride`.
template <class Arch, class T, int M>
void write_weight_grad(const Conv2dGeometry& g, const T* from, Index stride, Index co, Piece channels, T* dw,
                       bool accumulate) {
    using Tile = WinogradTile<M>;
    using V = simd::Vec<T, Arch>;
    constexpr Index lanes = V::width, panel = 2 * lanes;
    alignas(64) T taps[9 * lanes * lanes];
    for (Index begin = channels.begin; begin < channels.end; begin += lanes) {
        const Piece some{begin, smaller(begin + lanes, channels.end)};
        T* w = taps;
        for (Index ci = some.begin; ci < some.end; ++ci, w += 9 * lanes, from += panel)
            transform_square<Tile::size, 3, V>(
                [](const auto& u, auto& v) LAMINA_INLINE_LAMBDA { Tile::weight_adjoint(u, v); },
                [&](int i, int j)
                    LAMINA_INLINE_LAMBDA { return simd::load<Arch>(from + (i * Tile::size + j) * stride); },
                [&](int i, int j, V x) LAMINA_INLINE_LAMBDA { simd::store(w + (i * 3 + j) * lanes, x); });
        store_taps<Arch>(g, taps, co, some, dw, accumulate);
    }
}

/// The gradient for some vectors of input channels and some panels of output channels.
template <class Arch, class T, int M>
void winograd_grad_weight_part(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate, Piece vectors,
                               Piece panels) {
    using Policy = WinogradGradPolicy;
    constexpr Index lanes = simd::Vec<T, Arch>::width, panel = 2 * lanes, frequencies = (M + 2) * (M + 2);
    constexpr int rows = winograd_grad_rows<Arch, T>;
    const Index columns = vectors.size() * lanes, tile_size = frequencies * (columns + panels.size() * panel);
    const TileGrid grid(g, M, larger(Policy::least_tiles, Policy::tile_bytes / (tile_size * Index(sizeof(T)))));
    const Index most = grid.most();
    const Index v_stride = columns * most + winograd_line<T>,
                d_stride = panels.size() * panel * most + winograd_line<T>;
    const Index sum_stride = columns * panel + winograd_line<T>;
    T* const v = parallel::scratch<T>(frequencies * (v_stride + d_stride), Policy::tile_slot);
    T* const d = v + frequencies * v_stride;
    T* const sums = parallel::scratch<T>(frequencies * panels.size() * sum_stride, Policy::sum_slot);
    for (Index b = 0; b < grid.blocks(); ++b) {
        const TileBlock block = grid.block(b);
        const Index tiles = block.tiles();
        parallel::for_each(vectors.size() + 2 * panels.size(), [&](Index i) {
            const Index half = i - vectors.size();
            if (half < 0)
                winograd_input<Arch, T, M>(g, grid, block, x, (vectors.begin + i) * lanes, v + i * tiles * lanes,
                                           v_stride, Policy::pixel_slot);
            else
                winograd_output_grad<Arch, T, M>(g, grid, block, dy, panels.begin * panel + half * lanes,
                                                 d + half / 2 * tiles * panel + half % 2 * lanes, d_stride,
                                                 Policy::pixel_slot);
        });
        // Each sum belongs to one task and grows block by block, so that threads do not change it.
        parallel::for_each(frequencies * panels.size(), [&](Index i) {
            const Index f = i / panels.size(), p = i % panels.size();
            T* const to = sums + (p * frequencies + f) * sum_stride;
            for (Index c = 0; c < columns; c += rows)
                winograd_grad_rows_product<Arch, T, rows>(v + f * v_stride + c / lanes * tiles * lanes + c % lanes,
                                                          d + f * d_stride + p * tiles * panel, tiles, to + c * panel,
                                                          b > 0);
        });
    }
    parallel::for_each(2 * panels.size(), [&](Index half) {
        const Index co = panels.begin * panel + half * lanes;
        const Piece channels{vectors.begin * lanes, smaller(vectors.end * lanes, g.in_channels)};
        if (co < g.out_channels)
            write_weight_grad<Arch, T, M>(g, sums + half / 2 * frequencies * sum_stride + half % 2 * lanes, sum_stride,
                                          co, channels, dw, accumulate);
    });
}

}  // namespace detail

template <class Arch, class T>
void winograd_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    if (g.batch * g.plane() == 0) {
        if (!accumulate)
            for (Index i = 0; i < 9 * g.in_channels * g.out_channels; ++i) dw[i] = T(0);
        return;
    }
    // Squares of channels whose sums stay within bounds; each of them transforms its channels anew.
    const Index vectors = detail::ceil_div(g.in_channels, lanes), panels = detail::ceil_div(g.out_channels, 2 * lanes);
    const auto too_large = [&](Index in, Index out) {
        return detail::ceil_div(vectors, in) * detail::ceil_div(panels, out) * 36 * 2 * lanes * lanes *
                   Index(sizeof(T)) >
               detail::WinogradGradPolicy::sum_bytes;
    };
    Index in = 1, out = 1;
    while (too_large(in, out) && (in < vectors || out < panels))
        ++(vectors * out > 2 * panels * in && in < vectors ? in : out);
    for (Index i = 0; i < in; ++i)
        for (Index o = 0; o < out; ++o)
            detail::winograd_grad_weight_part<Arch, T, 4>(g, dy, x, dw, accumulate, detail::piece(vectors, in, i),
                                                          detail::piece(panels, out, o));
}

}  // namespace lamina::inline LAMINA_ABI::kernels
#undef LAMINA_UNROLL
