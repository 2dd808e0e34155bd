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

}  // namespace lamina::inline LAMINA_ABI::simd
