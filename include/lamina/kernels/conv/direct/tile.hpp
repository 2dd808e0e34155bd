#pragma once
// The two register tiles of a direct convolution. Both walk the whole sum in one flat loop whose input addresses come
// from a table, so that one loop serves every kernel size, stride and dilation. Pixels as lanes: rows of the result are
// vectors and weights are broadcast. Channels as lanes: weights are vectors and pixels are broadcast; for small planes.
#include <lamina/kernels/conv/direct/plan.hpp>

// Unrolled loops over constants keep `sum` in registers under GCC and Clang, as in the matrix product's tile.
#define LAMINA_UNROLL _Pragma("GCC unroll 32")

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// The operands of one tile.
template <class T>
struct DirectTask {
    const T* strip;                 ///< what the first pixel reads before any offset
    Index pitch;                    ///< from one row of pixels to the next
    const Index* offsets;           ///< into the strip, for each term of the sum
    Index depth;                    ///< terms of the sum
    const T* weights;               ///< of the first channel, or packed lanes of channels
    Index weight_row, weight_step;  ///< from channel to channel and term to term
    T* out;                         ///< rows of pixels a channel each, or pixels of lanes each
    Index out_row, columns;         ///< from row to row, and pixels in the last vector
    bool accumulate;
};

template <class T>
using DirectTile = void (*)(const DirectTask<T>&);

/// Rows channels x Vectors vectors of pixels.
template <class Arch, class T, int Rows, int Vectors>
void pixel_lanes_tile(const DirectTask<T>& t) {
    using V = simd::Vec<T, Arch>;
    constexpr int width = V::width, bases = (Rows + 2) / 3, line = 64 / int(sizeof(T));
    // One base for three rows, as in the matrix product's tile.
    const T* row[bases];
    LAMINA_UNROLL
    for (int q = 0; q < bases; ++q) row[q] = t.weights + 3 * q * t.weight_row;
    V sum[Rows][Vectors];
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        LAMINA_UNROLL
        for (int j = 0; j < Vectors; ++j) sum[i][j] = V(T(0));
    }
    const Index weight_row = t.weight_row, weight_step = t.weight_step;
    const T* strip = t.strip;
    const Index *offset = t.offsets, *end = offset + t.depth;
    _Pragma("GCC unroll 1") for (; offset < end; ++offset) {
        const T* pixels = strip + *offset;
        V x[Vectors];
        LAMINA_UNROLL
        for (int j = 0; j < Vectors; ++j) x[j] = simd::load<Arch>(pixels + j * width);
        // What the next tile of these channels reads: channels lie too far apart for the processor to foresee it.
        LAMINA_UNROLL
        for (int j = 0; j < Vectors * width; j += line) simd::prefetch(pixels + Vectors * width + j);
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            const V w = simd::broadcast<Arch>(row[i / 3] + i % 3 * weight_row);
            LAMINA_UNROLL
            for (int j = 0; j < Vectors; ++j) sum[i][j] = fma(w, x[j], sum[i][j]);
        }
        LAMINA_UNROLL
        for (int q = 0; q < bases; ++q) row[q] += weight_step;
    }
    T* out = t.out;
    const Index last = t.columns;
    if (t.accumulate) {
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            LAMINA_UNROLL
            for (int j = 0; j < Vectors; ++j)
                sum[i][j] += simd::load_partial<Arch>(out + i * t.out_row + j * width, j + 1 < Vectors ? width : last);
        }
    }
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i, out += t.out_row) {
        LAMINA_UNROLL
        for (int j = 0; j + 1 < Vectors; ++j) simd::store(out + j * width, sum[i][j]);
        if (last == width) simd::store(out + (Vectors - 1) * width, sum[i][Vectors - 1]);
        else simd::store_partial(out + (Vectors - 1) * width, sum[i][Vectors - 1], last);
    }
}

/// Rows x Pixels pixels x Vectors vectors of channels; leaves lanes of channels, pixel after pixel.
template <class Arch, class T, int Rows, int Pixels, int Vectors>
void channel_lanes_tile(const DirectTask<T>& t) {
    using V = simd::Vec<T, Arch>;
    constexpr int width = V::width;
    V sum[Rows * Pixels][Vectors];
    LAMINA_UNROLL
    for (int i = 0; i < Rows * Pixels; ++i) {
        LAMINA_UNROLL
        for (int j = 0; j < Vectors; ++j) sum[i][j] = V(T(0));
    }
    const T *strip = t.strip, *weights = t.weights;
    const Index pitch = t.pitch, *offset = t.offsets, *end = offset + t.depth;
    _Pragma("GCC unroll 1") for (; offset < end; ++offset, weights += Vectors * width) {
        const T* pixels = strip + *offset;
        V w[Vectors];
        LAMINA_UNROLL
        for (int j = 0; j < Vectors; ++j) w[j] = simd::load<Arch>(weights + j * width);
        LAMINA_UNROLL
        for (int i = 0; i < Rows * Pixels; ++i) {
            const V x = simd::broadcast<Arch>(pixels + (i / Pixels) * pitch + i % Pixels);
            LAMINA_UNROLL
            for (int j = 0; j < Vectors; ++j) sum[i][j] = fma(x, w[j], sum[i][j]);
        }
    }
    T* out = t.out;
    LAMINA_UNROLL
    for (int i = 0; i < Rows * Pixels; ++i) {
        LAMINA_UNROLL
        for (int j = 0; j < Vectors; ++j) simd::store(out + (i * Vectors + j) * width, sum[i][j]);
    }
}

template <class Arch, class T, int Vectors, int... Rows>
DirectTile<T> pixel_lanes_tile_of(Index rows, std::integer_sequence<int, Rows...>) {
    static constexpr DirectTile<T> table[] = {&pixel_lanes_tile<Arch, T, Rows + 1, Vectors>...};
    return table[rows - 1];
}
template <class Arch, class T, int Rows, int Vectors, int... Pixels>
DirectTile<T> channel_lanes_tile_of(Index pixels, std::integer_sequence<int, Pixels...>) {
    static constexpr DirectTile<T> table[] = {&channel_lanes_tile<Arch, T, Rows, Pixels + 1, Vectors>...};
    return table[pixels - 1];
}

/// The tile for so many channels and pixels, at most tile_rows and a panel.
template <class Arch, class T>
DirectTile<T> pixel_lanes_tile_for(Index rows, Index pixels) {
    constexpr std::make_integer_sequence<int, tile_rows<Arch>> all{};
    return pixels > simd::Vec<T, Arch>::width ? pixel_lanes_tile_of<Arch, T, 2>(rows, all)
                                              : pixel_lanes_tile_of<Arch, T, 1>(rows, all);
}
/// The tile for one or two rows of pixels, at most tile_rows in all, and so many channels, at most a panel.
template <class Arch, class T>
DirectTile<T> channel_lanes_tile_for(Index rows, Index pixels, Index channels) {
    constexpr std::make_integer_sequence<int, tile_rows<Arch>> all{};
    constexpr std::make_integer_sequence<int, tile_rows<Arch> / 2> half{};
    const bool wide = channels > simd::Vec<T, Arch>::width;
    if (rows == 2)
        return wide ? channel_lanes_tile_of<Arch, T, 2, 2>(pixels, half)
                    : channel_lanes_tile_of<Arch, T, 2, 1>(pixels, half);
    return wide ? channel_lanes_tile_of<Arch, T, 1, 2>(pixels, all) : channel_lanes_tile_of<Arch, T, 1, 1>(pixels, all);
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
#undef LAMINA_UNROLL
