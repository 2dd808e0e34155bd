#pragma once
/// The few operations on registers that the compilers' own vector operators lack, one overload per register type.
/// Everything above this file is written once for all instruction sets.
#include <lamina/simd/arch.hpp>

namespace lamina::inline LAMINA_ABI::simd::raw {

// round_as<Mode>: 0 to nearest even, 1 down, 2 up, 3 towards zero. Missing for SSE2.

// Plain numbers: the `scalar` architecture.
#define LAMINA_RAW_SCALAR(T, suffix)                                                                      \
    LAMINA_INLINE T sqrt(T a) { return __builtin_sqrt##suffix(a); }                                       \
    LAMINA_INLINE T fma(T a, T b, T c) { return has_fma ? __builtin_fma##suffix(a, b, c) : a * b + c; }   \
    LAMINA_INLINE T fnma(T a, T b, T c) { return has_fma ? __builtin_fma##suffix(-a, b, c) : c - a * b; } \
    LAMINA_INLINE T fms(T a, T b, T c) { return has_fma ? __builtin_fma##suffix(a, b, -c) : a * b - c; }  \
    LAMINA_INLINE T min(T a, T b) { return a < b ? a : b; }                                               \
    LAMINA_INLINE T max(T a, T b) { return a > b ? a : b; }                                               \
    template <int Mode>                                                                                   \
    LAMINA_INLINE T round_as(T a) {                                                                       \
        return Mode == 0   ? __builtin_rint##suffix(a)                                                    \
               : Mode == 1 ? __builtin_floor##suffix(a)                                                   \
               : Mode == 2 ? __builtin_ceil##suffix(a)                                                    \
                           : __builtin_trunc##suffix(a);                                                  \
    }
LAMINA_RAW_SCALAR(float, f)
LAMINA_RAW_SCALAR(double, )
#undef LAMINA_RAW_SCALAR

#if defined(LAMINA_ISA_SSE2)
#define LAMINA_RAW_X86(reg, prefix, suffix)                                     \
    LAMINA_INLINE reg sqrt(reg a) { return prefix##_sqrt_##suffix(a); }         \
    LAMINA_INLINE reg min(reg a, reg b) { return prefix##_min_##suffix(a, b); } \
    LAMINA_INLINE reg max(reg a, reg b) { return prefix##_max_##suffix(a, b); }
LAMINA_RAW_X86(__m128, _mm, ps)
LAMINA_RAW_X86(__m128d, _mm, pd)
#if defined(LAMINA_ISA_AVX2)
LAMINA_RAW_X86(__m256, _mm256, ps)
LAMINA_RAW_X86(__m256d, _mm256, pd)
#define LAMINA_RAW_FMA(reg, prefix, suffix)                                                   \
    LAMINA_INLINE reg fma(reg a, reg b, reg c) { return prefix##_fmadd_##suffix(a, b, c); }   \
    LAMINA_INLINE reg fnma(reg a, reg b, reg c) { return prefix##_fnmadd_##suffix(a, b, c); } \
    LAMINA_INLINE reg fms(reg a, reg b, reg c) { return prefix##_fmsub_##suffix(a, b, c); }
LAMINA_RAW_FMA(__m128, _mm, ps)
LAMINA_RAW_FMA(__m128d, _mm, pd)
LAMINA_RAW_FMA(__m256, _mm256, ps)
LAMINA_RAW_FMA(__m256d, _mm256, pd)
#else
#define LAMINA_RAW_FMA(reg)                                           \
    LAMINA_INLINE reg fma(reg a, reg b, reg c) { return a * b + c; }  \
    LAMINA_INLINE reg fnma(reg a, reg b, reg c) { return c - a * b; } \
    LAMINA_INLINE reg fms(reg a, reg b, reg c) { return a * b - c; }
LAMINA_RAW_FMA(__m128)
LAMINA_RAW_FMA(__m128d)
#undef LAMINA_RAW_FMA
#endif
// Mode + 8 raises no inexact exception.
#if defined(LAMINA_ISA_SSE4_2)
template <int Mode>
LAMINA_INLINE __m128 round_as(__m128 a) {
    return _mm_round_ps(a, Mode | 8);
}
template <int Mode>
LAMINA_INLINE __m128d round_as(__m128d a) {
    return _mm_round_pd(a, Mode | 8);
}
#endif
#if defined(LAMINA_ISA_AVX2)
template <int Mode>
LAMINA_INLINE __m256 round_as(__m256 a) {
    return _mm256_round_ps(a, Mode | 8);
}
template <int Mode>
LAMINA_INLINE __m256d round_as(__m256d a) {
    return _mm256_round_pd(a, Mode | 8);
}
#endif
LAMINA_INLINE unsigned sign_bits(__m128 a) { return unsigned(_mm_movemask_ps(a)); }
LAMINA_INLINE unsigned sign_bits(__m128d a) { return unsigned(_mm_movemask_pd(a)); }
#if defined(LAMINA_ISA_AVX2)
LAMINA_INLINE unsigned sign_bits(__m256 a) { return unsigned(_mm256_movemask_ps(a)); }
LAMINA_INLINE unsigned sign_bits(__m256d a) { return unsigned(_mm256_movemask_pd(a)); }
#endif
#if defined(LAMINA_ISA_AVX512)
// Spelled with a full mask: GCC 12 warns of the plain forms' own undefined operand, and emits the same instruction.
#define LAMINA_RAW_AVX512(reg, bits, suffix)                                              \
    LAMINA_INLINE reg sqrt(reg a) { return _mm512_maskz_sqrt_##suffix(bits, a); }         \
    LAMINA_INLINE reg min(reg a, reg b) { return _mm512_maskz_min_##suffix(bits, a, b); } \
    LAMINA_INLINE reg max(reg a, reg b) { return _mm512_maskz_max_##suffix(bits, a, b); } \
    template <int Mode>                                                                   \
    LAMINA_INLINE reg round_as(reg a) {                                                   \
        return _mm512_maskz_roundscale_##suffix(bits, a, Mode | 8);                       \
    }
LAMINA_RAW_AVX512(__m512, 0xffff, ps)
LAMINA_RAW_AVX512(__m512d, 0xff, pd)
#undef LAMINA_RAW_AVX512
LAMINA_RAW_FMA(__m512, _mm512, ps)
LAMINA_RAW_FMA(__m512d, _mm512, pd)
#endif
#undef LAMINA_RAW_X86
#undef LAMINA_RAW_FMA
#endif

#if defined(LAMINA_ISA_NEON64)
#define LAMINA_RAW_NEON(reg, suffix)                                                               \
    LAMINA_INLINE reg sqrt(reg a) { return vsqrtq_##suffix(a); }                                   \
    LAMINA_INLINE reg min(reg a, reg b) { return vbslq_##suffix(vcltq_##suffix(a, b), a, b); }     \
    LAMINA_INLINE reg max(reg a, reg b) { return vbslq_##suffix(vcgtq_##suffix(a, b), a, b); }     \
    LAMINA_INLINE reg fma(reg a, reg b, reg c) { return vfmaq_##suffix(c, a, b); }                 \
    LAMINA_INLINE reg fnma(reg a, reg b, reg c) { return vfmsq_##suffix(c, a, b); }                \
    LAMINA_INLINE reg fms(reg a, reg b, reg c) { return vnegq_##suffix(vfmsq_##suffix(c, a, b)); } \
    template <int Mode>                                                                            \
    LAMINA_INLINE reg round_as(reg a) {                                                            \
        if constexpr (Mode == 0) return vrndnq_##suffix(a);                                        \
        else if constexpr (Mode == 1) return vrndmq_##suffix(a);                                   \
        else if constexpr (Mode == 2) return vrndpq_##suffix(a);                                   \
        else return vrndq_##suffix(a);                                                             \
    }
LAMINA_RAW_NEON(float32x4_t, f32)
LAMINA_RAW_NEON(float64x2_t, f64)
#undef LAMINA_RAW_NEON
#endif

}  // namespace lamina::inline LAMINA_ABI::simd::raw
