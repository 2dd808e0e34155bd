#pragma once
// The gradient of a convolution's weights for images of a few pixels: products of every pixel of the result with every
// pixel of the input, all in one product of matrices, added up by the taps that lie between them.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/gemm/gemm.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::kernels {

/// Are so few pairs of pixels without a tap between them that the detour pays?
inline bool pixel_pairs_pay(const Conv2dGeometry& g) {
    return g.groups == 1 && g.in_plane() <= 4 && g.plane() > 1 && 5 * g.in_plane() <= 3 * g.taps() && g.batch >= 16;
}

/// dw = dL/dw, or is added to when `accumulate`. For one group.
template <class Arch = simd::native, class T>
void pixel_pairs_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate);

template <class Arch, class T>
void pixel_pairs_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate) {
    const Index outs = g.plane(), ins = g.in_plane(), rows = g.out_channels * outs, columns = g.in_channels * ins;
    const auto storage = Storage::allocate(std::size_t(rows * columns) * sizeof(T));
    T* const products = reinterpret_cast<T*>(storage->data());
    gemm<Arch>({rows, columns, g.batch}, transposed(dy, rows), row_major(x, columns), products, columns);

    struct Pair {
        Index product, tap;
    };
    std::vector<Pair> pairs;
    for (Index o = 0; o < outs; ++o)
        for (Index i = 0; i < ins; ++i)
            for (Index tap = 0; tap < g.taps(); ++tap)
                if (o / g.out_w * g.stride_h - g.pad_h + tap / g.kernel_w * g.dilation_h == i / g.in_w &&
                    o % g.out_w * g.stride_w - g.pad_w + tap % g.kernel_w * g.dilation_w == i % g.in_w)
                    pairs.push_back({o * columns + i, tap});
    parallel::for_range(g.out_channels, parallel::grain_for(columns * outs), [&](Index begin, Index end) {
        for (Index c = begin * g.in_channels; c < end * g.in_channels; ++c) {
            const T* from = products + c / g.in_channels * outs * columns + c % g.in_channels * ins;
            T* to = dw + c * g.taps();
            for (Index tap = 0; tap < g.taps() && !accumulate; ++tap) to[tap] = T(0);
            for (const Pair& pair : pairs) to[pair.tap] += from[pair.product];
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
