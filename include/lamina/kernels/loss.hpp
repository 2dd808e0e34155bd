#pragma once
// Terms of element-wise losses as functors over lanes of input x and target y; `map` sums them and derives gradients.
#include <lamina/kernels/activation.hpp>
#include <lamina/simd/dual.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// (x - y)².
struct SquaredError {
    static constexpr const char* name = "mse";
    LAMINA_INLINE auto operator()(auto x, auto y) const {
        const auto d = x - y;
        return d * d;
    }
};

/// |x - y|; gradient 0 at equality.
struct AbsoluteError {
    static constexpr const char* name = "l1";
    LAMINA_INLINE auto operator()(auto x, auto y) const { return abs(x - y); }
};

/// d² / (2 beta) for d = |x - y| below beta, d - beta / 2 from there on.
template <class T>
struct SmoothAbsoluteError {
    static constexpr const char* name = "smooth_l1";
    T beta;
    template <class V>
    LAMINA_INLINE V operator()(V x, V y) const {
        using C = simd::lanes_of_t<V>;
        const V d = abs(x - y);
        return select(d < C(beta), d * d * C(T(0.5) / beta), d - C(T(0.5) * beta));
    }
};

/// d² / 2 for d = |x - y| up to delta, delta (d - delta / 2) above.
template <class T>
struct HuberError {
    static constexpr const char* name = "huber";
    T delta;
    template <class V>
    LAMINA_INLINE V operator()(V x, V y) const {
        using C = simd::lanes_of_t<V>;
        const V d = abs(x - y);
        return select(d <= C(delta), d * d * C(0.5), C(delta) * (d - C(T(0.5) * delta)));
    }
};

/// weight * -(y log p + (1 - y) log(1 - p)), each logarithm at least -100; slope (p - y) / max(p (1 - p), 1e-12).
struct BinaryCrossEntropy {
    static constexpr const char* name = "bce";
    template <class V, class C>
    LAMINA_INLINE auto operator()(V p, C y, C weight) const {
        if constexpr (std::is_same_v<V, C>) {
            const C lowest(-100);
            const C yes = max(lowest, log(p)), no = max(lowest, log1p(-p));
            return weight * fnma(y, yes, (y - C(1)) * no);
        } else {
            const C v = p.value;
            const C slope = weight * (v - y) / max(C(1e-12), v * (C(1) - v));
            return V::chain((*this)(v, y, weight), slope, p);
        }
    }
};

/// weight * ((1 - y) x + (1 + (positive - 1) y) log(1 + e^-x)), for logits x.
struct BinaryCrossEntropyWithLogits {
    static constexpr const char* name = "bce_with_logits";
    template <class V, class C>
    LAMINA_INLINE V operator()(V x, C y, C weight, C positive) const {
        return weight * ((C(1) - y) * x + fma(positive - C(1), y, C(1)) * softplus_of(-x));
    }
};

/// y (log y - x) for log-probabilities x; 0 where y is 0.
struct KlDivergence {
    static constexpr const char* name = "kl_div";
    template <class V>
    LAMINA_INLINE V operator()(V x, V y) const {
        using C = simd::lanes_of_t<V>;
        return select(y == C(0), C(0), y * (log(y) - x));
    }
};

/// The same with log y given.
struct KlDivergenceLogTarget {
    static constexpr const char* name = "kl_div";
    LAMINA_INLINE auto operator()(auto x, auto log_y) const { return exp(log_y) * (log_y - x); }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
