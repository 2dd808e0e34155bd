#pragma once
// The error function and its complement. Near 0, erf x = x + x P(x^2). Away from 0, float: erfc x = exp(-x Q(x)), Q
// minimax; double, and erfc in both: erfc x = exp(-x^2) W(t) / (1 + 2x), t = (x - k) / (x + k), after Shepherd and
// Laframboise, Math. Comp. 36 (1981), with own coefficients; x^2 is kept in two parts.
#include <lamina/simd/math/exp.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

template <class T>
struct ErfConstants;
template <>
struct ErfConstants<float> {
    static constexpr float near[] = {0.128379166f,   -0.37612626f,     0.112835854f,   -0.026853811f,
                                     0.00518832728f, -0.000801018963f, 7.85384836e-05f};
    // -log erfc(a) over a, 1 <= a <= 3.95.
    static constexpr float far[] = {1.1286943f,     0.634969711f,     0.10653054f,    -0.0240097586f,
                                    0.00375731289f, -0.000350546383f, 1.39572212e-05f};
    static constexpr float k = 2.0f, end = 10.1f;
    static constexpr float w[] = {1.27697837f,     -0.0927639753f, -0.16603139f,   0.164055258f,    -0.0542045869f,
                                  -0.00805955008f, 0.00863253046f, 0.00131329789f, -0.00123077957f, -0.000400851568f};
};
template <>
struct ErfConstants<double> {
    static constexpr double near[] = {0.12837916709551256,     -0.3761263890318352,     0.11283791670944185,
                                      -0.026866170643111482,   0.005223977606118614,    -0.000854832592932217,
                                      0.00012055293577152762,  -1.4924712307185837e-05, 1.6447131638251597e-06,
                                      -1.6206314289113782e-07, 1.3710982748678367e-08,  -7.779472948426816e-10};
    static constexpr double k = 4.0, end = 27.3;
    static constexpr double w[] = {
        1.2329951186255526,     -0.13962111684056283,    0.015379652102620413,   0.06809705425473084,
        -0.10103906603633858,   0.09373283499699613,     -0.0663303658117065,    0.037167515559624796,
        -0.016197734058562976,  0.005031969777882406,    -0.0007577733354226729, -0.00019925560528583457,
        0.00015062218209494144, -2.4402915123719764e-05, -1.122454438287269e-05, 5.717526700176688e-06,
        3.0085286554014175e-07, -8.34961343949834e-07,   6.321734687300474e-08,  1.154314932818632e-07,
        -7.913745718392539e-09, -1.3780028457713332e-08, -1.8352381122859567e-09};
};

/// x^2 as a rounded square and the rest.
template <class V>
struct Square {
    V high, low;
};
template <class T, class Arch>
LAMINA_INLINE Square<Vec<T, Arch>> square_in_two(Vec<T, Arch> x) {
    using U = unsigned_of_size<sizeof(T)>;
    const auto square = x * x;
    if constexpr (has_fma) return {square, fms(x, x, square)};
    else {
        // Dekker: the upper half of the mantissa has an exact square.
        const auto high = bit_cast_to<T>(bit_cast_to<U>(x) & Vec<U, Arch>(~U(0) << (sizeof(T) == 4 ? 12 : 27)));
        const auto low = x - high;
        return {square, ((high * high - square) + (high + high) * low) + low * low};
    }
}

/// erf x - x, over x, for |x| <= 1.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> erf_near(Vec<T, Arch> x) {
    return polynomial(x * x, ErfConstants<T>::near);
}

/// erfc a for a >= 0.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> erfc_far(Vec<T, Arch> a) {
    using V = Vec<T, Arch>;
    using C = ErfConstants<T>;
    a = min(V(C::end), a);
    const V k = C::k, one = T(1), w = polynomial((a - k) / (a + k), C::w);
    const auto [high, low] = square_in_two(a);
    const auto [n, m, r] = exp_reduce(-high);
    // (1 + tail) w / (1 + 2a), with what the roundings lost put back to first order.
    const V tail = exp_tail(r - low, ExpConstants<T>::exp), bend = tail * w, top = w + bend;
    V top_lost = bend - (top - w);
    if constexpr (has_fma) top_lost += fms(tail, w, bend);
    const V d = fma(a, V(T(2)), one), d_lost = (one - d) + (a + a);
    return scale(quotient(top, top_lost, d, d_lost), n);
}

}  // namespace raw

/// 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> erf(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V a = abs(x), one = T(1), near = fma(x, raw::erf_near(x), x);
    V complement;
    if constexpr (sizeof(T) == 4) {
        const V b = min(V(3.95f), a);
        complement = exp(-b * raw::polynomial(b, raw::ErfConstants<T>::far));
    } else complement = raw::erfc_far(a);
    return select(a > one, copysign(one - complement, x), near);
}
LAMINA_SIMD_NUMBERS(erf)

/// 1 - erf x, without the cancellation; underflows gradually.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> erfc(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V one = T(1), far = raw::erfc_far(abs(x));
    const V inside = one - fma(x, raw::erf_near(x), x);
    return select((x < V(T(0.5))) & (x > -one), inside, select(x < V(T(0)), V(T(2)) - far, far));
}
LAMINA_SIMD_NUMBERS(erfc)

}  // namespace lamina::inline LAMINA_ABI::simd
