#pragma once
// Sums and extrema across lanes by halving: lane i meets lane i + width/2, and so on down to one. K vectors are halved
// among themselves first, so that K * width accumulators give the same bits whatever the width: a kernel that must not
// depend on the instruction set keeps a fixed number of accumulators (say 16) and reduces them all here.
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// Combines the lanes of `a` with `f` on Vec<T, scalar> or narrower vectors, by halving. `f` is generic.
template <class T, class Arch, class F>
LAMINA_INLINE T reduce(Vec<T, Arch> a, F&& f) {
    if constexpr (Vec<T, Arch>::width == 1) return a.v;
    else if constexpr (Arch::bytes > 16) {
        using Half = Vec<T, std::conditional_t<Arch::bytes == 64, avx2, sse4_2>>;
        const auto half = [&]<int... I>(auto first, std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA {
            return Half::wrap(__builtin_shufflevector(a.v, a.v, (first + I)...));
        };
        constexpr auto lanes = std::make_integer_sequence<int, Half::width>{};
        return reduce(
            f(half(std::integral_constant<int, 0>{}, lanes), half(std::integral_constant<int, Half::width>{}, lanes)),
            f);
    } else if constexpr (sizeof(T) == 4) {
        using V = Vec<T, Arch>;
        const V b = f(a, V::wrap(__builtin_shufflevector(a.v, a.v, 2, 3, 2, 3)));
        return f(b, V::wrap(__builtin_shufflevector(b.v, b.v, 1, 1, 1, 1)))[0];
    } else {
        using V = Vec<T, Arch>;
        return f(a, V::wrap(__builtin_shufflevector(a.v, a.v, 1, 1)))[0];
    }
}

/// Sum of all lanes, by halving.
template <class T, class Arch>
LAMINA_INLINE T reduce_add(Vec<T, Arch> a) {
    return reduce(a, [](auto x, auto y) LAMINA_INLINE_LAMBDA { return x + y; });
}
/// Largest lane, by halving with max(x, y) (whose NaN rule is Vec's).
template <class T, class Arch>
LAMINA_INLINE T reduce_max(Vec<T, Arch> a) {
    return reduce(a, [](auto x, auto y) LAMINA_INLINE_LAMBDA { return max(x, y); });
}
/// Smallest lane, by halving with min(x, y) (whose NaN rule is Vec's).
template <class T, class Arch>
LAMINA_INLINE T reduce_min(Vec<T, Arch> a) {
    return reduce(a, [](auto x, auto y) LAMINA_INLINE_LAMBDA { return min(x, y); });
}

/// Sum of K vectors (K a power of two), by halving; depends on K * width only, not on the width.
template <int K, class T, class Arch>
LAMINA_INLINE T reduce_add(const Vec<T, Arch> (&a)[K]) {
    static_assert((K & (K - 1)) == 0, "reduce_add: a power of two of vectors");
    if constexpr (K == 1) return reduce_add(a[0]);
    else {
        Vec<T, Arch> half[K / 2];
        unroll<K / 2>([&](auto k) LAMINA_INLINE_LAMBDA { half[k] = a[k] + a[k + K / 2]; });
        return reduce_add(half);
    }
}

}  // namespace lamina::inline LAMINA_ABI::simd
