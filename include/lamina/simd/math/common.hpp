#pragma once
// Shared by the transcendental functions: polynomials, powers of two, floats computed in double, scalar overloads.
#include <lamina/simd/scalars.hpp>

#include <limits>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
inline constexpr T quiet_nan = std::numeric_limits<T>::quiet_NaN();

/// Picks the constant of the lane type.
template <class T>
constexpr T pick(float f, double d) {
    return std::is_same_v<T, float> ? T(f) : T(d);
}

/// c[0] + x c[1] + x^2 c[2] + … by Horner's rule.
template <class V, class T, int N>
LAMINA_INLINE V polynomial(V x, const T (&c)[N]) {
    V r = c[N - 1];
    [&]<int... I>(std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA { ((r = fma(r, x, V(c[N - 2 - I]))), ...); }
    (std::make_integer_sequence<int, N - 1>{});
    return r;
}

template <class T>
struct FloatFormat;
template <>
struct FloatFormat<float> {
    static constexpr int mantissa = 23;
    static constexpr std::uint32_t bias = 127;
    // Adding it rounds to an integer, which then sits in the low bits of the sum.
    static constexpr float magic = 0x1.8p23f;
};
template <>
struct FloatFormat<double> {
    static constexpr int mantissa = 52;
    static constexpr std::uint64_t bias = 1023;
    static constexpr double magic = 0x1.8p52;
};

/// 2^n for an integer n given as n + magic, where 2^n is normal.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> power_of_two(Vec<T, Arch> n_plus_magic) {
    using F = FloatFormat<T>;
    using U = unsigned_of_size<sizeof(T)>;
    return bit_cast_to<T>((bit_cast_to<U>(n_plus_magic) + Vec<U, Arch>(F::bias)) << F::mantissa);
}

/// p 2^n for any integer |n| of at most twice the format's range, rounded once where the result is subnormal.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> scale(Vec<T, Arch> p, Vec<T, Arch> n) {
    using V = Vec<T, Arch>;
#if defined(LAMINA_ISA_AVX512)
    if constexpr (std::is_same_v<Arch, avx512>) {
        if constexpr (sizeof(T) == 4) return V::wrap(_mm512_maskz_scalef_ps(0xffff, p.v, n.v));
        else return V::wrap(_mm512_maskz_scalef_pd(0xff, p.v, n.v));
    }
#endif
    const V magic = FloatFormat<T>::magic, half = fma(n, V(T(0.5)), magic), rest = (n - (half - magic)) + magic;
    return p * power_of_two(half) * power_of_two(rest);
}

/// 1 / d to within a few ulps. d is neither 0, subnormal nor infinite.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> rough_reciprocal(Vec<T, Arch> d) {
    using V = Vec<T, Arch>;
#if defined(LAMINA_ISA_AVX512)
    if constexpr (std::is_same_v<Arch, avx512>) {
        // Newton's step doubles the 14 bits.
        const V two = T(2);
        if constexpr (sizeof(T) == 4) {
            const V q = V::wrap(_mm512_maskz_rcp14_ps(0xffff, d.v));
            return q * fnma(q, d, two);
        } else {
            V q = V::wrap(_mm512_maskz_rcp14_pd(0xff, d.v));
            q = q * fnma(q, d, two);
            return q * fnma(q, d, two);
        }
    }
#endif
    return V(T(1)) / d;
}

/// (a + a_lost) / (d + d_lost) for small a_lost and d_lost, rounded about once. d is neither 0 nor infinite.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> quotient(Vec<T, Arch> a, Vec<T, Arch> a_lost, Vec<T, Arch> d, Vec<T, Arch> d_lost) {
    if constexpr (has_fma) {
        const auto inverse = rough_reciprocal(d), q = a * inverse;
        return fma(fnma(q, d_lost, fnma(q, d, a) + a_lost), inverse, q);
    } else {
        const auto q = a / d;
        return q + (a_lost - q * d_lost) / d;
    }
}

/// Computes f(double lanes…) for float lanes: two calls of half the lanes each, one for `scalar`.
template <class F, class Arch, class... X>
LAMINA_INLINE Vec<float, Arch> in_double(F&& f, Vec<float, Arch> x0, X... x) {
    using D = Vec<double, Arch>;
    if constexpr (Arch::bytes == 0) return float(f(D(double(x0.v)), D(double(x.v))...).v);
    else {
        typedef double wide __attribute__((vector_size(Arch::bytes * 2)));
        constexpr auto half = std::make_integer_sequence<int, D::width>{};
        return [&]<int... I>(std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA {
            const auto low = [](Vec<float, Arch> a) LAMINA_INLINE_LAMBDA {
                return D::wrap(__builtin_convertvector(__builtin_shufflevector(a.v, a.v, I...), typename D::lanes));
            };
            const auto high = [](Vec<float, Arch> a) LAMINA_INLINE_LAMBDA {
                return D::wrap(
                    __builtin_convertvector(__builtin_shufflevector(a.v, a.v, (I + D::width)...), typename D::lanes));
            };
            const D a = f(low(x0), low(x)...), b = f(high(x0), high(x)...);
            const wide both = __builtin_shufflevector(a.v, b.v, I..., (I + D::width)...);
            return Vec<float, Arch>::wrap(__builtin_convertvector(both, typename Vec<float, Arch>::lanes));
        }
        (half);
    }
}

}  // namespace raw

/// The overloads of a function of lanes for plain numbers.
#define LAMINA_SIMD_NUMBERS(name)  \
    LAMINA_SIMD_UNARY(float, name) \
    LAMINA_SIMD_UNARY(double, name)
/// Those of a function of two vectors, either of which may also be a number.
#define LAMINA_SIMD_NUMBERS2(name)                                                               \
    template <class T, class Arch, class S>                                                      \
        requires(std::is_arithmetic_v<S>)                                                        \
    LAMINA_INLINE Vec<T, Arch> name(Vec<T, Arch> a, S b) { return name(a, Vec<T, Arch>(T(b))); } \
    template <class T, class Arch, class S>                                                      \
        requires(std::is_arithmetic_v<S>)                                                        \
    LAMINA_INLINE Vec<T, Arch> name(S a, Vec<T, Arch> b) { return name(Vec<T, Arch>(T(a)), b); } \
    LAMINA_SIMD_BINARY(float, name)                                                              \
    LAMINA_SIMD_BINARY(double, name)

}  // namespace lamina::inline LAMINA_ABI::simd
