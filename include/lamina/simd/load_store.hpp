#pragma once
// Between memory and lanes: whole vectors at any address, the first n lanes without touching what lies behind, indexed
// loads, streaming stores and prefetches.
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// Lanes p[0 … width); any alignment.
template <class Arch = native, class T>
LAMINA_INLINE Vec<T, Arch> load(const T* p) {
    Vec<T, Arch> r;
    __builtin_memcpy(&r.v, p, sizeof r.v);
    return r;
}

/// p[0 … width) = v; any alignment.
template <class T, class Arch>
LAMINA_INLINE void store(T* p, Vec<T, Arch> v) {
    __builtin_memcpy(p, &v.v, sizeof v.v);
}

/// Lanes p[0 … n), zeros from n on, for n in [0, width]; touches no memory past n.
template <class Arch = native, class T>
LAMINA_INLINE Vec<T, Arch> load_partial(const T* p, Index n) {
    using V = Vec<T, Arch>;
    using lanes = typename V::lanes;
    if constexpr (V::width == 1) return n > 0 ? V(*p) : V(T(0));
#if defined(LAMINA_ISA_AVX512)
    else if constexpr (Arch::bytes == 64) {
        if constexpr (sizeof(T) == 4) return V::wrap((lanes)_mm512_maskz_loadu_epi32(first_lanes<T, Arch>(n).m, p));
        else return V::wrap((lanes)_mm512_maskz_loadu_epi64(first_lanes<T, Arch>(n).m, p));
    }
#endif
#if defined(LAMINA_ISA_AVX2)
    else if constexpr (Arch::bytes == 32) {
#if defined(LAMINA_ISA_AVX512)
        // Bits as masks are worth having: AVX2's masked accesses, stores above all, take many cycles on some machines.
        if constexpr (sizeof(T) == 4) return V::wrap((lanes)_mm256_maskz_loadu_epi32(__mmask8((1u << n) - 1), p));
        else return V::wrap((lanes)_mm256_maskz_loadu_epi64(__mmask8((1u << n) - 1), p));
#else
        const auto mask = (__m256i)first_lanes<T, Arch>(n).m;
        if constexpr (sizeof(T) == 4) return V::wrap((lanes)_mm256_maskload_epi32((const int*)p, mask));
        else return V::wrap((lanes)_mm256_maskload_epi64((const long long*)p, mask));
#endif
    }
#endif
    else if constexpr (V::width == 2)
        return n > 1 ? load<Arch>(p) : V::wrap(lanes{n > 0 ? p[0] : T(0), T(0)});
    else {
        if (n > 3) return load<Arch>(p);
        return V::wrap(lanes{n > 0 ? p[0] : T(0), n > 1 ? p[1] : T(0), n > 2 ? p[2] : T(0), T(0)});
    }
}

/// p[0 … n) = the first n lanes, for n in [0, width]; touches no memory past n.
template <class T, class Arch>
LAMINA_INLINE void store_partial(T* p, Vec<T, Arch> v, Index n) {
    constexpr int width = Vec<T, Arch>::width;
    if constexpr (width == 1) {
        if (n > 0) *p = v.v;
    }
#if defined(LAMINA_ISA_AVX512)
    else if constexpr (Arch::bytes == 64) {
        if constexpr (sizeof(T) == 4) _mm512_mask_storeu_epi32(p, first_lanes<T, Arch>(n).m, (__m512i)v.v);
        else _mm512_mask_storeu_epi64(p, first_lanes<T, Arch>(n).m, (__m512i)v.v);
    }
#endif
#if defined(LAMINA_ISA_AVX2)
    else if constexpr (Arch::bytes == 32) {
#if defined(LAMINA_ISA_AVX512)
        if constexpr (sizeof(T) == 4) _mm256_mask_storeu_epi32(p, __mmask8((1u << n) - 1), (__m256i)v.v);
        else _mm256_mask_storeu_epi64(p, __mmask8((1u << n) - 1), (__m256i)v.v);
#else
        const auto mask = (__m256i)first_lanes<T, Arch>(n).m;
        if constexpr (sizeof(T) == 4) _mm256_maskstore_epi32((int*)p, mask, (__m256i)v.v);
        else _mm256_maskstore_epi64((long long*)p, mask, (__m256i)v.v);
#endif
    }
#endif
    else {
        unroll<width>([&](auto i) LAMINA_INLINE_LAMBDA {
            if (i < n) p[i] = v[i];
        });
    }
}

/// True where a load may leave out any lanes at the price of a plain one.
template <class Arch>
inline constexpr bool has_masked_loads = false;
#if defined(LAMINA_ISA_AVX512)
template <>
inline constexpr bool has_masked_loads<avx2> = true;
template <>
inline constexpr bool has_masked_loads<avx512> = true;
#endif

/// Lanes named by bits, in a mask register where there are such: for several loads.
struct LaneBits {
#if defined(LAMINA_ISA_AVX512)
    explicit LaneBits(unsigned lanes) : bits(__mmask16(lanes)) { asm("" : "+Yk"(bits)); }
    __mmask16 bits;
#else
    explicit LaneBits(unsigned lanes) : bits(lanes) {}
    unsigned bits;
#endif
};

/// Lanes p[i] where bit i is set, zeros elsewhere; reads no other memory.
template <class Arch = native, class T>
LAMINA_INLINE Vec<T, Arch> load_masked(const T* p, LaneBits lanes_inside) {
    const auto bits = lanes_inside.bits;
    using V = Vec<T, Arch>;
    using lanes = typename V::lanes;
#if defined(LAMINA_ISA_AVX512)
    if constexpr (Arch::bytes == 64) {
        if constexpr (sizeof(T) == 4) return V::wrap((lanes)_mm512_maskz_loadu_epi32(__mmask16(bits), p));
        else return V::wrap((lanes)_mm512_maskz_loadu_epi64(__mmask8(bits), p));
    } else if constexpr (Arch::bytes == 32) {
        if constexpr (sizeof(T) == 4) return V::wrap((lanes)_mm256_maskz_loadu_epi32(__mmask8(bits), p));
        else return V::wrap((lanes)_mm256_maskz_loadu_epi64(__mmask8(bits), p));
    }
#endif
    if constexpr (V::width == 1) return bits & 1 ? V(*p) : V(T(0));
    else return [&]<int... I>(std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA {
            return V::wrap(lanes{(bits >> I & 1 ? p[I] : T(0))...});
        }
    (std::make_integer_sequence<int, V::width>{});
}

/// Every lane is *p.
template <class Arch = native, class T>
LAMINA_INLINE Vec<T, Arch> broadcast(const T* p) {
    return Vec<T, Arch>(*p);
}

/// Lane i is base[index[i]]; the index has lanes as wide as T's.
template <class T, class I, class Arch>
    requires(sizeof(I) == sizeof(T) && std::is_integral_v<I>)
LAMINA_INLINE Vec<T, Arch> gather(const T* base, Vec<I, Arch> index) {
    using V = Vec<T, Arch>;
    using lanes = typename V::lanes;
    if constexpr (V::width == 1) return V(base[index.v]);
#if defined(LAMINA_ISA_AVX512)
    else if constexpr (Arch::bytes == 64) {
        if constexpr (sizeof(T) == 4)
            return V::wrap((lanes)_mm512_mask_i32gather_epi32(__m512i{}, 0xffff, (__m512i)index.v, base, 4));
        else return V::wrap((lanes)_mm512_mask_i64gather_epi64(__m512i{}, 0xff, (__m512i)index.v, base, 8));
    }
#endif
#if defined(LAMINA_ISA_AVX2)
    else if constexpr (Arch::bytes == 32) {
        const auto i = (__m256i)index.v;
        if constexpr (sizeof(T) == 4) return V::wrap((lanes)_mm256_i32gather_epi32((const int*)base, i, 4));
        else return V::wrap((lanes)_mm256_i64gather_epi64((const long long*)base, i, 8));
    }
#endif
    else if constexpr (V::width == 2)
        return V::wrap(lanes{base[index[0]], base[index[1]]});
    else return V::wrap(lanes{base[index[0]], base[index[1]], base[index[2]], base[index[3]]});
}

/// Stores around the cache when `p` is aligned to the vector, else through it. Call `stream_fence` after the last one.
template <class T, class Arch>
LAMINA_INLINE void stream(T* p, Vec<T, Arch> v) {
#if defined(LAMINA_ISA_SSE2)
    if constexpr (Arch::bytes > 0) {
        if (reinterpret_cast<std::uintptr_t>(p) % Arch::bytes == 0) {
            if constexpr (Arch::bytes == 16) _mm_stream_si128((__m128i*)p, (__m128i)v.v);
#if defined(LAMINA_ISA_AVX2)
            if constexpr (Arch::bytes == 32) _mm256_stream_si256((__m256i*)p, (__m256i)v.v);
#endif
#if defined(LAMINA_ISA_AVX512)
            if constexpr (Arch::bytes == 64) _mm512_stream_si512((__m512i*)p, (__m512i)v.v);
#endif
            return;
        }
    }
#endif
    store(p, v);
}

/// Orders streaming stores before what follows.
LAMINA_INLINE void stream_fence() {
#if defined(LAMINA_ISA_SSE2)
    _mm_sfence();
#endif
}

/// Asks for the line of `p`, to be read; any address is harmless.
LAMINA_INLINE void prefetch(const void* p) { __builtin_prefetch(p, 0, 3); }
/// The same into the second-level cache: for data needed only after the first level was used for something else.
LAMINA_INLINE void prefetch_l2(const void* p) { __builtin_prefetch(p, 0, 2); }
/// Asks for the line of `p`, to be written.
LAMINA_INLINE void prefetch_write(const void* p) { __builtin_prefetch(p, 1, 3); }

}  // namespace lamina::inline LAMINA_ABI::simd
