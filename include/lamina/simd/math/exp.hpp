#pragma once
// Exponentials. With n = round(x / ln 2) and r = x - n ln 2 (ln 2 in two parts), e^x = 2^n (1 + r + r^2 P(r)), where P
// is a minimax polynomial on |r| <= ln 2 / 2. Underflow is gradual.
#include <lamina/simd/math/common.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
    // The high part has 9 bits: n times it is exact without fma.
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float lowest = -104.0f, highest = 89.0f, expm1_lowest = -18.0f, tiny = 0x1p-26f;
    static constexpr float exp[] = {0.49999994f, 0.166665211f, 0.0416683853f, 0.00836871751f, 0.00138146791f};
    static constexpr float expm1[] = {0.5f, 0.166666672f, 0.0416663513f, 0.00833329838f, 0.0013941119f, 0.00019899277f};
};
template <>
struct ExpConstants<double> {
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double lowest = -746.0, highest = 710.0, expm1_lowest = -38.0, tiny = 0x1p-55;
    static constexpr double exp[] = {0.5,
                                     0.16666666666666682,
                                     0.041666666666666095,
                                     0.008333333333317034,
                                     0.0013888888889115629,
                                     0.00019841269896383773,
                                     2.480158692663994e-05,
                                     2.75572348617784e-06,
                                     2.7557581837210486e-07,
                                     2.511203692926977e-08,
                                     2.082663155385172e-09};
    static constexpr double expm1[] = {0.5,
                                       0.16666666666666666,
                                       0.04166666666666669,
                                       0.008333333333333335,
                                       0.0013888888888871874,
                                       0.00019841269841258522,
                                       2.480158735013986e-05,
                                       2.755731925631148e-06,
                                       2.7557251877286425e-07,
                                       2.505206352370628e-08,
                                       2.0921588919675597e-09,
                                       1.6088919836472912e-10};
};

/// n as a number and as n + magic, and the rest of the argument.
template <class V>
struct ExpReduced {
    V n, n_plus_magic, r;
};
template <class T, class Arch>
LAMINA_INLINE ExpReduced<Vec<T, Arch>> exp_reduce(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using C = ExpConstants<T>;
    const V magic = FloatFormat<T>::magic, t = fma(x, V(T(1.4426950408889634)), magic), n = t - magic;
    return {n, t, fnma(n, V(C::ln2_low), fnma(n, V(C::ln2_high), x))};
}

/// e^r - 1 for a reduced argument.
template <class T, class Arch, int N>
LAMINA_INLINE Vec<T, Arch> exp_tail(Vec<T, Arch> r, const T (&c)[N]) {
    return fma(r * r, polynomial(r, c), r);
}

/// e^x - 1 where x is neither below expm1_lowest nor above highest; loses the last bit of subnormal numbers.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> expm1_inside(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const auto [n, t, r] = exp_reduce(x);
    // Half of 2^n, since 2^128 is infinite.
    const V half = power_of_two(t - V(T(1)));
    const V m = fma(half, exp_tail(r, ExpConstants<T>::expm1), half - V(T(0.5)));
    return m + m;
}

/// e^x as value (1 + lost): what the last addition of 1 rounded away.
template <class V>
struct ExpInTwo {
    V value, lost;
};
template <class T, class Arch>
LAMINA_INLINE ExpInTwo<Vec<T, Arch>> exp_in_two(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V one = T(1);
    const auto [n, t, r] = exp_reduce(x);
    const V tail = exp_tail(r, ExpConstants<T>::exp), p = one + tail;
    return {scale(p, n), tail - (p - one)};
}

}  // namespace raw

/// e to the power x.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> exp(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using C = raw::ExpConstants<T>;
    const auto [n, t, r] = raw::exp_reduce(min(V(C::highest), max(V(C::lowest), x)));
    return raw::scale(V(T(1)) + raw::exp_tail(r, C::exp), n);
}
LAMINA_SIMD_NUMBERS(exp)

/// 2 to the power x.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> exp2(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V lowest = raw::pick<T>(-151.0f, -1076.0), highest = raw::pick<T>(128.0f, 1024.0);
    const V inside = min(highest, max(lowest, x)), magic = raw::FloatFormat<T>::magic, n = (inside + magic) - magic;
    return raw::scale(V(T(1)) + raw::exp_tail((inside - n) * V(T(0.6931471805599453)), raw::ExpConstants<T>::exp), n);
}
LAMINA_SIMD_NUMBERS(exp2)

/// e^x - 1, exact to the last place also near 0.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> expm1(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using C = raw::ExpConstants<T>;
    const V y = raw::expm1_inside(min(V(C::highest), max(V(C::expm1_lowest), x)));
    return select(abs(x) < V(C::tiny), x, y);
}
LAMINA_SIMD_NUMBERS(expm1)

}  // namespace lamina::inline LAMINA_ABI::simd
