#pragma once
// What a counter-based generator needs beyond operators: 32 x 32 -> 64 bit products, and interleaving of lanes.
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// Product of the low 32 bits of each lane of `a` and `b`; the high halves of the operands do not matter.
template <class Arch>
LAMINA_INLINE Vec<std::uint64_t, Arch> multiply_low_words(Vec<std::uint64_t, Arch> a, Vec<std::uint64_t, Arch> b) {
    using V = Vec<std::uint64_t, Arch>;
    using lanes = typename V::lanes;
    if constexpr (V::width == 1) return V(std::uint64_t(std::uint32_t(a.v)) * std::uint32_t(b.v));
#if defined(LAMINA_ISA_SSE2)
    else if constexpr (Arch::bytes == 16) return V::wrap((lanes)_mm_mul_epu32((__m128i)a.v, (__m128i)b.v));
#if defined(LAMINA_ISA_AVX2)
    else if constexpr (Arch::bytes == 32) return V::wrap((lanes)_mm256_mul_epu32((__m256i)a.v, (__m256i)b.v));
#endif
#if defined(LAMINA_ISA_AVX512)
    // The masked form: GCC's plain one reads an undefined register and warns.
    else return V::wrap((lanes)_mm512_maskz_mul_epu32(0xff, (__m512i)a.v, (__m512i)b.v));
#endif
#elif defined(LAMINA_ISA_NEON64)
    else return V::wrap((lanes)vmull_u32(vmovn_u64((uint64x2_t)a.v), vmovn_u64((uint64x2_t)b.v)));
#else
    else return (a & V(0xffffffffu)) * (b & V(0xffffffffu));
#endif
}

namespace detail {

// Within each group of 16 bytes: a[h], b[h], a[h + 1], b[h + 1], … from the lower (Half 0) or upper (1) half.
template <int Half, class T, class Arch>
LAMINA_INLINE Vec<T, Arch> interleave(Vec<T, Arch> a, Vec<T, Arch> b) {
    constexpr int width = Vec<T, Arch>::width, group = 16 / int(sizeof(T));
    return [&]<int... I>(std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA {
        return Vec<T, Arch>::wrap(__builtin_shufflevector(
            a.v, b.v, (I / group * group + Half * (group / 2) + I % group / 2 + I % 2 * width)...));
    }
    (std::make_integer_sequence<int, width>{});
}

}  // namespace detail

/// Transposes the square of 16-byte rows that four vectors of 4-byte lanes, or two of 8-byte lanes, hold in each group
/// of 16 bytes: afterwards group g of vector j holds what lane j of group g held in vectors 0, 1, …
template <class T, class Arch, int Count>
LAMINA_INLINE void transpose_groups(Vec<T, Arch> (&v)[Count]) {
    static_assert(Count * sizeof(T) == 16);
    if constexpr (Vec<T, Arch>::width == 1) return;
    else if constexpr (Count == 2) {
        const auto low = detail::interleave<0>(v[0], v[1]);
        v[1] = detail::interleave<1>(v[0], v[1]);
        v[0] = low;
    } else {
        using Wide = Vec<std::uint64_t, Arch>;
        const auto wide = [](Vec<T, Arch> a) LAMINA_INLINE_LAMBDA {
            return Wide::wrap(__builtin_bit_cast(typename Wide::lanes, a.v));
        };
        const auto narrow = [](Wide a) LAMINA_INLINE_LAMBDA {
            return Vec<T, Arch>::wrap(__builtin_bit_cast(typename Vec<T, Arch>::lanes, a.v));
        };
        const Wide low_01 = wide(detail::interleave<0>(v[0], v[1])), low_23 = wide(detail::interleave<0>(v[2], v[3]));
        const Wide high_01 = wide(detail::interleave<1>(v[0], v[1])), high_23 = wide(detail::interleave<1>(v[2], v[3]));
        v[0] = narrow(detail::interleave<0>(low_01, low_23));
        v[1] = narrow(detail::interleave<1>(low_01, low_23));
        v[2] = narrow(detail::interleave<0>(high_01, high_23));
        v[3] = narrow(detail::interleave<1>(high_01, high_23));
    }
}

}  // namespace lamina::inline LAMINA_ABI::simd
