#pragma once
// The result of a lane-wise comparison: a bit a lane on AVX-512, a lane of all ones or zeros elsewhere, a bool for
// `scalar`. Hidden behind one type so that kernels never see the difference.
#include <lamina/simd/raw.hpp>

#include <type_traits>

namespace lamina::inline LAMINA_ABI::simd {

template <std::size_t Bytes>
using signed_of_size = std::conditional_t<Bytes == 4, std::int32_t, std::int64_t>;
template <std::size_t Bytes>
using unsigned_of_size = std::conditional_t<Bytes == 4, std::uint32_t, std::uint64_t>;

/// The register of `Arch` as a vector of T; T itself for `scalar`.
template <class T, class Arch>
struct register_of {
    static constexpr int width = Arch::bytes / int(sizeof(T));
    typedef T type __attribute__((vector_size(Arch::bytes)));
    typedef signed_of_size<sizeof(T)> mask __attribute__((vector_size(Arch::bytes)));
};
template <class T>
struct register_of<T, scalar> {
    static constexpr int width = 1;
    using type = T;
    using mask = bool;
};
template <class T>
struct register_of<T, avx512> {
    static constexpr int width = 64 / int(sizeof(T));
    typedef T type __attribute__((vector_size(64)));
    using mask = std::conditional_t<sizeof(T) == 4, std::uint16_t, std::uint8_t>;
};

/// One truth value for each lane of a `Vec<T, Arch>`.
template <class T, class Arch = native>
struct Mask {
    static constexpr int width = register_of<T, Arch>::width;
    static constexpr bool is_bits = std::is_same_v<Arch, avx512>;
    typename register_of<T, Arch>::mask m;

    LAMINA_INLINE friend Mask operator&(Mask a, Mask b) { return {decltype(m)(a.m & b.m)}; }
    LAMINA_INLINE friend Mask operator|(Mask a, Mask b) { return {decltype(m)(a.m | b.m)}; }
    LAMINA_INLINE friend Mask operator^(Mask a, Mask b) { return {decltype(m)(a.m ^ b.m)}; }
    LAMINA_INLINE friend Mask operator~(Mask a) {
        if constexpr (width == 1) return {!a.m};
        else return {decltype(m)(~a.m)};
    }
    LAMINA_INLINE friend Mask operator!(Mask a) { return ~a; }
    LAMINA_INLINE friend Mask operator==(Mask a, Mask b) { return ~(a ^ b); }
    LAMINA_INLINE friend Mask operator!=(Mask a, Mask b) { return a ^ b; }

    /// Bit i is lane i.
    LAMINA_INLINE friend unsigned bits(Mask a) {
        if constexpr (width == 1 || is_bits) return unsigned(a.m);
#if defined(LAMINA_ISA_SSE2)
        else {
            typedef std::conditional_t<sizeof(T) == 4, float, double> reals __attribute__((vector_size(Arch::bytes)));
            return raw::sign_bits((reals)a.m);
        }
#else
        else {
            unsigned r = 0;
            for (int i = 0; i < width; ++i) r |= unsigned(a.m[i] & 1) << i;
            return r;
        }
#endif
    }
    /// Whether some lane is true.
    LAMINA_INLINE friend bool any(Mask a) {
#if defined(LAMINA_ISA_NEON64)
        if constexpr (width > 1) return vmaxvq_u32((uint32x4_t)a.m) != 0;
        else return a.m;
#else
        return bits(a) != 0;
#endif
    }
    /// Whether every lane is true.
    LAMINA_INLINE friend bool all(Mask a) {
#if defined(LAMINA_ISA_NEON64)
        if constexpr (width > 1) return vminvq_u32((uint32x4_t)a.m) != 0;
        else return a.m;
#else
        return bits(a) == (1u << width) - 1;
#endif
    }
};

/// The same truth values for lanes of another type of the same size.
template <class To, class T, class Arch>
LAMINA_INLINE Mask<To, Arch> mask_cast(Mask<T, Arch> a) {
    static_assert(sizeof(To) == sizeof(T));
    return {a.m};
}

}  // namespace lamina::inline LAMINA_ABI::simd
