#pragma once
// Enlargement by two, bilinear, where pixel 2 i of the result is pixel i: each row is read for the two below it and
// nothing lies between.
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [planes, 2 height, 2 width] = f of lanes of x [planes, height, width] enlarged; behind the last pixel is itself.
template <class Arch = simd::native, class T, class F>
void enlarge_twice(Index planes, Index height, Index width, const T* x, T* y, const F& f) {
    using V = simd::Vec<T, Arch>;
    const Index grain = parallel::grain_for(4 * height * width / V::width);
    parallel::for_range(planes, grain, [&](Index begin, Index end) {
        for (Index row = begin * height; row < end * height; ++row) {
            const T* upper = x + row * width;
            const T* lower = (row + 1) % height ? upper + width : upper;
            T *even = y + 4 * row * width, *odd = even + 2 * width;
            const auto spread = [&](T* to, V pixels, V between, Index count) LAMINA_INLINE_LAMBDA {
                const auto pair = simd::interleave(f(pixels), f(between));
                const Index first = detail::smaller(2 * count, V::width);
                simd::store_partial(to, pair.first, first);
                if (2 * count > V::width) simd::store_partial(to + V::width, pair.second, 2 * count - first);
            };
            const auto both = [&](Index i, V a, V b, V c, V d, Index count) LAMINA_INLINE_LAMBDA {
                const V half(T(0.5)), top = (a + b) * half, side = (a + c) * half;
                spread(even + 2 * i, a, top, count);
                spread(odd + 2 * i, side, (top + (c + d) * half) * half, count);
            };
            simd::row<Arch, T>(width - 1, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const auto at = [&](const T* p) LAMINA_INLINE_LAMBDA { return simd::load_count<Arch>(p + i, count); };
                both(i, at(upper), at(upper + 1), at(lower), at(lower + 1), Index(count));
            });
            const V a(upper[width - 1]), c(lower[width - 1]);
            both(width - 1, a, a, c, c, 1);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
