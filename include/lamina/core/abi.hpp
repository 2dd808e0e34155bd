#pragma once
// What the compiler was told about the machine, and the inline namespace that follows from it. This is the only
// header that reads the compiler's ISA macros. Two objects built with different -march flags get different tags,
// so the linker can never merge a function compiled for one machine with the same function compiled for another.
#include <lamina/version.hpp>

#if defined(LAMINA_FORCE_SCALAR)
#define LAMINA_ISA scalar
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && \
    defined(__FMA__)
#define LAMINA_ISA avx512
#define LAMINA_ISA_AVX512 1
#define LAMINA_ISA_AVX2 1
#define LAMINA_ISA_SSE4_2 1
#define LAMINA_ISA_SSE2 1
#elif defined(__AVX2__) && defined(__FMA__)
#define LAMINA_ISA avx2
#define LAMINA_ISA_AVX2 1
#define LAMINA_ISA_SSE4_2 1
#define LAMINA_ISA_SSE2 1
#elif defined(__SSE4_2__)
#define LAMINA_ISA sse4_2
#define LAMINA_ISA_SSE4_2 1
#define LAMINA_ISA_SSE2 1
#elif defined(__SSE2__)
#define LAMINA_ISA sse2
#define LAMINA_ISA_SSE2 1
#elif defined(__aarch64__)
#define LAMINA_ISA neon64
#define LAMINA_ISA_NEON64 1
#else
#define LAMINA_ISA scalar
#endif

// Letters for features that a compiler may use on its own inside one family.
#if defined(__AVX__) && !defined(LAMINA_ISA_AVX2)
#define LAMINA_TAG_AVX a
#else
#define LAMINA_TAG_AVX 0
#endif
#if defined(__BMI2__)
#define LAMINA_TAG_BMI b
#else
#define LAMINA_TAG_BMI 0
#endif
#if defined(__F16C__)
#define LAMINA_TAG_F16C f
#else
#define LAMINA_TAG_F16C 0
#endif
#if defined(__AVX512VBMI__) || defined(__AVX512IFMA__) || defined(__AVXIFMA__)
#define LAMINA_TAG_VBMI v
#else
#define LAMINA_TAG_VBMI 0
#endif
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
#define LAMINA_TAG_VNNI n
#else
#define LAMINA_TAG_VNNI 0
#endif
#if defined(__AVX512BF16__) || defined(__AVX512FP16__) || defined(__ARM_FEATURE_SVE)
#define LAMINA_TAG_16 h
#else
#define LAMINA_TAG_16 0
#endif
#if defined(__FAST_MATH__)
#define LAMINA_TAG_MATH m
#else
#define LAMINA_TAG_MATH 0
#endif
#if defined(LAMINA_CHECKED)
#define LAMINA_TAG_CHECKED c
#else
#define LAMINA_TAG_CHECKED 0
#endif

#define LAMINA_PASTE_(major, minor, isa, a, b, f, i, n, h, m, c) v##major##_##minor##_##isa##_##a##b##f##i##n##h##m##c
#define LAMINA_PASTE(...) LAMINA_PASTE_(__VA_ARGS__)
/// Inline namespace of everything in the library: version, ISA family, features within it, checked mode.
#define LAMINA_ABI                                                                                       \
    LAMINA_PASTE(LAMINA_VERSION_MAJOR, LAMINA_VERSION_MINOR, LAMINA_ISA, LAMINA_TAG_AVX, LAMINA_TAG_BMI, \
                 LAMINA_TAG_F16C, LAMINA_TAG_VBMI, LAMINA_TAG_VNNI, LAMINA_TAG_16, LAMINA_TAG_MATH,      \
                 LAMINA_TAG_CHECKED)

/// Forces inlining of a function (write it before the return type, in place of `inline`).
#define LAMINA_INLINE [[gnu::always_inline]] inline
/// The same for a lambda; it goes after the parameter list, the one place GCC and Clang both accept.
#define LAMINA_INLINE_LAMBDA __attribute__((always_inline))
/// Keeps cold code, such as the making of an error message, out of the caller.
#define LAMINA_NOINLINE [[gnu::noinline, gnu::cold]]
