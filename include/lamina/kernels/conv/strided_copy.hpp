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
    else if (step == 2)
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            // Behind the last element there may be nothing.
            constexpr Index width = simd::Vec<T, Arch>::width;
            const Index rest = smaller(2 * width, 2 * (n - i) - 1), low = smaller(rest, width);
            const auto first = simd::load_partial<Arch>(from + 2 * i, low);
            const auto second = simd::load_partial<Arch>(from + 2 * i + low, rest - low);
            simd::store_count(to + i, simd::deinterleave(first, second).first, count);
        });
    else
        for (Index i = 0; i < n; ++i) to[i] = from[i * step];
}

/// p[0 … n) = 0 by whole vectors, which may write up to one more.
template <class Arch, class T>
LAMINA_INLINE void zero_ahead(T* p, Index n) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    for (Index i = 0; i < n; i += width) simd::store(p + i, simd::Vec<T, Arch>(T(0)));
}

/// A row of a strip whose right neighbour is written next: zeros up to `begin`, every step-th element of `from` up to
/// `end`, zeros up to `width` or up to a vector further.
template <class Arch, class T>
LAMINA_INLINE void copy_row(const T* from, Index step, T* to, Index begin, Index end, Index width) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    zero_ahead<Arch>(to, begin);
    Index i = begin;
    if (step == 1) {
        for (; i + lanes <= end; i += lanes, from += lanes) simd::store(to + i, simd::load<Arch>(from));
        if (i < end) simd::store(to + i, simd::load_partial<Arch>(from, end - i)), i += lanes;
    } else if (step == 2) {
        const auto store = [&](auto low, auto high)
                               LAMINA_INLINE_LAMBDA { simd::store(to + i, simd::deinterleave(low, high).first); };
        for (; i + lanes < end; i += lanes, from += 2 * lanes)
            store(simd::load<Arch>(from), simd::load<Arch>(from + lanes));
        if (i < end) {
            // Behind the last element there may be nothing.
            const Index rest = 2 * (end - i) - 1, low = smaller(rest, lanes);
            store(simd::load_partial<Arch>(from, low), simd::load_partial<Arch>(from + low, rest - low));
            i += lanes;
        }
    } else {
        for (; i < end; ++i, from += step) to[i] = *from;
    }
    zero_ahead<Arch>(to + i, width - i);
}

/// Two such rows: the even elements of from [0, n), after zeros up to `first_even`, and the odd ones after `first_odd`.
template <class Arch, class T>
LAMINA_INLINE void copy_halves(const T* from, Index n, T* even, Index first_even, T* odd, Index first_odd,
                               Index width) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    zero_ahead<Arch>(even, first_even);
    zero_ahead<Arch>(odd, first_odd);
    const auto store = [&](Index i, auto low, auto high) LAMINA_INLINE_LAMBDA {
        const auto halves = simd::deinterleave(low, high);
        simd::store(even + first_even + i, halves.first);
        simd::store(odd + first_odd + i, halves.second);
    };
    Index i = 0;
    for (; 2 * (i + lanes) <= n; i += lanes)
        store(i, simd::load<Arch>(from + 2 * i), simd::load<Arch>(from + 2 * i + lanes));
    if (2 * i < n) {
        const Index rest = n - 2 * i, low = smaller(rest, lanes);
        store(i, simd::load_partial<Arch>(from + 2 * i, low), simd::load_partial<Arch>(from + 2 * i + low, rest - low));
        i += lanes;
    }
    zero_ahead<Arch>(even + first_even + i, width - first_even - i);
    zero_ahead<Arch>(odd + first_odd + i, width - first_odd - i);
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
