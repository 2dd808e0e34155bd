#pragma once
// The register tiles of the weight gradient of depthwise convolution: a block of the kernel's taps, each summed over
// all outputs of a strip in a vector of its own.
#include <lamina/kernels/conv/depthwise/plane.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/rounded.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// A strip and the gradient of the output rows that read it.
template <class T>
struct DepthwiseWeightTask {
    const T* strip;        ///< what tap (0, 0) of the first output reads
    Index row_step;        ///< of the strip, from one output row to the next
    Index tap_step;        ///< and from one row of the kernel to the next
    const Index* columns;  ///< where each column of the kernel is
    const T* dy;           ///< [rows, width]
    Index rows, width;
};

/// Adds the gradients of the taps [i, i + I) x [k, k + K) to the kernel `dw` with rows of `kernel_w`.
template <class Arch, class T, int I, int K>
void depthwise_weight_tile(const DepthwiseWeightTask<T>& task, Index i0, Index k0, T* dw, Index kernel_w) {
    using V = simd::Vec<T, Arch>;
    V sum[I][K];
#pragma GCC unroll 8
    for (int i = 0; i < I; ++i) {
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) sum[i][k] = V(T(0));
    }
    const T *strip = task.strip + i0 * task.tap_step, *dy = task.dy;
    for (Index r = 0; r < task.rows; ++r, strip += task.row_step, dy += task.width)
        simd::row<Arch, T>(task.width, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
            const V d = simd::rounded(simd::load_count<Arch>(dy + j, count));
#pragma GCC unroll 8
            for (int k = 0; k < K; ++k) {
                const T* x = strip + task.columns[k0 + k] + j;
#pragma GCC unroll 8
                for (int i = 0; i < I; ++i)
                    sum[i][k] = fma(d, simd::load_count<Arch>(x + i * task.tap_step, count), sum[i][k]);
            }
        });
#pragma GCC unroll 8
    for (int i = 0; i < I; ++i) {
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) dw[(i0 + i) * kernel_w + k0 + k] += simd::reduce_add(sum[i][k]);
    }
}

/// Adds the gradients of all taps to `dw` [kernel_h, kernel_w].
template <class Arch, class T>
void depthwise_weight_tiles(const DepthwiseWeightTask<T>& task, Index kernel_h, Index kernel_w, T* dw) {
    for (Index i = 0; i < kernel_h;) {
        const Index left = kernel_h - i;
        if (kernel_w == 3 && left >= 3) depthwise_weight_tile<Arch, T, 3, 3>(task, i, 0, dw, kernel_w), i += 3;
        else if (kernel_w == 5 && left >= 2) depthwise_weight_tile<Arch, T, 2, 5>(task, i, 0, dw, kernel_w), i += 2;
        else {
            Index k = 0;
            for (; k + 5 <= kernel_w; k += 5) depthwise_weight_tile<Arch, T, 1, 5>(task, i, k, dw, kernel_w);
            for (; k < kernel_w; ++k) depthwise_weight_tile<Arch, T, 1, 1>(task, i, k, dw, kernel_w);
            ++i;
        }
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
