#pragma once
// What reductions apply to elements on the way in, and their gradients on the way out. Named types rather than lambdas:
// every op and rank that uses one shares a single compiled kernel.
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

namespace maps {  // V operator()(V x, V shift)

struct SquaredDistance {
    template <class V>
    LAMINA_INLINE V operator()(V x, V s) const {
        const V d = x - s;
        return d * d;
    }
};
struct ExpDistance {
    template <class V>
    LAMINA_INLINE V operator()(V x, V s) const {
        return exp(x - s);
    }
};
struct Square {
    template <class V>
    LAMINA_INLINE V operator()(V x, V) const {
        return x * x;
    }
};
struct Magnitude {
    template <class V>
    LAMINA_INLINE V operator()(V x, V) const {
        return abs(x);
    }
};
/// 1 for elements that are not 0.
struct NotZero {
    template <class V>
    LAMINA_INLINE V operator()(V x, V) const {
        return select(x == V(0), V(0), V(1));
    }
};
/// 1 for elements that are 0.
struct IsZero {
    template <class V>
    LAMINA_INLINE V operator()(V x, V) const {
        return select(x == V(0), V(1), V(0));
    }
};
/// The element, but 1 in place of 0.
struct OneForZero {
    template <class V>
    LAMINA_INLINE V operator()(V x, V) const {
        return select(x == V(0), V(1), x);
    }
};
/// 1 for elements equal to the shift, NaN equal to NaN.
struct IsTie {
    template <class V>
    LAMINA_INLINE static auto mask(V x, V s) {
        return (x == s) | (isnan(x) & isnan(s));
    }
    template <class V>
    LAMINA_INLINE V operator()(V x, V s) const {
        return select(mask(x, s), V(1), V(0));
    }
};
/// 1 for elements of the shift's magnitude.
struct IsMagnitude {
    template <class V>
    LAMINA_INLINE V operator()(V x, V s) const {
        return select(abs(x) == s, V(1), V(0));
    }
};
/// |x|^p for p > 0.
struct Power {
    double p;
    template <class V>
    LAMINA_INLINE V operator()(V x, V) const {
        using T = typename V::value_type;
        return select(x == V(0), V(0), exp(V(T(p)) * log(abs(x))));
    }
};

}  // namespace maps

namespace shares {  // V operator()(V x, V y, V g): the gradient of x, from the reduced y and its (prepared) gradient g

struct Same {
    template <class V>
    LAMINA_INLINE V operator()(V, V, V g) const {
        return g;
    }
};
struct Divided {
    double divisor;
    template <class V>
    LAMINA_INLINE V operator()(V, V, V g) const {
        return g / V(typename V::value_type(divisor));
    }
};
struct TimesElement {
    template <class V>
    LAMINA_INLINE V operator()(V x, V, V g) const {
        return x * g;
    }
};
struct TimesDistance {
    template <class V>
    LAMINA_INLINE V operator()(V x, V y, V g) const {
        return g * (x - y);
    }
};
struct TimesSign {
    template <class V>
    LAMINA_INLINE V operator()(V x, V, V g) const {
        return select(x == V(0), V(0), copysign(V(1), x) * g);
    }
};
struct ToTies {
    template <class V>
    LAMINA_INLINE V operator()(V x, V y, V g) const {
        return select(maps::IsTie::mask(x, y), g, V(0));
    }
};
struct SignToMagnitude {
    template <class V>
    LAMINA_INLINE V operator()(V x, V y, V g) const {
        return select(abs(x) == y, TimesSign{}(x, y, g), V(0));
    }
};
/// Of a product: y counts the zeros, g is the product of the others times its gradient.
struct OfProduct {
    template <class V>
    LAMINA_INLINE V operator()(V x, V y, V g) const {
        return select(y == V(0), g / x, select(x == V(0), g, V(0)));
    }
};
/// g exp(x - y), 0 where y is -inf.
struct Softmax {
    template <class V>
    LAMINA_INLINE V operator()(V x, V y, V g) const {
        using T = typename V::value_type;
        return select(y == V(-std::numeric_limits<T>::infinity()), V(0), g * exp(x - y));
    }
};
/// g sign(x) |x|^(p-1).
struct OfPower {
    double p;
    template <class V>
    LAMINA_INLINE V operator()(V x, V y, V g) const {
        return TimesSign{}(x, y, g) * maps::Power{p - 1}(x, y);
    }
};

}  // namespace shares

}  // namespace lamina::inline LAMINA_ABI::kernels
