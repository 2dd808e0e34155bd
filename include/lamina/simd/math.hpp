#pragma once
// All transcendental functions of lanes.
#include <lamina/simd/math/by_lane.hpp>

namespace lamina::inline LAMINA_ABI::simd {

#define LAMINA_SIMD_MATH(name, expression)                                             \
    template <class T, class Arch>                                                     \
    LAMINA_INLINE Vec<T, Arch> name(Vec<T, Arch> a) {                                  \
        return by_lane([](T x) LAMINA_INLINE_LAMBDA -> T { return expression; }, a);   \
    }                                                                                  \
    LAMINA_SIMD_UNARY(float, name)                                                     \
    LAMINA_SIMD_UNARY(double, name)
LAMINA_SIMD_MATH(exp, std::exp(x))
LAMINA_SIMD_MATH(exp2, std::exp2(x))
LAMINA_SIMD_MATH(log, std::log(x))
LAMINA_SIMD_MATH(log2, std::log2(x))
LAMINA_SIMD_MATH(log1p, std::log1p(x))
LAMINA_SIMD_MATH(expm1, std::expm1(x))
LAMINA_SIMD_MATH(tanh, std::tanh(x))
LAMINA_SIMD_MATH(sigmoid, 1 / (1 + std::exp(-x)))
LAMINA_SIMD_MATH(erf, std::erf(x))
LAMINA_SIMD_MATH(erfc, std::erfc(x))
LAMINA_SIMD_MATH(atan, std::atan(x))
LAMINA_SIMD_MATH(sin, std::sin(x))
LAMINA_SIMD_MATH(cos, std::cos(x))
#undef LAMINA_SIMD_MATH

/// A function of two vectors, either of which may be a number, and of two numbers.
#define LAMINA_SIMD_MATH2(name)                                                                              \
    template <class T, class Arch, class S>                                                                  \
        requires(std::is_arithmetic_v<S>)                                                                    \
    LAMINA_INLINE Vec<T, Arch> name(Vec<T, Arch> a, S b) {                                                   \
        return name(a, Vec<T, Arch>(T(b)));                                                                  \
    }                                                                                                        \
    template <class T, class Arch, class S>                                                                  \
        requires(std::is_arithmetic_v<S>)                                                                    \
    LAMINA_INLINE Vec<T, Arch> name(S a, Vec<T, Arch> b) {                                                   \
        return name(Vec<T, Arch>(T(a)), b);                                                                  \
    }                                                                                                        \
    LAMINA_SIMD_BINARY(float, name)                                                                          \
    LAMINA_SIMD_BINARY(double, name)
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> pow(Vec<T, Arch> a, Vec<T, Arch> b) {
    return by_lane([](T x, T y) LAMINA_INLINE_LAMBDA -> T { return std::pow(x, y); }, a, b);
}
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> atan2(Vec<T, Arch> y, Vec<T, Arch> x) {
    return by_lane([](T a, T b) LAMINA_INLINE_LAMBDA -> T { return std::atan2(a, b); }, y, x);
}
LAMINA_SIMD_MATH2(pow)
LAMINA_SIMD_MATH2(atan2)
#undef LAMINA_SIMD_MATH2

}  // namespace lamina::inline LAMINA_ABI::simd
