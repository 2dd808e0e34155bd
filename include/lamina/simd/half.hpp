#pragma once
// Loads and stores that convert: 16-bit floating types in memory, float in lanes; float in memory, double in lanes.
#include <lamina/core/dtype.hpp>
#include <lamina/simd/load_store.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace raw {

// Four, eight or sixteen 16-bit numbers, each widened to 32 bits.
template <class Arch>
LAMINA_INLINE Vec<std::uint32_t, Arch> load_widened(const void* p) {
    using V = Vec<std::uint32_t, Arch>;
    if constexpr (V::width == 1) {
        std::uint16_t x;
        __builtin_memcpy(&x, p, sizeof x);
        return V(x);
    } else {
        typedef std::uint16_t narrow __attribute__((vector_size(Arch::bytes / 2)));
        narrow x;
        __builtin_memcpy(&x, p, sizeof x);
        return V::wrap(__builtin_convertvector(x, typename V::lanes));
    }
}

// The lower 16 bits of each lane.
template <class Arch>
LAMINA_INLINE void store_narrowed(void* p, Vec<std::uint32_t, Arch> v) {
    if constexpr (Vec<std::uint32_t, Arch>::width == 1) {
        const auto x = std::uint16_t(v.v);
        __builtin_memcpy(p, &x, sizeof x);
    } else {
        typedef std::uint16_t narrow __attribute__((vector_size(Arch::bytes / 2)));
        const narrow x = __builtin_convertvector(v.v, narrow);
        __builtin_memcpy(p, &x, sizeof x);
    }
}

template <class Arch>
LAMINA_INLINE Vec<float, Arch> half_to_float(Vec<std::uint32_t, Arch> h) {
    using U = Vec<std::uint32_t, Arch>;
    const U sign = (h & U(0x8000u)) << 16, magnitude = (h & U(0x7fffu)) << 13;
    // Scaling by 2^112 moves the exponent and makes subnormals normal; infinities and NaN then need the full exponent.
    const auto scaled = bit_cast_to<float>(magnitude) * Vec<float, Arch>(0x1p112f);
    const U special = select(magnitude < U(0x7c00u << 13), U(0u), U(0x7f800000u));
    return bit_cast_to<float>(bit_cast_to<std::uint32_t>(scaled) | special | sign);
}

template <class Arch>
LAMINA_INLINE Vec<std::uint32_t, Arch> float_to_half(Vec<float, Arch> x) {
    using U = Vec<std::uint32_t, Arch>;
    const U u = bit_cast_to<std::uint32_t>(x), a = u & U(0x7fffffffu), sign = (u >> 16) & U(0x8000u);
    // Below 2^-14, adding 0.5 puts the mantissa in place, rounded.
    const U tiny = bit_cast_to<std::uint32_t>(bit_cast_to<float>(a) + Vec<float, Arch>(0.5f)) - U(0x3f000000u);
    const U normal = (a - U(0x38000000u) + U(0xfffu) + ((a >> 13) & U(1u))) >> 13;
    const U finite = select(a < U(0x38800000u), tiny, select(a < U(0x477ff000u), normal, U(0x7c00u)));
    return select(a > U(0x7f800000u), U(0x7e00u), finite) | sign;
}

template <class Arch>
LAMINA_INLINE Vec<std::uint32_t, Arch> float_to_bfloat16(Vec<float, Arch> x) {
    using U = Vec<std::uint32_t, Arch>;
    const U u = bit_cast_to<std::uint32_t>(x);
    const U rounded = (u + U(0x7fffu) + ((u >> 16) & U(1u))) >> 16;
    return select((u & U(0x7fffffffu)) > U(0x7f800000u), (u >> 16) | U(0x40u), rounded);
}

}  // namespace raw

/// Lanes float(p[0 … width)).
template <class To, class Arch = native>
    requires std::is_same_v<To, float> LAMINA_INLINE Vec<float, Arch> load_as(const half* p) {
#if defined(LAMINA_ISA_AVX512)
        if constexpr (Arch::bytes == 64) {
            __m256i x;
            __builtin_memcpy(&x, p, sizeof x);
            return Vec<float, Arch>::wrap(_mm512_maskz_cvtph_ps(0xffff, x));
        }
#endif
        return raw::half_to_float(raw::load_widened<Arch>(p));
    }
template <class To, class Arch = native>
    requires std::is_same_v<To, float> LAMINA_INLINE Vec<float, Arch> load_as(const bfloat16* p) {
        return bit_cast_to<float>(raw::load_widened<Arch>(p) << 16);
    }
template <class To, class Arch = native>
LAMINA_INLINE Vec<To, Arch> load_as(const To* p) {
    return load<Arch>(p);
}
/// Lanes double(p[0 … width)): as many floats as a vector has doubles.
template <class To, class Arch = native>
    requires std::is_same_v<To, double> LAMINA_INLINE Vec<double, Arch> load_as(const float* p) {
        using V = Vec<double, Arch>;
        if constexpr (V::width == 1) return V(double(*p));
        else {
            typedef float narrow __attribute__((vector_size(Arch::bytes / 2)));
            narrow x;
            __builtin_memcpy(&x, p, sizeof x);
            return V::wrap(__builtin_convertvector(x, typename V::lanes));
        }
    }

/// p[0 … width) = v, rounded to nearest even.
template <class Arch>
LAMINA_INLINE void store_as(half* p, Vec<float, Arch> v) {
    raw::store_narrowed(p, raw::float_to_half(v));
}
template <class Arch>
LAMINA_INLINE void store_as(bfloat16* p, Vec<float, Arch> v) {
    raw::store_narrowed(p, raw::float_to_bfloat16(v));
}
template <class T, class Arch>
LAMINA_INLINE void store_as(T* p, Vec<T, Arch> v) {
    store(p, v);
}
template <class Arch>
LAMINA_INLINE void store_as(float* p, Vec<double, Arch> v) {
    if constexpr (Vec<double, Arch>::width == 1) *p = float(v.v);
    else {
        typedef float narrow __attribute__((vector_size(Arch::bytes / 2)));
        const narrow x = __builtin_convertvector(v.v, narrow);
        __builtin_memcpy(p, &x, sizeof x);
    }
}

/// The same for the first n lanes, zeros from n on; touches no memory past n.
template <class To, class Arch = native, class From>
LAMINA_INLINE Vec<To, Arch> load_partial_as(const From* p, Index n) {
    if constexpr (std::is_same_v<To, From>) return load_partial<Arch>(p, n);
    else {
        From x[Vec<To, Arch>::width] = {};
        for (Index i = 0; i < n; ++i) x[i] = p[i];
        return load_as<To, Arch>(x);
    }
}
template <class To, class T, class Arch>
LAMINA_INLINE void store_partial_as(To* p, Vec<T, Arch> v, Index n) {
    if constexpr (std::is_same_v<To, T>) store_partial(p, v, n);
    else {
        To x[Vec<T, Arch>::width];
        store_as(x, v);
        for (Index i = 0; i < n; ++i) p[i] = x[i];
    }
}

}  // namespace lamina::inline LAMINA_ABI::simd
