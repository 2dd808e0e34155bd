#pragma once
// Tables of sixteen floats that stay in registers: one permutation looks up every lane.
#include <lamina/simd/load_store.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// Whether `lookup16` is one instruction on registers.
template <class Arch>
inline constexpr bool has_lookup16 = std::is_same_v<Arch, avx512>;

/// Lane i is table[index[i] % 16].
template <class Arch>
LAMINA_INLINE Vec<float, Arch> lookup16(const float (&table)[16], Vec<std::int32_t, Arch> index) {
    using V = Vec<float, Arch>;
#if defined(LAMINA_ISA_AVX512)
    if constexpr (has_lookup16<Arch>)
        return V::wrap(_mm512_maskz_permutexvar_ps(0xffff, (__m512i)index.v, load<Arch>(&table[0]).v));
#endif
    V r;
    if constexpr (V::width == 1) r.v = table[index.v & 15];
    else
        for (int i = 0; i < V::width; ++i) r.v[i] = table[index.v[i] & 15];
    return r;
}

/// Whether `lookup_pair` is one instruction on registers.
template <class Arch>
inline constexpr bool has_lookup_pair = std::is_same_v<Arch, avx512>;

/// Lane i is lane index[i] of a's lanes followed by b's. For instruction sets with `has_lookup_pair`.
template <class T, class I, class Arch>
    requires(has_lookup_pair<Arch> && sizeof(I) == sizeof(T))
LAMINA_INLINE Vec<T, Arch> lookup_pair(Vec<T, Arch> a, Vec<T, Arch> b, Vec<I, Arch> index) {
#if defined(LAMINA_ISA_AVX512)
    using V = Vec<T, Arch>;
    using lanes = typename V::lanes;
    if constexpr (sizeof(T) == 4)
        return V::wrap((lanes)_mm512_permutex2var_epi32((__m512i)a.v, (__m512i)index.v, (__m512i)b.v));
    else return V::wrap((lanes)_mm512_permutex2var_epi64((__m512i)a.v, (__m512i)index.v, (__m512i)b.v));
#else
    return index[0] ? b : a;
#endif
}

}  // namespace lamina::inline LAMINA_ABI::simd
