#pragma once
// The two S-curves, both from one exponential and one division.
#include <lamina/simd/math/exp.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// Hyperbolic tangent: m / (m + 2) with m = e^2|x| - 1; the rounding of the denominator is put back.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> tanh(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V a = min(V(raw::pick<T>(10.0f, 22.0)), abs(x)), m = raw::expm1_inside(a + a);
    const V d = m + V(T(2)), lost = m - (d - V(T(2)));
    const V y = raw::quotient(m, V(T(0)), d, lost);
    // Below the square root of the rounding error tanh x is x; subnormal numbers keep all their bits.
    return copysign(select(abs(x) < V(raw::pick<T>(0x1p-13f, 0x1p-28)), abs(x), y), x);
}
LAMINA_SIMD_NUMBERS(tanh)

/// 1 / (1 + e^-x), as e^x / (1 + e^x) for negative x, which underflows gradually.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> sigmoid(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V one = T(1);
    const auto [e, e_lost] = raw::exp_in_two(max(V(raw::ExpConstants<T>::lowest), -abs(x)));
    const V rest = e * e_lost, d = one + e, d_lost = (e - (d - one)) + rest;
    const auto negative = x < V(T(0));
    return raw::quotient(select(negative, e, one), select(negative, rest, V(T(0))), d, d_lost);
}
LAMINA_SIMD_NUMBERS(sigmoid)

}  // namespace lamina::inline LAMINA_ABI::simd
