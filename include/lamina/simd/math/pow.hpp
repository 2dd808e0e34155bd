#pragma once
// Powers: a^b = exp(b log a) with the logarithm and the product in two parts each, so that the error stays that of the
// exponential. log(1 + t) = 2s + s z (2/3 + z Q(z)) with s = t / (2 + t), z = s^2, Q minimax.
#include <lamina/simd/math/exp.hpp>
#include <lamina/simd/math/log.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

template <class T>
struct PowConstants;
template <>
struct PowConstants<float> {
    static constexpr float third = 0.6666666865348816f, third_low = -1.9868214925130207e-08f;
    static constexpr float q[] = {0.400001526f, 0.28547129f, 0.234186873f};
};
template <>
struct PowConstants<double> {
    static constexpr double third = 0.6666666666666666, third_low = 3.700743415417188e-17;
    static constexpr double q[] = {0.40000000000002256, 0.28571428570099305, 0.22222222519969356, 0.18181784363168,
                                   0.15386757508858742, 0.13256813704714265, 0.131963654524727};
};

/// A number as a rounded value and the rest.
template <class V>
struct TwoPart {
    V high, low;
};

/// a + b for |a| >= |b| or a = 0.
template <class T, class Arch>
LAMINA_INLINE TwoPart<Vec<T, Arch>> two_sum(Vec<T, Arch> a, Vec<T, Arch> b) {
    const auto sum = a + b;
    return {sum, b - (sum - a)};
}

template <class T, class Arch>
LAMINA_INLINE TwoPart<Vec<T, Arch>> two_product(Vec<T, Arch> a, Vec<T, Arch> b) {
    const auto product = a * b;
    if constexpr (has_fma) return {product, fms(a, b, product)};
    else {
        // Dekker: halves of the mantissas have exact products.
        using U = unsigned_of_size<sizeof(T)>;
        const Vec<U, Arch> upper = ~U(0) << (sizeof(T) == 4 ? 12 : 27);
        const auto a1 = bit_cast_to<T>(bit_cast_to<U>(a) & upper), a2 = a - a1;
        const auto b1 = bit_cast_to<T>(bit_cast_to<U>(b) & upper), b2 = b - b1;
        return {product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2};
    }
}
template <class T, class Arch>
LAMINA_INLINE TwoPart<Vec<T, Arch>> operator*(TwoPart<Vec<T, Arch>> a, TwoPart<Vec<T, Arch>> b) {
    const auto p = two_product(a.high, b.high);
    return {p.high, p.low + fma(a.high, b.low, a.low * b.high)};
}

/// log a for positive, finite a.
template <class T, class Arch>
LAMINA_INLINE TwoPart<Vec<T, Arch>> log_in_two(Vec<T, Arch> a) {
    using V = Vec<T, Arch>;
    using C = PowConstants<T>;
    using Two = TwoPart<V>;
    const auto [t, e] = log_parts(a);
    const V two = T(2), d = t + two, d_low = t - (d - two);
    // s = t / d, and what the division left over.
    const V inverse = rough_reciprocal(d), s0 = t * inverse;
    V rest;
    if constexpr (has_fma) rest = fnma(s0, d, t);
    else {
        const auto back = two_product(s0, d);
        rest = (t - back.high) - back.low;
    }
    const Two s = {s0, (rest - s0 * d_low) * inverse}, z = s * s;
    auto r = two_sum(V(C::third), z.high * polynomial(z.high, C::q));
    r.low += V(C::third_low);
    const Two bend = s * (z * r);
    const auto main = two_sum(e * V(LogConstants<T>::ln2_high), s.high + s.high), sum = two_sum(main.high, bend.high);
    const V low = ((main.low + sum.low) + (s.low + s.low)) + fma(e, V(LogConstants<T>::ln2_low), bend.low);
    return two_sum(sum.high, low);
}

/// a^b for a > 0 or NaN, a and b finite or not; anything where a is 1 and b infinite.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> pow_magnitude(Vec<T, Arch> a, Vec<T, Arch> b) {
    using V = Vec<T, Arch>;
    using C = ExpConstants<T>;
    const V zero = T(0), one = T(1), lowest = C::lowest, highest = C::highest;
    const auto l = log_in_two(a);
    const auto y = two_product(b, l.high);
    const V low = fma(b, l.low, y.low), inside = min(highest, max(lowest, y.high));
    const auto [n, m, r] = exp_reduce(inside);
    // Past the range, where the lower part may be infinity minus infinity, it does not matter.
    const V tail = exp_tail(r + select(inside == y.high, low, zero), C::exp);
    const V infinite = infinity<T>;
    const auto at_end = (a == zero) | (a == infinite);
    return select(at_end, select((b > zero) ^ (a == zero), infinite, zero), scale(one + tail, n));
}

}  // namespace raw

/// `a` to the power `b`, with the special cases of std::pow.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> pow(Vec<T, Arch> a, Vec<T, Arch> b) {
    using V = Vec<T, Arch>;
    const V zero = T(0), one = T(1), m = abs(a);
    V r = raw::pow_magnitude(m, b);
    r = select(isnan(a), a, r);
    r = select((m == one) | (b == zero), one, r);
    // 1^NaN is 1, but (-1)^NaN is not.
    r = select(isnan(b) & (a != one), b, r);
    const V half = b * V(T(0.5));
    const auto whole = trunc(b) == b, odd = whole & (trunc(half) != half);
    r = select(odd, copysign(r, a), r);
    const auto undefined = (a < zero) & (a > V(-raw::infinity<T>)) & !whole & !isnan(b);
    return select(undefined, V(raw::quiet_nan<T>), r);
}
LAMINA_SIMD_NUMBERS2(pow)

}  // namespace lamina::inline LAMINA_ABI::simd
