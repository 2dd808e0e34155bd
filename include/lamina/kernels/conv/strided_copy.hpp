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

/// to[i] = from[i * step] for i in [0, n); nothing behind the last element is read or written.
template <class Arch, class T>
LAMINA_INLINE void copy_every(const T* from, Index step, T* to, Index n) {
    if (step == 1)
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            simd::store_count(to + i, simd::load_count<Arch>(from + i, count), count);
        });
    else
        for (Index i = 0; i < n; ++i) to[i] = from[i * step];
}

/// A vector of every second of the `count` elements at `from`, of 2 * width - 1 at most; zeros behind the last.
template <class Arch, class T>
LAMINA_INLINE simd::Vec<T, Arch> load_every_second(const T* from, Index count) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    const auto low = simd::load_partial<Arch>(from, smaller(count, width));
    const auto high = simd::load_partial<Arch>(from + smaller(count, width), larger(0, count - width));
    return simd::deinterleave(low, high).first;
}

/// to[i] = from[i * step] for i in [0, n), and zeros from there to `end` or up to a vector further: a row of a strip,
/// whose neighbour is written next.
template <class Arch, class T>
LAMINA_INLINE void copy_row(const T* from, Index step, T* to, Index n, Index end) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    Index i = 0;
    if (step == 1) {
        for (; i + width <= n; i += width) simd::store(to + i, simd::load<Arch>(from + i));
        if (i < n) simd::store(to + i, simd::load_partial<Arch>(from + i, n - i)), i += width;
    } else if (step == 2) {
        for (; i + width < n; i += width) {
            const auto low = simd::load<Arch>(from + 2 * i), high = simd::load<Arch>(from + 2 * i + width);
            simd::store(to + i, simd::deinterleave(low, high).first);
        }
        if (i < n) simd::store(to + i, load_every_second<Arch>(from + 2 * i, 2 * (n - i) - 1)), i += width;
    } else {
        for (; i < n; ++i) to[i] = from[i * step];
    }
    for (; i < end; i += width) simd::store(to + i, simd::Vec<T, Arch>(T(0)));
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
