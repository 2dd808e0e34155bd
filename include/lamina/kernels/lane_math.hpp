#pragma once
// Elementary functions of one variable as functors over lanes.
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// -x.
struct Neg {
    static constexpr const char* name = "neg";
    static constexpr bool linear = true;
    LAMINA_INLINE auto operator()(auto x) const { return -x; }
};

/// e^x.
struct Exp {
    static constexpr const char* name = "exp";
    LAMINA_INLINE auto operator()(auto x) const { return exp(x); }
};

/// 2^x.
struct Exp2 {
    static constexpr const char* name = "exp2";
    LAMINA_INLINE auto operator()(auto x) const { return exp2(x); }
};

/// e^x - 1, exact near 0.
struct Expm1 {
    static constexpr const char* name = "expm1";
    LAMINA_INLINE auto operator()(auto x) const { return expm1(x); }
};

/// Natural logarithm.
struct Log {
    static constexpr const char* name = "log";
    LAMINA_INLINE auto operator()(auto x) const { return log(x); }
};

/// Logarithm to base 2.
struct Log2 {
    static constexpr const char* name = "log2";
    LAMINA_INLINE auto operator()(auto x) const { return log2(x); }
};

/// log(1 + x), exact near 0.
struct Log1p {
    static constexpr const char* name = "log1p";
    LAMINA_INLINE auto operator()(auto x) const { return log1p(x); }
};

/// Square root; gradient infinite at 0.
struct Sqrt {
    static constexpr const char* name = "sqrt";
    LAMINA_INLINE auto operator()(auto x) const { return sqrt(x); }
};

/// 1 / sqrt(x).
struct Rsqrt {
    static constexpr const char* name = "rsqrt";
    LAMINA_INLINE auto operator()(auto x) const { return rsqrt(x); }
};

/// x².
struct Square {
    static constexpr const char* name = "square";
    LAMINA_INLINE auto operator()(auto x) const { return x * x; }
};

/// 1 / x.
struct Reciprocal {
    static constexpr const char* name = "reciprocal";
    LAMINA_INLINE auto operator()(auto x) const { return reciprocal(x); }
};

/// Sine.
struct Sin {
    static constexpr const char* name = "sin";
    LAMINA_INLINE auto operator()(auto x) const { return sin(x); }
};

/// Cosine.
struct Cos {
    static constexpr const char* name = "cos";
    LAMINA_INLINE auto operator()(auto x) const { return cos(x); }
};

/// Tangent.
struct Tan {
    static constexpr const char* name = "tan";
    LAMINA_INLINE auto operator()(auto x) const { return sin(x) / cos(x); }
};

/// Arc tangent.
struct Atan {
    static constexpr const char* name = "atan";
    LAMINA_INLINE auto operator()(auto x) const { return atan(x); }
};

/// Error function.
struct Erf {
    static constexpr const char* name = "erf";
    LAMINA_INLINE auto operator()(auto x) const { return erf(x); }
};

/// 1 - erf(x), exact for large x.
struct Erfc {
    static constexpr const char* name = "erfc";
    LAMINA_INLINE auto operator()(auto x) const { return erfc(x); }
};

/// |x|; gradient 0 at 0.
struct Abs {
    static constexpr const char* name = "abs";
    LAMINA_INLINE auto operator()(auto x) const { return abs(x); }
};

/// Largest integer not above x; gradient 0.
struct Floor {
    static constexpr const char* name = "floor";
    LAMINA_INLINE auto operator()(auto x) const { return floor(x); }
};

/// Smallest integer not below x; gradient 0.
struct Ceil {
    static constexpr const char* name = "ceil";
    LAMINA_INLINE auto operator()(auto x) const { return ceil(x); }
};

/// Nearest integer, halves to even; gradient 0.
struct Round {
    static constexpr const char* name = "round";
    LAMINA_INLINE auto operator()(auto x) const { return round(x); }
};

/// Integer towards zero; gradient 0.
struct Trunc {
    static constexpr const char* name = "trunc";
    LAMINA_INLINE auto operator()(auto x) const { return trunc(x); }
};

/// -1, 0 or 1; gradient 0.
struct Sign {
    static constexpr const char* name = "sign";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x > C(0), C(1), select(x < C(0), C(-1), C(0)));
    }
};

/// Hyperbolic sine.
struct Sinh {
    static constexpr const char* name = "sinh";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        const V half = exp(C(0.5) * abs(x)), small = expm1(x);
        const V large = (C(0.5) * half) * half - (C(0.5) / half) / half;
        return select(abs(x) > C(1), select(x < C(0), -large, large), C(0.5) * (small + small / (small + C(1))));
    }
};

/// Hyperbolic cosine.
struct Cosh {
    static constexpr const char* name = "cosh";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        const V half = exp(C(0.5) * abs(x));
        return (C(0.5) * half) * half + (C(0.5) / half) / half;
    }
};

/// Arc sine.
struct Asin {
    static constexpr const char* name = "asin";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return atan2(x, sqrt((C(1) - x) * (C(1) + x)));
    }
};

/// Arc cosine.
struct Acos {
    static constexpr const char* name = "acos";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return atan2(sqrt((C(1) - x) * (C(1) + x)), x);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
