#pragma once
// A vector of lanes. Operators are the compilers' own vector operators on the register types that xsimd names, so
// they inline at every optimisation level; intrinsics appear only where the language has no operator.
#include <lamina/simd/mask.hpp>
#include <lamina/simd/unroll.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// `Arch::bytes / sizeof(T)` lanes of T: float, double, int32, uint32, int64 or uint64. Lanes are undefined by default.
template <class T, class Arch = native>
struct Vec {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "Vec: lanes have 4 or 8 bytes");
    using value_type = T;
    using arch = Arch;
    using Mask = simd::Mask<T, Arch>;
    using lanes = typename register_of<T, Arch>::type;
    using signed_type = signed_of_size<sizeof(T)>;
    using unsigned_type = unsigned_of_size<sizeof(T)>;
    static constexpr int width = register_of<T, Arch>::width;
    static constexpr bool is_real = std::is_floating_point_v<T>;

    lanes v;

    Vec() = default;
    /// Every lane is `x`.
    LAMINA_INLINE Vec(T x) {
        if constexpr (width == 1) v = x;
        else [&]<int... I>(std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA {
                v = lanes{(void(I), x)...};
            }
        (std::make_integer_sequence<int, width>{});
    }
    /// Wraps a register.
    template <class R>
        requires(!std::is_arithmetic_v<R> && sizeof(R) == sizeof(lanes) && std::is_convertible_v<R, lanes>)
    LAMINA_INLINE explicit Vec(R r) : v(r) {}
    LAMINA_INLINE static Vec wrap(lanes r) {
        Vec a;
        a.v = r;
        return a;
    }
    /// Lane `i`; slow, for tests and tails.
    LAMINA_INLINE T operator[](int i) const {
        if constexpr (width == 1) return v;
        else return v[i];
    }

    LAMINA_INLINE friend Vec operator+(Vec a, Vec b) { return wrap(a.v + b.v); }
    LAMINA_INLINE friend Vec operator-(Vec a, Vec b) { return wrap(a.v - b.v); }
    LAMINA_INLINE friend Vec operator*(Vec a, Vec b) { return wrap(a.v * b.v); }
    LAMINA_INLINE friend Vec operator/(Vec a, Vec b) { return wrap(a.v / b.v); }
    LAMINA_INLINE friend Vec operator+(Vec a) { return a; }
    LAMINA_INLINE friend Vec operator-(Vec a) { return wrap(-a.v); }
    LAMINA_INLINE Vec& operator+=(Vec b) { return *this = *this + b; }
    LAMINA_INLINE Vec& operator-=(Vec b) { return *this = *this - b; }
    LAMINA_INLINE Vec& operator*=(Vec b) { return *this = *this * b; }
    LAMINA_INLINE Vec& operator/=(Vec b) { return *this = *this / b; }

    LAMINA_INLINE friend Vec operator&(Vec a, Vec b) requires(!is_real) { return wrap(a.v & b.v); }
    LAMINA_INLINE friend Vec operator|(Vec a, Vec b) requires(!is_real) { return wrap(a.v | b.v); }
    LAMINA_INLINE friend Vec operator^(Vec a, Vec b) requires(!is_real) { return wrap(a.v ^ b.v); }
    LAMINA_INLINE friend Vec operator~(Vec a) requires(!is_real) { return wrap(~a.v); }
    LAMINA_INLINE friend Vec operator<<(Vec a, int n) requires(!is_real) { return wrap(a.v << T(n)); }
    LAMINA_INLINE friend Vec operator>>(Vec a, int n) requires(!is_real) { return wrap(a.v >> T(n)); }
    LAMINA_INLINE friend Vec operator<<(Vec a, Vec n) requires(!is_real) { return wrap(a.v << n.v); }
    LAMINA_INLINE friend Vec operator>>(Vec a, Vec n) requires(!is_real) { return wrap(a.v >> n.v); }

    LAMINA_INLINE friend Mask operator<(Vec a, Vec b) { return compare<1>(a, b); }
    LAMINA_INLINE friend Mask operator<=(Vec a, Vec b) { return compare<2>(a, b); }
    LAMINA_INLINE friend Mask operator>(Vec a, Vec b) { return compare<1>(b, a); }
    LAMINA_INLINE friend Mask operator>=(Vec a, Vec b) { return compare<2>(b, a); }
    LAMINA_INLINE friend Mask operator==(Vec a, Vec b) { return compare<0>(a, b); }
    LAMINA_INLINE friend Mask operator!=(Vec a, Vec b) { return compare<4>(a, b); }

    /// `m ? a : b` lane by lane.
    LAMINA_INLINE friend Vec select(Mask m, Vec a, Vec b) {
        if constexpr (width == 1) return m.m ? a : b;
#if defined(LAMINA_ISA_AVX512)
        else if constexpr (Mask::is_bits) {
            if constexpr (sizeof(T) == 4) return wrap((lanes)_mm512_mask_blend_epi32(m.m, (__m512i)b.v, (__m512i)a.v));
            else return wrap((lanes)_mm512_mask_blend_epi64(m.m, (__m512i)b.v, (__m512i)a.v));
        }
#endif
        else
            return wrap(m.m ? a.v : b.v);
    }
    /// `a * b + c`, rounded once where `has_fma`.
    LAMINA_INLINE friend Vec fma(Vec a, Vec b, Vec c) {
        if constexpr (is_real) return wrap(raw::fma(a.v, b.v, c.v));
        else return a * b + c;
    }
    /// `c - a * b`, rounded once where `has_fma`.
    LAMINA_INLINE friend Vec fnma(Vec a, Vec b, Vec c) {
        if constexpr (is_real) return wrap(raw::fnma(a.v, b.v, c.v));
        else return c - a * b;
    }
    /// `a * b - c`, rounded once where `has_fma`.
    LAMINA_INLINE friend Vec fms(Vec a, Vec b, Vec c) {
        if constexpr (is_real) return wrap(raw::fms(a.v, b.v, c.v));
        else return a * b - c;
    }
    /// `a < b ? a : b`: b when either is NaN, so put a constant first to let NaN through.
    LAMINA_INLINE friend Vec min(Vec a, Vec b) {
        if constexpr (is_real) return wrap(raw::min(a.v, b.v));
        else return select(a < b, a, b);
    }
    /// `a > b ? a : b`: b when either is NaN, so put a constant first to let NaN through.
    LAMINA_INLINE friend Vec max(Vec a, Vec b) {
        if constexpr (is_real) return wrap(raw::max(a.v, b.v));
        else return select(a > b, a, b);
    }
    /// `x` held to [lo, hi]; NaN stays NaN.
    LAMINA_INLINE friend Vec clamp(Vec x, Vec lo, Vec hi) { return min(hi, max(lo, x)); }
    LAMINA_INLINE friend Vec abs(Vec a) {
        if constexpr (is_real) return from_bits(bits_of(a) & Vec<unsigned_type, Arch>(~sign_bit));
        else if constexpr (std::is_signed_v<T>) return select(a < Vec(T(0)), -a, a);
        else return a;
    }
    /// The magnitude of `a` with the sign of `b`.
    LAMINA_INLINE friend Vec copysign(Vec a, Vec b) requires(is_real) {
        const Vec<unsigned_type, Arch> sign = sign_bit;
        return from_bits((bits_of(a) & ~sign) | (bits_of(b) & sign));
    }
    LAMINA_INLINE friend Vec sqrt(Vec a) requires(is_real) { return wrap(raw::sqrt(a.v)); }
    /// `1 / a`.
    LAMINA_INLINE friend Vec reciprocal(Vec a) requires(is_real) { return Vec(T(1)) / a; }
    /// `1 / sqrt(a)`, at most 2 ULP off.
    LAMINA_INLINE friend Vec rsqrt(Vec a) requires(is_real) {
#if defined(LAMINA_ISA_AVX512)
        if constexpr (std::is_same_v<Arch, avx512> && sizeof(T) == 4) {
            // One step of Newton's from 14 bits; 0 and infinity keep the first value.
            const Vec y = wrap(_mm512_maskz_rsqrt14_ps(0xffff, a.v)), rest = fnma(a * y, y, Vec(T(1)));
            return select((a > Vec(T(0))) & (a < Vec(T(__builtin_inff()))), fma(y * Vec(T(0.5)), rest, y), y);
        }
#endif
        return Vec(T(1)) / sqrt(a);
    }
    LAMINA_INLINE friend Mask isnan(Vec a) { return a != a; }

    /// To the nearest integer, halves to even.
    LAMINA_INLINE friend Vec round(Vec a) requires(is_real) { return round_as<0>(a); }
    LAMINA_INLINE friend Vec floor(Vec a) requires(is_real) { return round_as<1>(a); }
    LAMINA_INLINE friend Vec ceil(Vec a) requires(is_real) { return round_as<2>(a); }
    LAMINA_INLINE friend Vec trunc(Vec a) requires(is_real) { return round_as<3>(a); }

private:
    static constexpr unsigned_type sign_bit = unsigned_type(1) << (8 * sizeof(T) - 1);

    LAMINA_INLINE static Vec<unsigned_type, Arch> bits_of(Vec a) {
        return Vec<unsigned_type, Arch>::wrap(__builtin_bit_cast(typename Vec<unsigned_type, Arch>::lanes, a.v));
    }
    LAMINA_INLINE static Vec from_bits(Vec<unsigned_type, Arch> a) { return wrap(__builtin_bit_cast(lanes, a.v)); }

    // The numbers of AVX-512's integer predicates: 0 equal, 1 less, 2 less or equal, 4 not equal.
    template <int Predicate>
    LAMINA_INLINE static Mask compare(Vec a, Vec b) {
#if defined(LAMINA_ISA_AVX512)
        if constexpr (Mask::is_bits) {
            if constexpr (std::is_same_v<T, float>) return {_mm512_cmp_ps_mask(a.v, b.v, Predicate)};
            else if constexpr (std::is_same_v<T, double>) return {_mm512_cmp_pd_mask(a.v, b.v, Predicate)};
            else if constexpr (std::is_same_v<T, std::int32_t>)
                return {_mm512_cmp_epi32_mask((__m512i)a.v, (__m512i)b.v, Predicate)};
            else if constexpr (std::is_same_v<T, std::uint32_t>)
                return {_mm512_cmp_epu32_mask((__m512i)a.v, (__m512i)b.v, Predicate)};
            else if constexpr (std::is_signed_v<T>)
                return {_mm512_cmp_epi64_mask((__m512i)a.v, (__m512i)b.v, Predicate)};
            else return {_mm512_cmp_epu64_mask((__m512i)a.v, (__m512i)b.v, Predicate)};
        }
#endif
        if constexpr (!Mask::is_bits) {
            using M = decltype(Mask::m);
            if constexpr (Predicate == 0) return {(M)(a.v == b.v)};
            else if constexpr (Predicate == 1) return {(M)(a.v < b.v)};
            else if constexpr (Predicate == 2) return {(M)(a.v <= b.v)};
            else return {(M)(a.v != b.v)};
        }
    }

    template <int Mode>
    LAMINA_INLINE static Vec round_as(Vec a) {
        if constexpr (!std::is_same_v<Arch, sse2>) return wrap(raw::round_as<Mode>(a.v));
        else {
            // Adding and taking away 2^mantissa rounds to even; numbers from there on have no fraction.
            const Vec limit = sizeof(T) == 4 ? T(0x1p23) : T(0x1p52), magnitude = abs(a);
            Vec r = copysign((magnitude + limit) - limit, a);
            if constexpr (Mode == 1) r = r - select(r > a, Vec(T(1)), Vec(T(0)));
            if constexpr (Mode == 2) r = r + select(r < a, Vec(T(1)), Vec(T(0)));
            if constexpr (Mode == 3) r = r - select(abs(r) > magnitude, copysign(Vec(T(1)), a), Vec(T(0)));
            return select(magnitude < limit, copysign(r, a), a);
        }
    }
};

// The friends above are found by argument and convert plain numbers to lanes; these let calls be qualified,
// simd::max(a, b).
#define LAMINA_SIMD_QUALIFIED(name)           \
    template <class T, class Arch>            \
    LAMINA_INLINE auto name(Vec<T, Arch> a) { \
        return name(a);                       \
    }
#define LAMINA_SIMD_QUALIFIED2(name)                                  \
    template <class T, class Arch>                                    \
    LAMINA_INLINE Vec<T, Arch> name(Vec<T, Arch> a, Vec<T, Arch> b) { \
        return name(a, b);                                            \
    }
#define LAMINA_SIMD_QUALIFIED3(name)                                                  \
    template <class T, class Arch>                                                    \
    LAMINA_INLINE Vec<T, Arch> name(Vec<T, Arch> a, Vec<T, Arch> b, Vec<T, Arch> c) { \
        return name(a, b, c);                                                         \
    }
LAMINA_SIMD_QUALIFIED(abs)
LAMINA_SIMD_QUALIFIED(sqrt)
LAMINA_SIMD_QUALIFIED(rsqrt)
LAMINA_SIMD_QUALIFIED(reciprocal)
LAMINA_SIMD_QUALIFIED(isnan)
LAMINA_SIMD_QUALIFIED(round)
LAMINA_SIMD_QUALIFIED(floor)
LAMINA_SIMD_QUALIFIED(ceil)
LAMINA_SIMD_QUALIFIED(trunc)
LAMINA_SIMD_QUALIFIED2(min)
LAMINA_SIMD_QUALIFIED2(max)
LAMINA_SIMD_QUALIFIED2(copysign)
LAMINA_SIMD_QUALIFIED3(clamp)
LAMINA_SIMD_QUALIFIED3(fma)
LAMINA_SIMD_QUALIFIED3(fnma)
LAMINA_SIMD_QUALIFIED3(fms)
#undef LAMINA_SIMD_QUALIFIED
#undef LAMINA_SIMD_QUALIFIED2
#undef LAMINA_SIMD_QUALIFIED3
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> select(Mask<T, Arch> m, Vec<T, Arch> a, Vec<T, Arch> b) {
    return select(m, a, b);
}
template <class T, class Arch>
LAMINA_INLINE bool any(Mask<T, Arch> m) {
    return any(m);
}
template <class T, class Arch>
LAMINA_INLINE bool all(Mask<T, Arch> m) {
    return all(m);
}
template <class T, class Arch>
LAMINA_INLINE unsigned bits(Mask<T, Arch> m) {
    return bits(m);
}

/// The lanes' bits as lanes of another type of the same size.
template <class To, class T, class Arch>
LAMINA_INLINE Vec<To, Arch> bit_cast_to(Vec<T, Arch> a) {
    static_assert(sizeof(To) == sizeof(T));
    return Vec<To, Arch>::wrap(__builtin_bit_cast(typename Vec<To, Arch>::lanes, a.v));
}

/// The lanes' values in another type of the same size; towards zero from real to integer.
template <class To, class T, class Arch>
LAMINA_INLINE Vec<To, Arch> convert(Vec<T, Arch> a) {
    static_assert(sizeof(To) == sizeof(T));
    if constexpr (Vec<T, Arch>::width == 1) return To(a.v);
    else return Vec<To, Arch>::wrap(__builtin_convertvector(a.v, typename Vec<To, Arch>::lanes));
}

/// The lane numbers 0, 1, 2, …
template <class T, class Arch = native>
LAMINA_INLINE Vec<T, Arch> lane_numbers() {
    if constexpr (Vec<T, Arch>::width == 1) return T(0);
    else return []<int... I>(std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA {
            return Vec<T, Arch>::wrap(typename Vec<T, Arch>::lanes{T(I)...});
        }
    (std::make_integer_sequence<int, Vec<T, Arch>::width>{});
}

/// True in the lanes below `n`, for n in [0, width].
template <class T, class Arch = native>
LAMINA_INLINE Mask<T, Arch> first_lanes(Index n) {
    using I = signed_of_size<sizeof(T)>;
    if constexpr (Mask<T, Arch>::is_bits) return {decltype(Mask<T, Arch>::m)((1u << n) - 1)};
    else return mask_cast<T>(lane_numbers<I, Arch>() < Vec<I, Arch>(I(n)));
}

}  // namespace lamina::inline LAMINA_ABI::simd
