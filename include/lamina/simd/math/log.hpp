#pragma once
// Logarithms. x = 2^e (1 + t) with sqrt(1/2) <= 1 + t < sqrt(2); float: log(1 + t) = t - t^2/2 + t^3 P(t), minimax;
// double: with s = t / (2 + t), log(1 + t) = t - (t^2/2 - s (t^2/2 + R(s^2))), as in FDLIBM's e_log.c, own
// coefficients.
#include <lamina/simd/math/common.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

template <class T>
struct LogConstants;
template <>
struct LogConstants<float> {
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float log2e_high = 1.44269502f, log2e_low = 1.92596303e-8f;
    static constexpr float p[] = {0.333333313f, -0.250008196f, 0.200012267f, -0.166233569f,
                                  0.142017633f, -0.13160184f,  0.127615452f, -0.0763445646f};
};
template <>
struct LogConstants<double> {
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double log2e_high = 1.4426950408889634, log2e_low = 2.0355273740931033e-17;
    static constexpr double p[] = {0.6666666666666734,  0.3999999999941468,  0.2857142874238837, 0.22222198573071442,
                                   0.18183564332605773, 0.15314050379955124, 0.147959514690742};
};

/// t and e of a positive, finite x.
template <class V>
struct LogParts {
    V t, e;
};
template <class T, class Arch>
LAMINA_INLINE LogParts<Vec<T, Arch>> log_parts(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using F = FloatFormat<T>;
    using U = unsigned_of_size<sizeof(T)>;
    using VU = Vec<U, Arch>;
#if defined(LAMINA_ISA_AVX512)
    if constexpr (std::is_same_v<Arch, avx512>) {
        V m, e;
        if constexpr (sizeof(T) == 4) {
            m.v = _mm512_maskz_getmant_ps(0xffff, x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
            e.v = _mm512_maskz_getexp_ps(0xffff, x.v);
        } else {
            m.v = _mm512_maskz_getmant_pd(0xff, x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
            e.v = _mm512_maskz_getexp_pd(0xff, x.v);
        }
        const auto above = m > V(T(1.4142135623730951));
        return {select(above, m * V(T(0.5)), m) - V(T(1)), select(above, e + V(T(1)), e)};
    }
#endif
    // Subnormal numbers are made normal.
    const T shift = pick<T>(0x1p25f, 0x1p54);
    const auto small = x < V(std::numeric_limits<T>::min());
    const VU bits = bit_cast_to<U>(select(small, x * V(shift), x));
    // Counting exponents from sqrt(1/2) instead of 1.
    constexpr U root_half = sizeof(T) == 4 ? U(0x3f3504f3u) : U(0x3fe6a09e667f3bcdull), one = F::bias << F::mantissa;
    const VU from_root = bits + VU(one - root_half), exponent = from_root >> F::mantissa;
    const VU mantissa = (from_root & VU((U(1) << F::mantissa) - 1)) + VU(root_half);
    const V e = bit_cast_to<T>(exponent | VU((F::mantissa + F::bias) << F::mantissa)) -
                select(small, V(T(pick<T>(0x1p23f, 0x1p52) + T(F::bias) + pick<T>(25, 54))),
                       V(T(pick<T>(0x1p23f, 0x1p52) + T(F::bias))));
    return {bit_cast_to<T>(mantissa) - V(T(1)), e};
}

/// log(1 + t) + e ln 2 + small, for |small| below an ulp of t or so.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> log_sum(Vec<T, Arch> t, Vec<T, Arch> e, Vec<T, Arch> small) {
    using V = Vec<T, Arch>;
    using C = LogConstants<T>;
    const V square = t * t;
    small = fma(e, V(C::ln2_low), small);
    if constexpr (sizeof(T) == 4) {
        const V bend = fma(square, fma(t, polynomial(t, C::p), V(T(-0.5))), small);
        return fma(e, V(C::ln2_high), t + bend);
    } else {
        const V s = t / (t + V(T(2))), z = s * s, half = V(T(0.5)) * square;
        const V bend = half - fma(s, fma(z, polynomial(z, C::p), half), small);
        return fma(e, V(C::ln2_high), t - bend);
    }
}

/// Puts in the values of log at 0, below 0, at infinity and NaN.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> log_specials(Vec<T, Arch> x, Vec<T, Arch> y) {
    using V = Vec<T, Arch>;
#if defined(LAMINA_ISA_AVX512)
    if constexpr (std::is_same_v<Arch, avx512>) {
        // A digit of the table for each kind of x, from the lowest: NaN (quiet x), signalling NaN, 0 (-infinity), 1
        // (y), -infinity (NaN), infinity (itself), negative (NaN), positive (y).
        constexpr int table = 0x03530422;
        if constexpr (sizeof(T) == 4) return V::wrap(_mm512_fixupimm_ps(y.v, x.v, _mm512_set1_epi32(table), 0));
        else return V::wrap(_mm512_fixupimm_pd(y.v, x.v, _mm512_set1_epi64(table), 0));
    }
#endif
    const V zero = T(0), low = select(x == zero, V(-infinity<T>), V(quiet_nan<T>));
    return select(x > zero, select(x == V(infinity<T>), x, y), low);
}

}  // namespace raw

/// Natural logarithm.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> log(Vec<T, Arch> x) {
    const auto [t, e] = raw::log_parts(x);
    return raw::log_specials(x, raw::log_sum(t, e, Vec<T, Arch>(T(0))));
}
LAMINA_SIMD_NUMBERS(log)

/// Logarithm to base 2; exact for powers of two.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> log2(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using C = raw::LogConstants<T>;
    const auto [t, e] = raw::log_parts(x);
    const V y = raw::log_sum(t, V(T(0)), V(T(0)));
    return raw::log_specials(x, fma(y, V(C::log2e_high), fma(y, V(C::log2e_low), e)));
}
LAMINA_SIMD_NUMBERS(log2)

/// log(1 + x), exact to the last place also near 0: the rounding of 1 + x is put back divided by 1 + x.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> log1p(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V one = T(1), u = one + x, back = u - x, lost = (x - (u - back)) + (one - back);
    const auto [t, e] = raw::log_parts(u);
    const V y = raw::log_specials(u, raw::log_sum(t, e, lost / u));
    return select(abs(x) < V(raw::pick<T>(0x1p-26f, 0x1p-55)), x, y);
}
LAMINA_SIMD_NUMBERS(log1p)

}  // namespace lamina::inline LAMINA_ABI::simd
