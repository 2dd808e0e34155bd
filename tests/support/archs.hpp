#pragma once
// The instruction sets usable in this compilation, as a list for TEST_CASE_TEMPLATE.
#include <lamina/simd/arch.hpp>

#if defined(LAMINA_ISA_AVX512)
#define LAMINA_TEST_ARCHS \
    lamina::simd::scalar, lamina::simd::sse2, lamina::simd::sse4_2, lamina::simd::avx2, lamina::simd::avx512
#elif defined(LAMINA_ISA_AVX2)
#define LAMINA_TEST_ARCHS lamina::simd::scalar, lamina::simd::sse2, lamina::simd::sse4_2, lamina::simd::avx2
#elif defined(LAMINA_ISA_SSE4_2)
#define LAMINA_TEST_ARCHS lamina::simd::scalar, lamina::simd::sse2, lamina::simd::sse4_2
#elif defined(LAMINA_ISA_SSE2)
#define LAMINA_TEST_ARCHS lamina::simd::scalar, lamina::simd::sse2
#elif defined(LAMINA_ISA_NEON64)
#define LAMINA_TEST_ARCHS lamina::simd::scalar, lamina::simd::neon64
#else
#define LAMINA_TEST_ARCHS lamina::simd::scalar
#endif
