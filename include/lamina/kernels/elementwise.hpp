#pragma once
// Functors over single elements of any type, for element_row: comparisons, logic, integer arithmetic, casts.
#include <lamina/core/dtype.hpp>

#include <limits>

namespace lamina::inline LAMINA_ABI::kernels {

#define LAMINA_ELEMENT_FUNCTOR(type, op, expression)    \
    struct type {                                       \
        static constexpr const char* name = op;         \
        template <class T>                              \
        LAMINA_INLINE auto operator()(T a, T b) const { \
            return expression;                          \
        }                                               \
    };
LAMINA_ELEMENT_FUNCTOR(Equal, "eq", a == b)
LAMINA_ELEMENT_FUNCTOR(NotEqual, "ne", a != b)
LAMINA_ELEMENT_FUNCTOR(Less, "lt", a < b)
LAMINA_ELEMENT_FUNCTOR(LessEqual, "le", a <= b)
LAMINA_ELEMENT_FUNCTOR(Greater, "gt", a > b)
LAMINA_ELEMENT_FUNCTOR(GreaterEqual, "ge", a >= b)
LAMINA_ELEMENT_FUNCTOR(LogicalAnd, "logical_and", bool((a != T(0)) & (b != T(0))))
LAMINA_ELEMENT_FUNCTOR(LogicalOr, "logical_or", bool((a != T(0)) | (b != T(0))))
LAMINA_ELEMENT_FUNCTOR(LogicalXor, "logical_xor", (a != T(0)) != (b != T(0)))
LAMINA_ELEMENT_FUNCTOR(BitwiseAnd, "bitwise_and", T(a& b))
LAMINA_ELEMENT_FUNCTOR(BitwiseOr, "bitwise_or", T(a | b))
LAMINA_ELEMENT_FUNCTOR(BitwiseXor, "bitwise_xor", T(a ^ b))
// Integer arithmetic wraps, through unsigned numbers of 64 bits.
LAMINA_ELEMENT_FUNCTOR(IntegerAdd, "add", T(std::uint64_t(a) + std::uint64_t(b)))
LAMINA_ELEMENT_FUNCTOR(IntegerSub, "sub", T(std::uint64_t(a) - std::uint64_t(b)))
LAMINA_ELEMENT_FUNCTOR(IntegerMul, "mul", T(std::uint64_t(a) * std::uint64_t(b)))
LAMINA_ELEMENT_FUNCTOR(IntegerMaximum, "maximum", a > b ? a : b)
LAMINA_ELEMENT_FUNCTOR(IntegerMinimum, "minimum", a < b ? a : b)
/// The quotient as a real number.
LAMINA_ELEMENT_FUNCTOR(IntegerTrueDivide, "div", float(a) / float(b))
#undef LAMINA_ELEMENT_FUNCTOR

/// a / b towards zero; wraps for the lowest number by -1. The caller has checked that b is not 0.
struct IntegerTruncDivide {
    static constexpr const char* name = "div";
    template <class T>
    LAMINA_INLINE T operator()(T a, T b) const {
        if constexpr (std::is_signed_v<T>) {
            if (b == T(-1)) return T(std::uint64_t(0) - std::uint64_t(a));
        }
        return T(a / b);
    }
};
/// a - b * (a / b): the sign of the dividend.
struct IntegerFmod {
    static constexpr const char* name = "fmod";
    template <class T>
    LAMINA_INLINE T operator()(T a, T b) const {
        if constexpr (std::is_signed_v<T>) {
            if (b == T(-1)) return T(0);
        }
        return T(a % b);
    }
};
/// The remainder that has the sign of the divisor.
struct IntegerRemainder {
    static constexpr const char* name = "remainder";
    template <class T>
    LAMINA_INLINE T operator()(T a, T b) const {
        const T r = IntegerFmod{}(a, b);
        return r != T(0) && (r < T(0)) != (b < T(0)) ? T(r + b) : r;
    }
};
/// a / b towards minus infinity.
struct IntegerFloorDivide {
    static constexpr const char* name = "floor_divide";
    template <class T>
    LAMINA_INLINE T operator()(T a, T b) const {
        const T q = IntegerTruncDivide{}(a, b), r = IntegerFmod{}(a, b);
        return r != T(0) && (r < T(0)) != (b < T(0)) ? T(q - 1) : q;
    }
};

/// fmod of real numbers, exact.
struct RealFmod {
    template <class T>
    LAMINA_INLINE T operator()(T a, T b) const {
        if constexpr (sizeof(T) == 4) return __builtin_fmodf(a, b);
        else return __builtin_fmod(a, b);
    }
};
/// The remainder that has the sign of the divisor, exact up to the one addition that moves it there.
struct RealRemainder {
    template <class T>
    LAMINA_INLINE T operator()(T a, T b) const {
        const T r = RealFmod{}(a, b);
        return r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
    }
};
/// floor(a / b) of the exact quotient.
struct RealFloorDivide {
    template <class T>
    LAMINA_INLINE T operator()(T a, T b) const {
        if (b == T(0)) return a / b;
        T q = (a - RealFmod{}(a, b)) / b;
        if (const T r = RealFmod{}(a, b); r != T(0) && (r < T(0)) != (b < T(0))) q -= T(1);
        // q is an integer up to rounding.
        return sizeof(T) == 4 ? T(__builtin_rintf(float(q))) : T(__builtin_rint(double(q)));
    }
};

/// -x, wrapping for integers.
struct IntegerNeg {
    static constexpr const char* name = "neg";
    template <class T>
    LAMINA_INLINE T operator()(T x) const {
        return T(std::uint64_t(0) - std::uint64_t(x));
    }
};
struct IntegerAbs {
    static constexpr const char* name = "abs";
    template <class T>
    LAMINA_INLINE T operator()(T x) const {
        return x < T(0) ? IntegerNeg{}(x) : x;
    }
};
struct IntegerSign {
    static constexpr const char* name = "sign";
    template <class T>
    LAMINA_INLINE T operator()(T x) const {
        return T((x > T(0)) - (x < T(0)));
    }
};
/// x^exponent for exponent >= 0, wrapping.
template <class T>
struct IntegerPow {
    static constexpr const char* name = "pow";
    T exponent;
    LAMINA_INLINE T operator()(T x) const {
        std::uint64_t power = 1, base = std::uint64_t(x);
        for (auto e = std::uint64_t(exponent); e; e >>= 1, base *= base)
            if (e & 1) power *= base;
        return T(power);
    }
};
struct LogicalNot {
    static constexpr const char* name = "logical_not";
    template <class T>
    LAMINA_INLINE bool operator()(T x) const {
        return x == T(0);
    }
};
struct BitwiseNot {
    static constexpr const char* name = "bitwise_not";
    template <class T>
    LAMINA_INLINE T operator()(T x) const {
        return T(~x);
    }
    LAMINA_INLINE bool operator()(bool x) const { return !x; }
};
struct IsNan {
    static constexpr const char* name = "isnan";
    LAMINA_INLINE bool operator()(auto x) const { return x != x; }
};
struct IsInf {
    static constexpr const char* name = "isinf";
    template <class T>
    LAMINA_INLINE bool operator()(T x) const {
        return (x == std::numeric_limits<T>::infinity()) || (x == -std::numeric_limits<T>::infinity());
    }
};
struct IsFinite {
    static constexpr const char* name = "isfinite";
    LAMINA_INLINE bool operator()(auto x) const { return x - x == x - x; }
};

/// Conversion to To. Real to integer goes towards zero, saturates, and takes NaN to 0; integers wrap; anything but 0 is
/// true.
template <class To>
struct Cast {
    static constexpr const char* name = "to";
    template <class From>
    LAMINA_INLINE To operator()(From x) const {
        constexpr bool from_real = !std::is_integral_v<From>;
        if constexpr (std::is_same_v<From, half> || std::is_same_v<From, bfloat16>) return (*this)(float(x));
        else if constexpr (std::is_same_v<To, bool>) return x != From(0);
        else if constexpr (std::is_integral_v<To> && from_real) {
            using Limits = std::numeric_limits<To>;
            // 2^digits is exact in every real type, the largest integer is not.
            constexpr From above = From(std::uint64_t(1) << (Limits::digits - 1)) * From(2);
            if (x >= above) return Limits::max();
            if (x <= From(Limits::min())) return Limits::min();
            return x == x ? To(x) : To(0);
        } else if constexpr (std::is_same_v<To, half> || std::is_same_v<To, bfloat16>) return To(float(x));
        else return To(x);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
