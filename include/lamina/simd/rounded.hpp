#pragma once
// Arithmetic with the same bits on every instruction set: compilers fuse a product and a sum into one rounding where
// the machine can, and only there. Random numbers must not depend on that.
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// `a` as it is, but rounded for itself: what made it cannot be fused with what uses it.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> rounded(Vec<T, Arch> a) {
#if defined(LAMINA_ISA_AVX512)
    asm("" : "+v"(a.v));
#elif defined(LAMINA_ISA_SSE2)
    asm("" : "+x"(a.v));
#elif defined(LAMINA_ISA_NEON64)
    asm("" : "+w"(a.v));
#else
    asm("" : "+m"(a.v));
#endif
    return a;
}

/// `a * b + c` with two roundings everywhere.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> multiply_then_add(Vec<T, Arch> a, Vec<T, Arch> b, Vec<T, Arch> c) {
    return rounded(a * b) + c;
}

/// c0 + x (c1 + x (c2 + …)), every product and sum rounded.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> rounded_polynomial(Vec<T, Arch>, T c0) {
    return c0;
}
template <class T, class Arch, class... C>
LAMINA_INLINE Vec<T, Arch> rounded_polynomial(Vec<T, Arch> x, T c0, C... rest) {
    return multiply_then_add(x, rounded_polynomial(x, rest...), Vec<T, Arch>(c0));
}

}  // namespace lamina::inline LAMINA_ABI::simd
