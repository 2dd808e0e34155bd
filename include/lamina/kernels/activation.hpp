#pragma once
// Activation functions as functors over lanes: what `map`, GEMM epilogues and fused layers are made of. Each works on
// Vec and on dual numbers of lanes, which derive its gradient; comparisons are written so that NaN comes through.
#include <lamina/kernels/gelu_table.hpp>
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// log(1 + e^z) without overflow. Selections rather than abs and max make the derivative right at 0 too.
template <class V>
LAMINA_INLINE V softplus_of(V z) {
    using C = simd::lanes_of_t<V>;
    return select(z > C(0), z, C(0)) + log1p(exp(select(z > C(0), -z, z)));
}

/// x sigmoid(z), with one exponential and one division; 0 where sigmoid(z) is next to nothing, since e^-z must stay
/// finite for the derivative to be a number.
template <class V>
LAMINA_INLINE V times_sigmoid(V x, V z) {
    using C = simd::lanes_of_t<V>;
    const C lowest(sizeof(typename C::value_type) == 4 ? -80 : -700);
    return select(z < lowest, C(0), x / (C(1) + exp(-max(lowest, z))));
}

/// x.
struct Identity {
    static constexpr const char* name = "identity";
    LAMINA_INLINE auto operator()(auto x) const { return x; }
};

/// max(0, x); gradient 0 at 0.
struct Relu {
    static constexpr const char* name = "relu";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x <= C(0), C(0), x);
    }
};

/// min(max(0, x), 6); gradient 0 at both ends.
struct Relu6 {
    static constexpr const char* name = "relu6";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x <= C(0), C(0), select(x >= C(6), C(6), x));
    }
};

/// relu(x)².
struct ReluSquared {
    static constexpr const char* name = "relu_squared";
    LAMINA_INLINE auto operator()(auto x) const {
        const auto r = Relu{}(x);
        return r * r;
    }
};

/// x above 0, slope * x below; gradient `slope` at 0.
template <class T>
struct LeakyRelu {
    static constexpr const char* name = "leaky_relu";
    T slope = T(0.01);
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x > C(0), x, C(slope) * x);
    }
};

/// x above 0, alpha (e^x - 1) below.
template <class T>
struct Elu {
    static constexpr const char* name = "elu";
    T alpha = 1;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x > C(0), x, C(alpha) * expm1(x));
    }
};

/// x above 0, alpha (e^(x / alpha) - 1) below.
template <class T>
struct Celu {
    static constexpr const char* name = "celu";
    T alpha = 1;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x > C(0), x, C(alpha) * expm1(x * C(T(1) / alpha)));
    }
};

/// The scaled elu that keeps mean and variance (Klambauer et al., Self-Normalizing Neural Networks, 2017).
struct Selu {
    static constexpr const char* name = "selu";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        const C scale(1.0507009873554804934), alpha(1.6732632423543772848);
        return scale * select(x > C(0), x, alpha * expm1(x));
    }
};

/// x * normal cdf(x) (Hendrycks, Gimpel, Gaussian Error Linear Units, 2016).
struct Gelu {
    static constexpr const char* name = "gelu";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        if constexpr (has_gelu_table<C>) {
            if constexpr (std::is_same_v<V, C>) return gelu_by_table(x);
            else return V::chain(gelu_by_table(x.value), gelu_slope_by_table(x.value), x);
        } else {
            const V half = C(0.5) * x;
            return fma(half, erf(x * C(0.70710678118654752440)), half);
        }
    }
};

/// The same with the cdf by tanh: x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x³)).
struct GeluTanh {
    static constexpr const char* name = "gelu";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        const C linear(1.59576912160573071176), cubic(0.07135481627260025169);
        return times_sigmoid(x, x * fma(x * x, cubic, linear));
    }
};

/// x * sigmoid(1.702 x).
struct QuickGelu {
    static constexpr const char* name = "quick_gelu";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return times_sigmoid(x, C(1.702) * x);
    }
};

/// x * sigmoid(x), also called swish.
struct Silu {
    static constexpr const char* name = "silu";
    LAMINA_INLINE auto operator()(auto x) const { return times_sigmoid(x, x); }
};

/// x * tanh(log(1 + e^x)) (Misra, Mish, 2019).
struct Mish {
    static constexpr const char* name = "mish";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        // tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2); from 20 on it is 1, and n² would overflow further up.
        const V n = exp(x), t = n * (n + C(2));
        return select(x > C(20), x, x * (t / (t + C(2))));
    }
};

/// x * relu6(x + 3) / 6.
struct Hardswish {
    static constexpr const char* name = "hardswish";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x <= C(-3), C(0), select(x >= C(3), x, x * (x + C(3)) * C(1.0 / 6)));
    }
};

/// relu6(x + 3) / 6.
struct Hardsigmoid {
    static constexpr const char* name = "hardsigmoid";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x <= C(-3), C(0), select(x >= C(3), C(1), fma(x, C(1.0 / 6), C(0.5))));
    }
};

/// x held to [low, high]; gradient 0 at both ends.
template <class T>
struct Hardtanh {
    static constexpr const char* name = "hardtanh";
    T low = -1, high = 1;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x <= C(low), C(low), select(x >= C(high), C(high), x));
    }
};

/// log(1 + e^(beta x)) / beta; x itself where beta x is above `threshold`.
template <class T>
struct Softplus {
    static constexpr const char* name = "softplus";
    T beta = 1, threshold = 20;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        const V z = C(beta) * x;
        return select(z > C(threshold), x, softplus_of(z) * C(T(1) / beta));
    }
};

/// x / (1 + |x|).
struct Softsign {
    static constexpr const char* name = "softsign";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return x / (C(1) + abs(x));
    }
};

/// 1 / (1 + e^-x).
struct Sigmoid {
    static constexpr const char* name = "sigmoid";
    LAMINA_INLINE auto operator()(auto x) const { return sigmoid(x); }
};

/// log(sigmoid(x)).
struct Logsigmoid {
    static constexpr const char* name = "logsigmoid";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        return -softplus_of(-x);
    }
};

/// Hyperbolic tangent.
struct Tanh {
    static constexpr const char* name = "tanh";
    LAMINA_INLINE auto operator()(auto x) const { return tanh(x); }
};

/// x - tanh(x).
struct Tanhshrink {
    static constexpr const char* name = "tanhshrink";
    LAMINA_INLINE auto operator()(auto x) const { return x - tanh(x); }
};

/// The normal cdf of mean sqrt(1/2) and deviation sqrt(1/(4 pi)): a bounded relu² (Ma et al., Mega, 2023).
struct Laplace {
    static constexpr const char* name = "laplace";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        const C mean(0.70710678118654752440), scale(2.50662827463100050242);
        return fma(erf((x - mean) * scale), C(0.5), C(0.5));
    }
};

/// x above `threshold`, `value` elsewhere.
template <class T>
struct Threshold {
    static constexpr const char* name = "threshold";
    T threshold, value;
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x <= C(threshold), C(value), x);
    }
};

/// x above 0, a x below, for lanes of slopes a.
struct Prelu {
    static constexpr const char* name = "prelu";
    template <class V>
    LAMINA_INLINE V operator()(V x, V a) const {
        using C = simd::lanes_of_t<V>;
        return select(x > C(0), x, a * x);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
