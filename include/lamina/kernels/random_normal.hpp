#pragma once
// Arrays of normal numbers. Logarithm, sine, cosine and the inverse of the normal distribution are polynomials here
// whose products and sums are rounded one by one, so that every instruction set gives the same bits.
#include <lamina/kernels/random.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// out[i] normal of the given mean and standard deviation, by Box and Muller's transform: each pair of words u, v of a
/// block (two of 32 bits for float, of 64 for double) gives sqrt(-2 ln u) times the cosine and then the sine of 2 pi v.
/// Of 32 bits the largest magnitude is 6.8 standard deviations, of 64 bits 8.7.
template <class Arch = simd::native, class T>
void fill_normal(const random::Key& key, T* out, Index n, std::type_identity_t<T> mean = 0,
                 std::type_identity_t<T> std = 1);

/// out[i] normal of the given mean and standard deviation on the condition that a <= out[i] <= b, by the inverse of the
/// distribution function. Wants std > 0 and a <= b. An interval more than 37 std away gives its nearer end.
template <class Arch = simd::native, class T>
void fill_truncated_normal(const random::Key& key, T* out, Index n, std::type_identity_t<T> mean,
                           std::type_identity_t<T> std, std::type_identity_t<T> a, std::type_identity_t<T> b);

namespace detail {

// -2 ln(x 2^-32) for x in [0.5, 2^32], at most 2^-23 off in relation to the result.
template <class Arch>
LAMINA_INLINE simd::Vec<float, Arch> minus_two_log(simd::Vec<float, Arch> x) {
    using V = simd::Vec<float, Arch>;
    using I = simd::Vec<std::int32_t, Arch>;
    constexpr std::int32_t sqrt_half = 0x3f3504f3;  // mantissas from sqrt(1/2) to sqrt(2)
    const I shifted = simd::bit_cast_to<std::int32_t>(x) - I(sqrt_half);
    const V exponent = simd::convert<float>(I(32) - (shifted >> 23));
    const V t = simd::bit_cast_to<float>((shifted & I(0x7fffff)) + I(sqrt_half)) - V(1.f);
    const V p = simd::rounded_polynomial(t, -2.f, 0x1.fffffep-1f, -0x1.555638p-1f, 0x1.000302p-1f, -0x1.99070fp-2f,
                                         0x1.53bb74p-2f, -0x1.2fd102p-2f, 0x1.21fd54p-2f, -0x1.67ed28p-3f);
    return simd::multiply_then_add(exponent, V(0x1.62e43p+0f), simd::rounded(t * p));
}

// Natural logarithm of normal positive numbers.
template <class Arch>
LAMINA_INLINE simd::Vec<double, Arch> rounded_log(simd::Vec<double, Arch> x) {
    using V = simd::Vec<double, Arch>;
    using U = simd::Vec<std::uint64_t, Arch>;
    constexpr std::uint64_t sqrt_half = 0x3fe6a09e667f3bcd;
    const U shifted = simd::bit_cast_to<std::uint64_t>(x) - U(sqrt_half) + U(std::uint64_t(1023) << 52);
    const V exponent = simd::bit_cast_to<double>((shifted >> 52) | U(0x4330000000000000u)) - V(0x1p52 + 1023);
    const V m = simd::bit_cast_to<double>((shifted & U(0xfffffffffffffu)) + U(sqrt_half));
    const V s = (m - V(1.)) / (m + V(1.)), z = simd::rounded(s * s);
    const V p = simd::rounded_polynomial(z, 2., 0x1.5555555555558p-1, 0x1.99999999952e2p-2, 0x1.2492492df148dp-2,
                                         0x1.c71c62e5800a1p-3, 0x1.7462b4ab2ef6bp-3, 0x1.39fe606542ddep-3,
                                         0x1.2b584aae78a57p-3);
    return simd::multiply_then_add(exponent, V(0x1.62e42fefa39efp-1), simd::rounded(s * p));
}

template <class Arch>
LAMINA_INLINE void sin_cos_quarter(simd::Vec<float, Arch> x, simd::Vec<float, Arch>& sin, simd::Vec<float, Arch>& cos) {
    const auto y = simd::rounded(x * x);
    sin = x * simd::rounded_polynomial(y, 0x1.921fb6p+0f, -0x1.4abbbap-1f, 0x1.465ec4p-4f, -0x1.2d9b4p-8f);
    cos = simd::rounded_polynomial(y, 1.f, -0x1.3bd3ccp+0f, 0x1.03c1eap-2f, -0x1.55cb98p-6f, 0x1.db6492p-11f);
}
template <class Arch>
LAMINA_INLINE void sin_cos_quarter(simd::Vec<double, Arch> x, simd::Vec<double, Arch>& sin,
                                   simd::Vec<double, Arch>& cos) {
    const auto y = simd::rounded(x * x);
    sin = x * simd::rounded_polynomial(y, 0x1.921fb54442d18p+0, -0x1.4abbce625be53p-1, 0x1.466bc6775aad9p-4,
                                       -0x1.32d2cce62ac22p-8, 0x1.50783485cbd83p-13, -0x1.e3074b4ff3058p-19,
                                       0x1.e8eed12ee00a3p-25, -0x1.6c5b875d4e739p-31);
    cos = simd::rounded_polynomial(y, 1., -0x1.3bd3cc9be45dep+0, 0x1.03c1f081b5ac4p-2, -0x1.55d3c7e3cbff7p-6,
                                   0x1.e1f506891ae95p-11, -0x1.a6d1f2a086c90p-16, 0x1.f9d3870871194p-22,
                                   -0x1.b6de8b8e9ba08p-28, 0x1.1e745e5e09f6dp-34);
}

// Sine and cosine of the word as a fraction of the full circle; the range reduction is exact.
template <class T, class Arch, class U>
LAMINA_INLINE void sin_cos_circle(simd::Vec<U, Arch> word, simd::Vec<T, Arch>& sin, simd::Vec<T, Arch>& cos) {
    using Lanes = simd::Vec<U, Arch>;
    constexpr int bits = 8 * int(sizeof(U));
    constexpr U sign = U(1) << (bits - 1);
    // The two top bits of `turned` are the nearest quarter; what is left of the word goes from -1/2 to 1/2 quarters.
    const Lanes turned = word + Lanes(sign >> 2), left = word << 2;
    simd::Vec<T, Arch> x;
    if constexpr (sizeof(T) == 4)
        x = simd::convert<float>(simd::bit_cast_to<std::int32_t>(left)) * simd::Vec<T, Arch>(0x1p-32f);
    else x = (exact_double((left ^ Lanes(sign)) >> 11) - simd::Vec<T, Arch>(0x1p52)) * simd::Vec<T, Arch>(0x1p-53);
    simd::Vec<T, Arch> s, c;
    sin_cos_quarter(x, s, c);
    const Lanes odd = Lanes(U(0)) - ((turned >> (bits - 2)) & Lanes(U(1)));
    const Lanes sine = simd::bit_cast_to<U>(s), cosine = simd::bit_cast_to<U>(c), exchange = (sine ^ cosine) & odd;
    sin = simd::bit_cast_to<T>(sine ^ exchange ^ (turned & Lanes(sign)));
    cos = simd::bit_cast_to<T>(cosine ^ exchange ^ ((turned ^ (turned << 1)) & Lanes(sign)));
}

// One of 2^32 (2^53) numbers in (0, 1], never 0, as -2 ln of it.
template <class T, class Arch, class U>
LAMINA_INLINE simd::Vec<T, Arch> minus_two_log_of_word(simd::Vec<U, Arch> word) {
    using V = simd::Vec<T, Arch>;
    if constexpr (sizeof(T) == 4) return minus_two_log(simd::convert<float>(word) + V(0.5f));
    else return V(-2.) * rounded_log((exact_double(word >> 11) + V(0.5)) * V(0x1p-53));
}

// z with Phi(z) = p for p in [0, 1]; 37.5 standard deviations stand for infinity.
// M. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37, 1988.
template <class Arch>
LAMINA_INLINE simd::Vec<double, Arch> inverse_normal(simd::Vec<double, Arch> p) {
    using V = simd::Vec<double, Arch>;
    const V q = p - V(0.5), inner = V(0.180625) - simd::rounded(q * q);
    const V central = simd::rounded(q * simd::rounded_polynomial(inner, 3.3871328727963666080, 133.14166789178437745,
                                                                 1971.5909503065514427, 13731.693765509461125,
                                                                 45921.953931549871457, 67265.770927008700853,
                                                                 33430.575583588128105, 2509.0809287301226727)) /
                      simd::rounded_polynomial(inner, 1.0, 42.313330701600911252, 687.18700749205790830,
                                               5394.1960214247511077, 21213.794301586595867, 39307.895800092710610,
                                               28729.085735721942674, 5226.4952788528545610);
    const auto outside = abs(q) > V(0.425);
    if (!any(outside)) return central;
    const V tail = max(min(p, V(1.) - p), V(0x1p-1022));
    const V r = sqrt(-rounded_log(tail)), near = r - V(1.6);
    V z = simd::rounded_polynomial(near, 1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
                                   3.64784832476320460504, 1.27045825245236838258, 2.41780725177450611770e-1,
                                   2.27238449892691845833e-2, 7.74545014278341407640e-4) /
          simd::rounded_polynomial(near, 1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
                                   1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                                   1.05075007164441684324e-9);
    if (const auto far_out = r > V(5.); any(far_out)) {
        const V far = r - V(5.);
        const V z_far =
            simd::rounded_polynomial(far, 6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
                                     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                     2.71155556874348757815e-5, 2.01033439929228813265e-7) /
            simd::rounded_polynomial(far, 1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
                                     1.48753612908506148525e-2, 7.86869131145613259100e-4, 1.84631831751005468180e-5,
                                     1.42151175831644588870e-7, 2.04426310338993978564e-15);
        z = select(far_out, z_far, z);
    }
    return select(outside, copysign(z, q), central);
}

// Phi(x) for x far below 0 as exactly as for others, rounded to 40 bits: libraries differ in the last ones.
inline double normal_below(double x) {
    const double p = 0.5 * __builtin_erfc(-x * 0.70710678118654752440);
    return __builtin_bit_cast(double, (__builtin_bit_cast(std::uint64_t, p) + 0x800) & ~std::uint64_t(0xfff));
}

}  // namespace detail

template <class Arch, class T>
void fill_normal(const random::Key& key, T* out, Index n, std::type_identity_t<T> mean, std::type_identity_t<T> std) {
    using V = simd::Vec<T, Arch>;
    fill_from_words<Arch, T>(key, out, n, [=](const auto& words, auto& values) LAMINA_INLINE_LAMBDA {
        for (int j = 0; j < int(16 / sizeof(T)); j += 2) {
            V sin, cos;
            detail::sin_cos_circle<T>(words[j + 1], sin, cos);
            const V radius = simd::rounded(sqrt(detail::minus_two_log_of_word<T>(words[j])) * V(std));
            values[j] = simd::multiply_then_add(radius, simd::rounded(cos), V(mean));
            values[j + 1] = simd::multiply_then_add(radius, simd::rounded(sin), V(mean));
        }
    });
}

template <class Arch, class T>
void fill_truncated_normal(const random::Key& key, T* out, Index n, std::type_identity_t<T> mean,
                           std::type_identity_t<T> std, std::type_identity_t<T> a, std::type_identity_t<T> b) {
    using V = simd::Vec<double, Arch>;
    double low = (double(a) - double(mean)) / double(std), high = (double(b) - double(mean)) / double(std);
    // Above the mean probabilities crowd below 1; mirrored they are small numbers, which keep their digits.
    const bool mirrored = low + high > 0;
    if (mirrored) {
        const double kept = low;
        low = -high;
        high = -kept;
    }
    const double p_low = detail::normal_below(low), p_width = detail::normal_below(high) - p_low;
    const double scale = mirrored ? -double(std) : double(std);
    const auto quantile = [=](const auto& words, auto& values) LAMINA_INLINE_LAMBDA {
        for (int j = 0; j < 2; ++j) {
            const V u = simd::multiply_then_add(detail::unit_interval<double>(words[j]), V(1.), V(0x1p-54));
            const V z = detail::inverse_normal(simd::multiply_then_add(u, V(p_width), V(p_low)));
            values[j] = simd::multiply_then_add(z, V(scale), V(double(mean)));
        }
    };
    visit_words<Arch, double>(key, n, quantile, [=](const double* values, Index first, auto count) {
        for (Index i = 0; i < count; ++i) {
            const T x = T(values[i]);
            out[first + i] = x < a ? a : x > b ? b : x;
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
