#pragma once
// Sine and cosine. x = n pi/2 + r, |r| <= pi/4, with pi/2 in three parts (Cody and Waite), or in double for floats
// where there is no fma; then a minimax polynomial of r^2. Arguments too large for that go to the standard library,
// lane by lane.
#include <lamina/simd/math/by_lane.hpp>
#include <lamina/simd/math/common.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

template <class T>
struct TrigConstants;
template <>
struct TrigConstants<float> {
    static constexpr float largest = 2e5f;
    static constexpr float sin[] = {-0.166666552f, 0.008332178f, -0.000195172339f};
    static constexpr float cos[] = {0.0416666456f, -0.00138873665f, 2.44383791e-05f};
};
template <>
struct TrigConstants<double> {
    static constexpr double largest = 1e6;
    static constexpr double sin[] = {-0.16666666666666632,  0.008333333333322413,    -0.0001984126982980796,
                                     2.755731369195842e-06, -2.5050758120444772e-08, 1.5896795908244844e-10};
    static constexpr double cos[] = {0.0416666666666666,      -0.0013888888888874125, 2.4801587289482208e-05,
                                     -2.7557314352322114e-07, 2.087572326995875e-09,  -1.1359647560875868e-11};
};

/// The rest r, and n + magic, whose low bits count quarter turns.
template <class V>
struct Quadrant {
    V r, n_plus_magic;
};
template <class T, class Arch>
LAMINA_INLINE Quadrant<Vec<T, Arch>> quadrant(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V magic = FloatFormat<T>::magic, t = fma(x, V(T(0.6366197723675814)), magic), n = t - magic;
    if constexpr (sizeof(T) == 8) {
        // Parts of 33 bits, so that their products with n are exact; what the second subtraction loses is put back.
        const V a = x - n * V(T(1.57079632673412561417)), b = n * V(T(6.07710050630396597660e-11)), r = a - b;
        const V lost = (a - r) - b;
        return {r - (n * V(T(2.02226624879595063154e-21)) - lost), t};
    } else if constexpr (has_fma) {
        const V a = fnma(n, V(T(1.57079637)), x), b = fnma(n, V(T(-4.37113883e-8)), a);
        return {fnma(n, V(T(-1.71512489e-15)), b), t};
    } else {
        const auto reduce = [](auto y, auto m) LAMINA_INLINE_LAMBDA {
            using D = decltype(y);
            return (y - m * D(1.57079632673412561417)) - m * D(6.07710050650619224932e-11);
        };
        return {in_double(reduce, x, n), t};
    }
}

/// sin(r + q pi/2) for q quarter turns.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> sin_quadrant(Vec<T, Arch> r, Vec<unsigned_of_size<sizeof(T)>, Arch> q) {
    using V = Vec<T, Arch>;
    using C = TrigConstants<T>;
    using U = unsigned_of_size<sizeof(T)>;
    using VU = Vec<U, Arch>;
    const V z = r * r, sine = fma(r * z, polynomial(z, C::sin), r);
    const V cosine = fma(z * z, polynomial(z, C::cos), fnma(z, V(T(0.5)), V(T(1))));
    const auto odd = mask_cast<T>((q & VU(U(1))) != VU(U(0)));
    const VU sign = (q & VU(U(2))) << int(8 * sizeof(T) - 2);
    return bit_cast_to<T>(bit_cast_to<U>(select(odd, cosine, sine)) ^ sign);
}

}  // namespace raw

/// Sine of an angle in radians.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> sin(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using U = unsigned_of_size<sizeof(T)>;
    const auto [r, t] = raw::quadrant(x);
    const V y = select(x == V(T(0)), x, raw::sin_quadrant(r, bit_cast_to<U>(t)));
    const auto large = abs(x) > V(raw::TrigConstants<T>::largest);
    if (any(large)) [[unlikely]]
        return select(large, by_lane([](T a) { return T(std::sin(double(a))); }, x), y);
    return y;
}
LAMINA_SIMD_NUMBERS(sin)

/// Cosine of an angle in radians.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> cos(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using U = unsigned_of_size<sizeof(T)>;
    const auto [r, t] = raw::quadrant(x);
    const V y = raw::sin_quadrant(r, bit_cast_to<U>(t) + Vec<U, Arch>(U(1)));
    const auto large = abs(x) > V(raw::TrigConstants<T>::largest);
    if (any(large)) [[unlikely]]
        return select(large, by_lane([](T a) { return T(std::cos(double(a))); }, x), y);
    return y;
}
LAMINA_SIMD_NUMBERS(cos)

}  // namespace lamina::inline LAMINA_ABI::simd
