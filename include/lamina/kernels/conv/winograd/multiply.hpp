#pragma once
// The products of Winograd: for one frequency, transformed tiles [tiles, channels] times a panel of transformed weights
// [channels, two vectors of output channels]. Tiles are stored a vector of channels at a time, side by side for each
// tile, so that a step reads its tiles at constant distances from one pointer.
#include <lamina/kernels/conv/winograd/blocks.hpp>
#include <lamina/kernels/gemm/tile.hpp>

#define LAMINA_UNROLL _Pragma("GCC unroll 32")

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Some tiles times one panel.
template <class T>
struct WinogradProduct {
    const T* v;       ///< [channels / lanes][tiles][lanes]
    Index v_step;     ///< from one vector of channels to the next
    const T* u;       ///< [channels][panel]
    Index channels;   ///< that are summed over
    T* m;             ///< [tiles][panel]
    bool accumulate;  ///< are they added to m?
    const T* next;    ///< weights that follow, fetched to the second-level cache meanwhile,
    Index next_step;  ///< so many elements with every channel
};

template <class Arch, class T, int Rows>
void winograd_rows(const WinogradProduct<T>& g) {
    using V = simd::Vec<T, Arch>;
    constexpr int lanes = V::width, panel = 2 * lanes, line = 64 / int(sizeof(T));
    V sum[Rows][2];
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) sum[i][0] = sum[i][1] = V(T(0));
    const T *v = g.v, *u = g.u, *next = g.next;
    const Index skip = g.v_step - lanes, next_step = g.next_step;
    Index lane = lanes;
    _Pragma("GCC unroll 1") for (Index k = g.channels; k > 0; --k) {
        const V first = simd::load<Arch>(u), second = simd::load<Arch>(u + lanes);
        simd::prefetch(u + 8 * panel);
        if constexpr (panel > line) simd::prefetch(u + 8 * panel + line);
        simd::prefetch_l2(next);
        if constexpr (panel > line) simd::prefetch_l2(next + line);
        u += panel;
        next += next_step;
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
    g.next_step = ceil_div(panel, groups);
    for (Index i = 0; i < groups; ++i) {
        const Piece rows = piece(tiles, groups, i);
        g.v = all.v + rows.begin * lanes;
        g.m = all.m + rows.begin * panel;
        g.next = all.next + i * g.channels * g.next_step;
        winograd_rows_for<Arch>(rows.size(), g, std::make_integer_sequence<int, tile_rows<Arch>>{});
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
#undef LAMINA_UNROLL
