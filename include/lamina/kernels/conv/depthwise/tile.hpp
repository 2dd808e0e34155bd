#pragma once
// The register tiles of depthwise convolution: some output rows, one vector of columns. An element of the strip is
// loaded once for all the rows that it contributes to.
#include <lamina/kernels/conv/depthwise/plane.hpp>
#include <lamina/simd/rounded.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Some rows of one output channel.
template <class T>
struct DepthwiseTask {
    const T* strip;        ///< tap (0, 0) of the first row's first output
    Index pitch;           ///< between rows of the strip
    Index row_step;        ///< of the strip, from one output row to the next
    Index tap_step;        ///< and from one row of the kernel to the next
    const Index* columns;  ///< where each column of the kernel is
    Index kernel_h, kernel_w;
    const T* weight;  ///< [kernel_h, kernel_w]
    T* y;
    Index width;      ///< of a row of y
    bool accumulate;  ///< adds to y
};

/// `Rows` output rows of a kernel of `KernelH` rows and any number of columns, without vertical dilation.
template <class Arch, class T, int KernelH, int Stride, int Rows>
void depthwise_tile(const DepthwiseTask<T>& task) {
    using V = simd::Vec<T, Arch>;
    const Index width = task.width, pitch = task.pitch, kernel_w = task.kernel_w;
    for (Index j = 0; j < width; j += V::width) {
        V sum[Rows];
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) sum[r] = V(T(0));
        for (Index k = 0; k < kernel_w; ++k) {
            const T* from = task.strip + task.columns[k] + j;
            const T* w = task.weight + k;
            V weight[KernelH];
#pragma GCC unroll 8
            for (int i = 0; i < KernelH; ++i) weight[i] = simd::broadcast<Arch>(w + i * kernel_w);
#pragma GCC unroll 32
            for (int i = 0; i < (Rows - 1) * Stride + KernelH; ++i) {
                const V x = simd::rounded(simd::load<Arch>(from + i * pitch));
#pragma GCC unroll 8
                for (int r = 0; r < Rows; ++r)
                    if (i >= r * Stride && i < r * Stride + KernelH) sum[r] = fma(x, weight[i - r * Stride], sum[r]);
            }
        }
        const Index count = width - j;
        T* y = task.y + j;
        if (task.accumulate) {
#pragma GCC unroll 8
            for (int r = 0; r < Rows; ++r) sum[r] += simd::load_partial<Arch>(y + r * width, smaller(count, V::width));
        }
        if (count >= V::width) {
#pragma GCC unroll 8
            for (int r = 0; r < Rows; ++r) simd::store(y + r * width, sum[r]);
        } else {
#pragma GCC unroll 8
            for (int r = 0; r < Rows; ++r) simd::store_partial(y + r * width, sum[r], count);
        }
    }
}

/// The same for any kernel.
template <class Arch, class T, int Rows>
void depthwise_tile_any(const DepthwiseTask<T>& task) {
    using V = simd::Vec<T, Arch>;
    const Index width = task.width;
    simd::row<Arch, T>(width, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
        V sum[Rows];
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r)
            sum[r] = task.accumulate ? simd::load_count<Arch>(task.y + r * width + j, count) : V(T(0));
        for (Index i = 0; i < task.kernel_h; ++i)
            for (Index k = 0; k < task.kernel_w; ++k) {
                const T* from = task.strip + i * task.tap_step + task.columns[k] + j;
                const V weight = simd::broadcast<Arch>(task.weight + i * task.kernel_w + k);
#pragma GCC unroll 8
                for (int r = 0; r < Rows; ++r) sum[r] = fma(simd::load<Arch>(from + r * task.row_step), weight, sum[r]);
            }
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) simd::store_count(task.y + r * width + j, sum[r], count);
    });
}

/// Tiles of 7, 3 and 1 rows: most heights of feature maps are multiples of 7.
template <class T>
struct DepthwiseTiles {
    using Tile = void (*)(const DepthwiseTask<T>&);
    Tile seven, three, one;
};
template <class Arch, class T, int KernelH, int Stride>
DepthwiseTiles<T> depthwise_tiles() {
    return {depthwise_tile<Arch, T, KernelH, Stride, 7>, depthwise_tile<Arch, T, KernelH, Stride, 3>,
            depthwise_tile<Arch, T, KernelH, Stride, 1>};
}
template <class Arch, class T>
DepthwiseTiles<T> depthwise_tiles(const DepthwiseAxis& h) {
    if (h.dilation == 1 && h.stride <= 2) {
        const bool two = h.stride == 2;
        if (h.kernel == 3) return two ? depthwise_tiles<Arch, T, 3, 2>() : depthwise_tiles<Arch, T, 3, 1>();
        if (h.kernel == 5) return two ? depthwise_tiles<Arch, T, 5, 2>() : depthwise_tiles<Arch, T, 5, 1>();
        if (h.kernel == 7) return two ? depthwise_tiles<Arch, T, 7, 2>() : depthwise_tiles<Arch, T, 7, 1>();
    }
    return {depthwise_tile_any<Arch, T, 7>, depthwise_tile_any<Arch, T, 3>, depthwise_tile_any<Arch, T, 1>};
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
