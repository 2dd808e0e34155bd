#pragma once
// The products of Winograd: for one frequency, transformed tiles [tiles, channels] times a panel of transformed weights
// [channels, two vectors of output channels]. Tiles are stored a vector of channels at a time, side by side for each
// tile, so that a step reads its tiles at constant distances from one pointer.
#include <lamina/kernels/conv/winograd/blocks.hpp>
#include <lamina/kernels/gemm/tile.hpp>

#define LAMINA_UNROLL _Pragma("GCC unroll 32")

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// What is fetched to the second-level cache while a product runs: `count` elements in a row.
template <class T>
struct Ahead {
    const T* data;
    Index count;
};

/// Some tiles times one panel.
template <class T>
struct WinogradProduct {
    const T* v;        ///< [channels / lanes][tiles][lanes]
    Index v_step;      ///< from one vector of channels to the next
    const T* u;        ///< [channels][panel]
    Index channels;    ///< that are summed over
    T* m;              ///< [tiles][panel]
    bool accumulate;   ///< are they added to m?
    Ahead<T> next[2];  ///< what the products to come read; within a register tile `count` is for each channel
};

template <class Arch, class T, int Rows>
void winograd_rows(const WinogradProduct<T>& g) {
    using V = simd::Vec<T, Arch>;
    constexpr int lanes = V::width, panel = 2 * lanes, line = 64 / int(sizeof(T));
    V sum[Rows][2];
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) sum[i][0] = sum[i][1] = V(T(0));
    const T *v = g.v, *u = g.u, *next_0 = g.next[0].data, *next_1 = g.next[1].data;
    const Index skip = g.v_step - lanes, step_0 = g.next[0].count, step_1 = g.next[1].count;
    Index lane = lanes;
    _Pragma("GCC unroll 1") for (Index k = g.channels; k > 0; --k) {
        const V first = simd::load<Arch>(u), second = simd::load<Arch>(u + lanes);
        simd::prefetch(u + 8 * panel);
        if constexpr (panel > line) simd::prefetch(u + 8 * panel + line);
        simd::prefetch_l2(next_0);
        simd::prefetch_l2(next_1);
        next_0 += step_0;
        next_1 += step_1;
        u += panel;
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            const V x = simd::broadcast<Arch>(v + i * lanes);
            sum[i][0] = fma(x, first, sum[i][0]);
            sum[i][1] = fma(x, second, sum[i][1]);
        }
        ++v;
        if (--lane == 0) {
            v += skip;
            lane = lanes;
        }
    }
    T* m = g.m;
    if (g.accumulate) {
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            sum[i][0] += simd::load<Arch>(m + i * panel);
            sum[i][1] += simd::load<Arch>(m + i * panel + lanes);
        }
    }
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        simd::store(m + i * panel, sum[i][0]);
        simd::store(m + i * panel + lanes, sum[i][1]);
    }
}

template <class Arch, class T, int... Rows>
void winograd_rows_for(Index rows, const WinogradProduct<T>& g, std::integer_sequence<int, Rows...>) {
    using Function = void (*)(const WinogradProduct<T>&);
    static constexpr Function table[] = {&winograd_rows<Arch, T, Rows + 1>...};
    table[rows - 1](g);
}

/// All tiles of a block times one panel, in equal groups of as many tiles as the registers hold.
template <class Arch, class T>
void winograd_multiply(WinogradProduct<T> g, Index tiles) {
    constexpr Index lanes = simd::Vec<T, Arch>::width, panel = 2 * lanes;
    const Index groups = ceil_div(tiles, tile_rows<Arch>);
    const WinogradProduct<T> all = g;
    // Weights are two lines a channel, which one stream can fetch for the next panel unless there is but one group of
    // tiles: then they need both.
    if (groups == 1) {
        g.next[0].count = all.next[0].count / 2;
        g.next[1] = {all.next[0].data + g.next[0].count, all.next[0].count - g.next[0].count};
    }
    const Ahead<T> next[2] = {g.next[0], g.next[1]};
    for (Ahead<T>& ahead : g.next) ahead.count = ceil_div(ahead.count, groups * g.channels);
    for (Index i = 0; i < groups; ++i) {
        const Piece rows = piece(tiles, groups, i);
        g.v = all.v + rows.begin * lanes;
        g.m = all.m + rows.begin * panel;
        for (int k = 0; k < 2; ++k) g.next[k].data = next[k].data + i * g.channels * g.next[k].count;
        winograd_rows_for<Arch>(rows.size(), g, std::make_integer_sequence<int, tile_rows<Arch>>{});
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
#undef LAMINA_UNROLL
