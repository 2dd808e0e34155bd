#pragma once
// The functions of Vec for plain float and double, so that one generic lambda runs on lanes and on single numbers,
// with the same bits as Vec<T, scalar>.
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// The type of lanes behind a number: T itself for float, double and Vec; V for Dual<V, N>.
template <class T>
struct lanes_of {
    using type = T;
};
template <class T>
using lanes_of_t = typename lanes_of<T>::type;

#define LAMINA_SIMD_UNARY(T, name) \
    LAMINA_INLINE T name(T a) { return name(Vec<T, scalar>(a)).v; }
#define LAMINA_SIMD_BINARY(T, name) \
    LAMINA_INLINE T name(T a, T b) { return name(Vec<T, scalar>(a), Vec<T, scalar>(b)).v; }
#define LAMINA_SIMD_TERNARY(T, name) \
    LAMINA_INLINE T name(T a, T b, T c) { return name(Vec<T, scalar>(a), Vec<T, scalar>(b), Vec<T, scalar>(c)).v; }
#define LAMINA_SIMD_SCALARS(T)                                     \
    LAMINA_SIMD_UNARY(T, abs)                                      \
    LAMINA_SIMD_UNARY(T, sqrt)                                     \
    LAMINA_SIMD_UNARY(T, rsqrt)                                    \
    LAMINA_SIMD_UNARY(T, reciprocal)                               \
    LAMINA_SIMD_UNARY(T, round)                                    \
    LAMINA_SIMD_UNARY(T, floor)                                    \
    LAMINA_SIMD_UNARY(T, ceil)                                     \
    LAMINA_SIMD_UNARY(T, trunc)                                    \
    LAMINA_SIMD_BINARY(T, min)                                     \
    LAMINA_SIMD_BINARY(T, max)                                     \
    LAMINA_SIMD_BINARY(T, copysign)                                \
    LAMINA_SIMD_TERNARY(T, clamp)                                  \
    LAMINA_SIMD_TERNARY(T, fma)                                    \
    LAMINA_SIMD_TERNARY(T, fnma)                                   \
    LAMINA_SIMD_TERNARY(T, fms)                                    \
    LAMINA_INLINE bool isnan(T a) { return a != a; }               \
    LAMINA_INLINE T select(bool m, T a, T b) { return m ? a : b; } \
    LAMINA_INLINE T detach(T a) { return a; }
LAMINA_SIMD_SCALARS(float)
LAMINA_SIMD_SCALARS(double)
#undef LAMINA_SIMD_SCALARS

LAMINA_INLINE bool any(bool m) { return m; }
LAMINA_INLINE bool all(bool m) { return m; }

/// The value without its derivatives: the identity on lanes, a constant on Dual.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> detach(Vec<T, Arch> a) {
    return a;
}

}  // namespace lamina::inline LAMINA_ABI::simd
