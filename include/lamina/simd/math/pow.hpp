#pragma once
// Powers. For float the logarithm and the exponential run in double, which leaves the result about half an ulp off.
// For double the logarithm is kept in two parts.
#include <lamina/simd/math/by_lane.hpp>
#include <lamina/simd/math/exp.hpp>
#include <lamina/simd/math/log.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

/// a^b for a > 0, both finite or not; NaN where b log a is.
template <class Arch>
LAMINA_INLINE Vec<float, Arch> pow_magnitude(Vec<float, Arch> a, Vec<float, Arch> b) {
    return in_double([](auto x, auto y) LAMINA_INLINE_LAMBDA { return exp(y * log(x)); }, a, b);
}
template <class Arch>
LAMINA_INLINE Vec<double, Arch> pow_magnitude(Vec<double, Arch> a, Vec<double, Arch> b) {
    return by_lane([](double x, double y) { return std::pow(x, y); }, a, b);
}

}  // namespace raw

/// `a` to the power `b`, with the special cases of std::pow.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> pow(Vec<T, Arch> a, Vec<T, Arch> b) {
    using V = Vec<T, Arch>;
    const V zero = T(0), one = T(1), m = abs(a);
    V r = raw::pow_magnitude(m, b);
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
