#pragma once
// Arc tangent: atan t = t + t^3 P(t^2) on [0, 1], pi/2 - atan(1/t) above; atan2 divides the smaller coordinate by the
// larger and puts the octants back.
#include <lamina/simd/math/common.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

template <class T>
struct AtanConstants;
template <>
struct AtanConstants<float> {
    static constexpr float p[] = {-0.333332986f, 0.199985489f,   -0.142642424f, 0.109521873f,   -0.0840345472f,
                                  0.0579576567f, -0.0311779026f, 0.0109146331f, -0.00179362716f};
};
template <>
struct AtanConstants<double> {
    static constexpr double p[] = {
        -0.3333333333333307,   0.19999999999951462,  -0.14285714282575124,    0.11111111007026014,
        -0.09090907002980879,  0.076922798391029,    -0.06666404055645168,    0.05880527801648529,
        -0.05253518491185881,  0.047223219999569126, -0.04219178378432889,    0.036641899117535966,
        -0.029903839890127657, 0.021984830786751244, -0.013900539254829225,   0.007196488811830341,
        -0.002884911281478753, 0.0008313194012399,   -0.00015216035531410592, 1.322502651254819e-05};
};

// pi / 2 and its rounding error.
template <class T>
inline constexpr T half_pi = pick<T>(1.57079637f, 1.5707963267948966);
template <class T>
inline constexpr T half_pi_low = pick<T>(-4.37113883e-8f, 6.123233995736766e-17);

/// atan t for t in [0, 1]; with `steep`, pi/2 - atan t.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> atan_octant(Vec<T, Arch> t, Mask<T, Arch> steep) {
    using V = Vec<T, Arch>;
    const V z = t * t, bend = t * z * polynomial(z, AtanConstants<T>::p);
    return select(steep, V(half_pi<T>) - (t + (bend - V(half_pi_low<T>))), t + bend);
}

}  // namespace raw

/// The angle in [-pi/2, pi/2] whose tangent is x.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> atan(Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    const V a = abs(x), one = T(1);
    const auto steep = a > one;
    return copysign(raw::atan_octant(select(steep, reciprocal(a), a), steep), x);
}
LAMINA_SIMD_NUMBERS(atan)

/// The angle of the point (x, y) in [-pi, pi]; zeros and infinities as std::atan2.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> atan2(Vec<T, Arch> y, Vec<T, Arch> x) {
    using V = Vec<T, Arch>;
    using U = unsigned_of_size<sizeof(T)>;
    const V ax = abs(x), ay = abs(y), zero = T(0);
    const auto steep = ay > ax;
    const V small = select(steep, ax, ay), large = select(steep, ay, ax);
    // 0 / 0 counts as 0 and infinity / infinity as 1.
    V t = select(large == zero, zero, small / large);
    t = select(small == V(raw::infinity<T>), V(T(1)), t);
    V r = raw::atan_octant(t, steep);
    const auto left = mask_cast<T>(bit_cast_to<U>(copysign(V(T(1)), x)) != bit_cast_to<U>(V(T(1))));
    r = select(left, V(T(2) * raw::half_pi<T>) - (r - V(T(2) * raw::half_pi_low<T>)), r);
    return select(isnan(x) | isnan(y), x + y, copysign(r, y));
}
LAMINA_SIMD_NUMBERS2(atan2)

}  // namespace lamina::inline LAMINA_ABI::simd
