#pragma once
// Forward-mode dual numbers over lanes: a value and N derivatives. A generic lambda written for Vec gives its exact
// gradient when it runs on these. Where a function has no derivative the convention is PyTorch's:
//   max, min of two variables: a tie gives half to each; of a variable and a constant: a tie gives 0 (so relu is 0 at
//   0) clamp: passes at both ends; abs: 0 at 0; sqrt: infinite at 0; floor, ceil, round, trunc: 0 pow: 0 for the base
//   when the exponent is 0, 0 for the exponent when the base is 0 and the exponent is not negative
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// `value` and its derivatives by N variables; V is a Vec, or float or double.
template <class V, int N>
struct Dual {
    V value;
    V grad[N];

    Dual() = default;
    /// A constant.
    LAMINA_INLINE Dual(V v) : value(v) {
        unroll<N>([&](auto i) LAMINA_INLINE_LAMBDA { grad[i] = V(0); });
    }
    /// Variable number `i`.
    LAMINA_INLINE static Dual variable(V v, int i) {
        Dual r(v);
        unroll<N>([&](auto k) LAMINA_INLINE_LAMBDA { r.grad[k] = V(k == i ? 1 : 0); });
        return r;
    }
    /// A value with derivatives f(std::integral_constant<int, i>) for i = 0 … N-1.
    template <class F>
    LAMINA_INLINE static Dual make(V v, F&& f) {
        Dual r;
        r.value = v;
        unroll<N>([&](auto i) LAMINA_INLINE_LAMBDA { r.grad[i] = f(i); });
        return r;
    }
    /// The chain rule: a function of `a` with this value and slope.
    LAMINA_INLINE static Dual chain(V v, V slope, const Dual& a) {
        return make(v, [&](auto i) LAMINA_INLINE_LAMBDA { return slope * a.grad[i]; });
    }

    LAMINA_INLINE friend Dual operator+(const Dual& a) { return a; }
    LAMINA_INLINE friend Dual operator-(const Dual& a) {
        return make(-a.value, [&](auto i) LAMINA_INLINE_LAMBDA { return -a.grad[i]; });
    }
    LAMINA_INLINE friend Dual operator+(const Dual& a, const Dual& b) {
        return make(a.value + b.value, [&](auto i) LAMINA_INLINE_LAMBDA { return a.grad[i] + b.grad[i]; });
    }
    LAMINA_INLINE friend Dual operator-(const Dual& a, const Dual& b) {
        return make(a.value - b.value, [&](auto i) LAMINA_INLINE_LAMBDA { return a.grad[i] - b.grad[i]; });
    }
    LAMINA_INLINE friend Dual operator*(const Dual& a, const Dual& b) {
        return make(a.value * b.value,
                    [&](auto i) LAMINA_INLINE_LAMBDA { return fma(a.value, b.grad[i], a.grad[i] * b.value); });
    }
    LAMINA_INLINE friend Dual operator/(const Dual& a, const Dual& b) {
        const V inverse = V(1) / b.value, q = a.value / b.value;
        return make(q, [&](auto i) LAMINA_INLINE_LAMBDA { return (a.grad[i] - q * b.grad[i]) * inverse; });
    }
    LAMINA_INLINE friend Dual operator+(const Dual& a, V b) { return with_value(a, a.value + b); }
    LAMINA_INLINE friend Dual operator+(V a, const Dual& b) { return with_value(b, a + b.value); }
    LAMINA_INLINE friend Dual operator-(const Dual& a, V b) { return with_value(a, a.value - b); }
    LAMINA_INLINE friend Dual operator-(V a, const Dual& b) {
        return make(a - b.value, [&](auto i) LAMINA_INLINE_LAMBDA { return -b.grad[i]; });
    }
    LAMINA_INLINE friend Dual operator*(const Dual& a, V b) { return chain(a.value * b, b, a); }
    LAMINA_INLINE friend Dual operator*(V a, const Dual& b) { return chain(a * b.value, a, b); }
    LAMINA_INLINE friend Dual operator/(const Dual& a, V b) { return chain(a.value / b, V(1) / b, a); }
    LAMINA_INLINE friend Dual operator/(V a, const Dual& b) {
        const V q = a / b.value;
        return chain(q, -q / b.value, b);
    }
    LAMINA_INLINE Dual& operator+=(const Dual& b) { return *this = *this + b; }
    LAMINA_INLINE Dual& operator-=(const Dual& b) { return *this = *this - b; }
    LAMINA_INLINE Dual& operator*=(const Dual& b) { return *this = *this * b; }
    LAMINA_INLINE Dual& operator/=(const Dual& b) { return *this = *this / b; }

    // Comparisons look at values alone; their type is V's mask.
#define LAMINA_DUAL_COMPARE(op)                                                                        \
    LAMINA_INLINE friend auto operator op(const Dual& a, const Dual& b) { return a.value op b.value; } \
    LAMINA_INLINE friend auto operator op(const Dual& a, V b) { return a.value op b; }                 \
    LAMINA_INLINE friend auto operator op(V a, const Dual& b) { return a op b.value; }
    LAMINA_DUAL_COMPARE(<)
    LAMINA_DUAL_COMPARE(<=)
    LAMINA_DUAL_COMPARE(>)
    LAMINA_DUAL_COMPARE(>=)
    LAMINA_DUAL_COMPARE(==)
    LAMINA_DUAL_COMPARE(!=)
#undef LAMINA_DUAL_COMPARE
    using Mask = decltype(V() < V());

    LAMINA_INLINE friend Mask isnan(const Dual& a) { return a.value != a.value; }
    LAMINA_INLINE friend Dual select(Mask m, const Dual& a, const Dual& b) {
        return make(select(m, a.value, b.value),
                    [&](auto i) LAMINA_INLINE_LAMBDA { return select(m, a.grad[i], b.grad[i]); });
    }
    LAMINA_INLINE friend Dual select(Mask m, const Dual& a, V b) {
        return make(select(m, a.value, b), [&](auto i) LAMINA_INLINE_LAMBDA { return select(m, a.grad[i], V(0)); });
    }
    LAMINA_INLINE friend Dual select(Mask m, V a, const Dual& b) {
        return make(select(m, a, b.value), [&](auto i) LAMINA_INLINE_LAMBDA { return select(m, V(0), b.grad[i]); });
    }

    LAMINA_INLINE friend Dual max(const Dual& a, const Dual& b) {
        return split(a.value > b.value, max(a.value, b.value), a, b);
    }
    LAMINA_INLINE friend Dual min(const Dual& a, const Dual& b) {
        return split(a.value < b.value, min(a.value, b.value), a, b);
    }
    LAMINA_INLINE friend Dual max(const Dual& a, V b) { return gate(a.value > b, max(a.value, b), a); }
    LAMINA_INLINE friend Dual max(V a, const Dual& b) { return gate(!(a >= b.value), max(a, b.value), b); }
    LAMINA_INLINE friend Dual min(const Dual& a, V b) { return gate(a.value < b, min(a.value, b), a); }
    LAMINA_INLINE friend Dual min(V a, const Dual& b) { return gate(!(a <= b.value), min(a, b.value), b); }
    /// `x` held to constants; the derivative passes where lo <= x <= hi.
    LAMINA_INLINE friend Dual clamp(const Dual& x, V lo, V hi) {
        return gate(!((x.value < lo) | (x.value > hi)), min(hi, max(lo, x.value)), x);
    }

    /// The value as a constant: no derivative flows through.
    LAMINA_INLINE friend Dual detach(const Dual& a) { return Dual(a.value); }

private:
    LAMINA_INLINE static Dual with_value(Dual a, V v) {
        a.value = v;
        return a;
    }
    LAMINA_INLINE static Dual gate(Mask m, V v, const Dual& a) {
        return make(v, [&](auto i) LAMINA_INLINE_LAMBDA { return select(m, a.grad[i], V(0)); });
    }
    LAMINA_INLINE static Dual split(Mask first, V v, const Dual& a, const Dual& b) {
        const Mask tie = a.value == b.value;
        return make(v, [&](auto i) LAMINA_INLINE_LAMBDA {
            return select(tie, V(0.5) * (a.grad[i] + b.grad[i]), select(first, a.grad[i], b.grad[i]));
        });
    }
};

template <class V, int N>
struct lanes_of<Dual<V, N>> {
    using type = V;
};

// Functions of one variable: the slope in terms of the argument x and the value y.
#define LAMINA_DUAL_UNARY(name, slope)                   \
    template <class V, int N>                            \
    LAMINA_INLINE Dual<V, N> name(const Dual<V, N>& a) { \
        [[maybe_unused]] const V x = a.value;            \
        const V y = name(x);                             \
        return Dual<V, N>::chain(y, slope, a);           \
    }
LAMINA_DUAL_UNARY(sqrt, V(0.5) / y)
LAMINA_DUAL_UNARY(rsqrt, V(-0.5) * y / x)
LAMINA_DUAL_UNARY(reciprocal, -y* y)
LAMINA_DUAL_UNARY(abs, select(x > V(0), V(1), select(x < V(0), V(-1), x* V(0))))
LAMINA_DUAL_UNARY(exp, y)
LAMINA_DUAL_UNARY(exp2, y* V(0.6931471805599453))
LAMINA_DUAL_UNARY(expm1, y + V(1))
LAMINA_DUAL_UNARY(log, V(1) / x)
LAMINA_DUAL_UNARY(log2, V(1.4426950408889634) / x)
LAMINA_DUAL_UNARY(log1p, V(1) / (x + V(1)))
LAMINA_DUAL_UNARY(tanh, fnma(y, y, V(1)))
LAMINA_DUAL_UNARY(sigmoid, y*(V(1) - y))
LAMINA_DUAL_UNARY(erf, V(1.1283791670955126) * exp(-x * x))
LAMINA_DUAL_UNARY(erfc, V(-1.1283791670955126) * exp(-x * x))
LAMINA_DUAL_UNARY(sin, cos(x))
LAMINA_DUAL_UNARY(cos, -sin(x))
LAMINA_DUAL_UNARY(atan, V(1) / fma(x, x, V(1)))
#undef LAMINA_DUAL_UNARY

// Functions that are constant wherever they have a derivative.
#define LAMINA_DUAL_FLAT(name)                           \
    template <class V, int N>                            \
    LAMINA_INLINE Dual<V, N> name(const Dual<V, N>& a) { \
        return Dual<V, N>(name(a.value));                \
    }
LAMINA_DUAL_FLAT(floor)
LAMINA_DUAL_FLAT(ceil)
LAMINA_DUAL_FLAT(round)
LAMINA_DUAL_FLAT(trunc)
#undef LAMINA_DUAL_FLAT

/// `a * b + c`, and its relatives, of any mixture of variables and constants.
template <class V, int N, class B, class C>
LAMINA_INLINE Dual<V, N> fma(const Dual<V, N>& a, const B& b, const C& c) {
    return a * b + c;
}
template <class V, int N, class B, class C>
LAMINA_INLINE Dual<V, N> fnma(const Dual<V, N>& a, const B& b, const C& c) {
    return c - a * b;
}
template <class V, int N, class B, class C>
LAMINA_INLINE Dual<V, N> fms(const Dual<V, N>& a, const B& b, const C& c) {
    return a * b - c;
}

/// The magnitude of `a` with the sign of the constant `b`.
template <class V, int N>
LAMINA_INLINE Dual<V, N> copysign(const Dual<V, N>& a, std::type_identity_t<V> b) {
    const V slope = copysign(V(1), a.value) * copysign(V(1), b);
    return Dual<V, N>::chain(copysign(a.value, b), slope, a);
}

/// Angle of (x, y): slopes x / (x^2 + y^2) and -y / (x^2 + y^2).
template <class V, int N>
LAMINA_INLINE Dual<V, N> atan2(const Dual<V, N>& y, const Dual<V, N>& x) {
    const V scale = V(1) / fma(x.value, x.value, y.value * y.value);
    const V slope_y = x.value * scale, slope_x = y.value * scale;
    return Dual<V, N>::make(atan2(y.value, x.value),
                            [&](auto i) LAMINA_INLINE_LAMBDA { return fnma(slope_x, x.grad[i], slope_y * y.grad[i]); });
}
template <class V, int N>
LAMINA_INLINE Dual<V, N> atan2(const Dual<V, N>& y, std::type_identity_t<V> x) {
    return Dual<V, N>::chain(atan2(y.value, x), x / fma(x, x, y.value * y.value), y);
}
template <class V, int N>
LAMINA_INLINE Dual<V, N> atan2(std::type_identity_t<V> y, const Dual<V, N>& x) {
    return Dual<V, N>::chain(atan2(y, x.value), -y / fma(y, y, x.value * x.value), x);
}

/// `a` to the power `b`: slopes b a^(b-1) (0 where b is 0) and a^b log a (0 where a is 0 and b >= 0).
template <class V, int N>
LAMINA_INLINE Dual<V, N> pow(const Dual<V, N>& a, std::type_identity_t<V> b) {
    return Dual<V, N>::chain(pow(a.value, b), select(b == V(0), V(0), b * pow(a.value, b - V(1))), a);
}
template <class V, int N>
LAMINA_INLINE Dual<V, N> pow(std::type_identity_t<V> a, const Dual<V, N>& b) {
    const V y = pow(a, b.value);
    return Dual<V, N>::chain(y, select((a == V(0)) & (b.value >= V(0)), V(0), y * log(a)), b);
}
template <class V, int N>
LAMINA_INLINE Dual<V, N> pow(const Dual<V, N>& a, const Dual<V, N>& b) {
    const Dual<V, N> base = pow(a, b.value), exponent = pow(a.value, b);
    return Dual<V, N>::make(base.value, [&](auto i) LAMINA_INLINE_LAMBDA { return base.grad[i] + exponent.grad[i]; });
}

}  // namespace lamina::inline LAMINA_ABI::simd
