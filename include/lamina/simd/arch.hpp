#pragma once
// The instruction sets a vector can be made of. Those the compiler may emit are usable; `native` is the widest.
#include <lamina/core/abi.hpp>
#include <lamina/core/index.hpp>

#include <cstddef>

#if defined(LAMINA_ISA_SSE2) || defined(LAMINA_ISA_NEON64)
#include <xsimd/types/xsimd_all_registers.hpp>  // the register table alone: a third of the cost of xsimd.hpp
#endif

namespace lamina::inline LAMINA_ABI::simd {

/// One element a vector: the reference that every other set is tested against.
struct scalar {
    static constexpr int bytes = 0;
};
struct sse2 {
    static constexpr int bytes = 16;
};
struct sse4_2 {
    static constexpr int bytes = 16;
};
/// AVX2 with FMA.
struct avx2 {
    static constexpr int bytes = 32;
};
/// AVX-512 F, BW, DQ and VL.
struct avx512 {
    static constexpr int bytes = 64;
};
struct neon64 {
    static constexpr int bytes = 16;
};

#if defined(LAMINA_ISA_AVX512)
using native = avx512;
#elif defined(LAMINA_ISA_AVX2)
using native = avx2;
#elif defined(LAMINA_ISA_SSE4_2)
using native = sse4_2;
#elif defined(LAMINA_ISA_SSE2)
using native = sse2;
#elif defined(LAMINA_ISA_NEON64)
using native = neon64;
#else
using native = scalar;
#endif

/// True where the compiler fuses a multiplication and an addition into one rounding.
#if defined(LAMINA_ISA_AVX2) || defined(LAMINA_ISA_NEON64)
inline constexpr bool has_fma = true;
#else
inline constexpr bool has_fma = false;
#endif

/// The xsimd architecture of a tag, `void` for `scalar` and for sets not compiled in.
template <class Arch>
struct xsimd_arch {
    using type = void;
};
#if defined(LAMINA_ISA_SSE2)
template <>
struct xsimd_arch<sse2> {
    using type = xsimd::sse2;
};
#endif
#if defined(LAMINA_ISA_SSE4_2)
template <>
struct xsimd_arch<sse4_2> {
    using type = xsimd::sse4_2;
};
#endif
#if defined(LAMINA_ISA_AVX2)
template <>
struct xsimd_arch<avx2> {
    using type = xsimd::fma3<xsimd::avx2>;
};
#endif
#if defined(LAMINA_ISA_AVX512)
template <>
struct xsimd_arch<avx512> {
    using type = xsimd::avx512bw;
};
#endif
#if defined(LAMINA_ISA_NEON64)
template <>
struct xsimd_arch<neon64> {
    using type = xsimd::neon64;
};
#endif

}  // namespace lamina::inline LAMINA_ABI::simd
