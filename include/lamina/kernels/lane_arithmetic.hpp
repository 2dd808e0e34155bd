#pragma once
// Arithmetic as functors over lanes: of two variables, and of a variable and a number.
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// x held to [low, high], high winning; the gradient passes at both ends.
template <class T>
struct Clamp {
    static constexpr const char* name = "clamp";
    T low, high;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return clamp(x, C(low), C(high));
    }
};

/// x + value.
template <class T>
struct AddScalar {
    static constexpr const char* name = "add";
    static constexpr bool linear = true;
    T value;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return x + C(value);
    }
};

/// x - value.
template <class T>
struct SubScalar {
    static constexpr const char* name = "sub";
    static constexpr bool linear = true;
    T value;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        return x - simd::lanes_of_t<V>(value);
    }
};

/// x * value.
template <class T>
struct MulScalar {
    static constexpr const char* name = "mul";
    static constexpr bool linear = true;
    T value;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return x * C(value);
    }
};

/// x / value.
template <class T>
struct DivScalar {
    static constexpr const char* name = "div";
    static constexpr bool linear = true;
    T value;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return x / C(value);
    }
};

/// value - x.
template <class T>
struct SubFromScalar {
    static constexpr const char* name = "sub";
    static constexpr bool linear = true;
    T value;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return C(value) - x;
    }
};

/// value / x.
template <class T>
struct DivScalarBy {
    static constexpr const char* name = "div";
    T value;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return C(value) / x;
    }
};

/// x^exponent; the common exponents do not go through pow.
template <class T>
struct PowScalar {
    static constexpr const char* name = "pow";
    T exponent;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        if (exponent == T(2)) return x * x;
        if (exponent == T(3)) return x * x * x;
        if (exponent == T(0.5)) return sqrt(x);
        if (exponent == T(-1)) return reciprocal(x);
        return pow(x, C(exponent));
    }
};

/// base^x.
template <class T>
struct PowOfScalar {
    static constexpr const char* name = "pow";
    T base;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return pow(C(base), x);
    }
};

/// a + b.
struct Add {
    static constexpr const char* name = "add";
    static constexpr bool linear = true;
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return a + b;
    }
};

/// a - b.
struct Sub {
    static constexpr const char* name = "sub";
    static constexpr bool linear = true;
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return a - b;
    }
};

/// a * b.
struct Mul {
    static constexpr const char* name = "mul";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return a * b;
    }
};

/// a / b.
struct Div {
    static constexpr const char* name = "div";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return a / b;
    }
};

/// a^b.
struct Pow {
    static constexpr const char* name = "pow";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return pow(a, b);
    }
};

/// The larger; NaN if either is; a tie splits the gradient.
struct Maximum {
    static constexpr const char* name = "maximum";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return select(isnan(a), a, max(a, b));
    }
};

/// The smaller; NaN if either is; a tie splits the gradient.
struct Minimum {
    static constexpr const char* name = "minimum";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return select(isnan(a), a, min(a, b));
    }
};

/// The larger, NaN only if both are.
struct Fmax {
    static constexpr const char* name = "fmax";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return select(isnan(b), a, max(a, b));
    }
};

/// The smaller, NaN only if both are.
struct Fmin {
    static constexpr const char* name = "fmin";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return select(isnan(b), a, min(a, b));
    }
};

/// Angle of the point (b, a).
struct Atan2 {
    static constexpr const char* name = "atan2";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return atan2(a, b);
    }
};

/// sqrt(a² + b²) without overflow.
struct Hypot {
    static constexpr const char* name = "hypot";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        using C = simd::lanes_of_t<V>;
        const V x = abs(a), y = abs(b), large = Maximum{}(x, y), ratio = min(x, y) / large;
        const C infinity(__builtin_inf());
        return select((large <= C(0)) | (large >= infinity), large, large * sqrt(fma(ratio, ratio, C(1))));
    }
};

/// a - b trunc(a / b): has the derivatives of fmod, but not its exact values.
struct TruncatedRemainder {
    static constexpr const char* name = "fmod";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return a - b * trunc(a / b);
    }
};

/// a - b floor(a / b): has the derivatives of remainder, but not its exact values.
struct FlooredRemainder {
    static constexpr const char* name = "remainder";
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return a - b * floor(a / b);
    }
};

/// a + weight (b - a), exact at both ends.
struct Lerp {
    static constexpr const char* name = "lerp";
    template <class V, class W>
    LAMINA_INLINE V operator()(V a, V b, W weight) const {
        using C = simd::lanes_of_t<V>;
        return select(weight < C(0.5), a + weight * (b - a), b - (b - a) * (C(1) - weight));
    }
};

/// The same for one weight.
template <class T>
struct LerpScalar {
    static constexpr const char* name = "lerp";
    T weight;
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        using C = simd::lanes_of_t<V>;
        return Lerp{}(a, b, C(weight));
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
