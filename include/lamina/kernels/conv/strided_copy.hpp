#pragma once
// Rows of an image copied through a stride: what convolutions gather their patches and strips with.
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// p[0 … n) = 0.
template <class Arch, class T>
LAMINA_INLINE void fill_zero(T* p, Index n) {
    simd::row<Arch, T>(n, [&](Index i, auto count)
                              LAMINA_INLINE_LAMBDA { simd::store_count(p + i, simd::Vec<T, Arch>(T(0)), count); });
}

/// to[i] = from[i * step] for i in [0, n); nothing behind the last element is touched.
template <class Arch, class T>
LAMINA_INLINE void copy_every(const T* from, Index step, T* to, Index n) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    if (step == 1)
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            simd::store_count(to + i, simd::load_count<Arch>(from + i, count), count);
        });
    else if (step == 2)
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            // The last element is the first of a pair whose other half need not exist.
            const Index pairs = 2 * Index(count) - 1;
            const auto low = simd::load_partial<Arch>(from + 2 * i, smaller(pairs, width));
            const auto high = simd::load_partial<Arch>(from + 2 * i + width, larger(0, pairs - width));
            simd::store_count(to + i, simd::deinterleave(low, high).first, count);
        });
    else
        for (Index i = 0; i < n; ++i) to[i] = from[i * step];
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
