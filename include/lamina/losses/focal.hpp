#pragma once
// The focal family: losses for rare positives among many easy negatives, on logits x with p = sigmoid(x), without
// overflow. Each is one formula over lanes; targets are constants.
#include <lamina/kernels/activation.hpp>
#include <lamina/losses/reduction.hpp>

namespace lamina::inline LAMINA_ABI::losses {

namespace detail {

/// base^gamma for a base in [0, 1]; other powers than 0, 1 and 2 keep the base from 0, where slopes may be infinite.
template <class V, class T>
LAMINA_INLINE V focus(const V& base, T gamma) {
    using C = simd::lanes_of_t<V>;
    if (gamma == T(2)) return base * base;
    if (gamma == T(1)) return base;
    if (gamma == T(0)) return V(C(1));
    return pow(max(base, C(T(1e-12))), C(gamma));
}

/// sigmoid(x), 1 - sigmoid(x) and softplus(-x), with one exponential and one division.
template <class V>
struct Logistic {
    V probability, rest, softplus;
};
template <class C>
LAMINA_INLINE Logistic<C> logistic(const C& x) {
    const C e = exp(-abs(x)), high = C(1) / (C(1) + e), low = e * high;
    const auto positive = x > C(0);
    return {select(positive, high, low), select(positive, low, high), max(C(0), -x) + log1p(e)};
}
/// The slopes follow from the values.
template <class C, int N>
LAMINA_INLINE Logistic<simd::Dual<C, N>> logistic(const simd::Dual<C, N>& x) {
    using D = simd::Dual<C, N>;
    const auto l = logistic(x.value);
    const C slope = l.probability * l.rest;
    return {D::chain(l.probability, slope, x), D::chain(l.rest, -slope, x), D::chain(l.softplus, -l.rest, x)};
}

/// Cross entropy of logit x with a target y in [0, 1]: softplus(x) - x y, as (1 - y) x + softplus(-x).
template <class V, class C>
LAMINA_INLINE V logit_entropy(const V& x, C y, const Logistic<V>& l) {
    return (C(1) - y) * x + l.softplus;
}

template <class T>
struct SigmoidFocal {
    static constexpr const char* name = "sigmoid_focal";
    T alpha, gamma;
    template <class V, class C>
    LAMINA_INLINE V operator()(const V& x, C y) const {
        const auto l = logistic(x);
        const V missed = l.probability + y - l.probability * (y + y);  // 1 - p_t
        const V loss = logit_entropy(x, y, l) * focus(missed, gamma);
        if (alpha < T(0)) return loss;
        return loss * (C(alpha) * y + C(T(1) - alpha) * (C(1) - y));
    }
};

template <class T>
struct QualityFocal {
    static constexpr const char* name = "quality_focal";
    T beta;
    template <class V, class C>
    LAMINA_INLINE V operator()(const V& x, C q) const {
        const auto l = logistic(x);
        return logit_entropy(x, q, l) * focus(V(abs(l.probability - q)), beta);
    }
};

template <class T>
struct Varifocal {
    static constexpr const char* name = "varifocal";
    T alpha, gamma;
    bool iou_weighted;
    template <class V, class C>
    LAMINA_INLINE V operator()(const V& x, C q) const {
        const auto l = logistic(x);
        const V entropy = logit_entropy(x, q, l);
        const V positive = iou_weighted ? V(entropy * q) : entropy;
        return select(q > C(0), positive, entropy * focus(V(abs(l.probability - q)), gamma) * C(alpha));
    }
};

template <class T>
struct GaussianFocal {
    static constexpr const char* name = "gaussian_focal";
    T alpha, beta;
    template <class V, class C>
    LAMINA_INLINE V operator()(const V& x, C y) const {
        const V p = clamp(sigmoid(x), C(T(1e-4)), C(T(1 - 1e-4)));
        const V hit = log(p) * focus(V(C(1) - p), alpha);
        const V miss = log(C(1) - p) * focus(p, alpha) * weight(C(1) - y);
        return -select(y == C(1), hit, select(y < C(1), miss, C(0)));
    }

private:
    template <class C>
    LAMINA_INLINE C weight(C distance) const {
        if (beta == T(4)) return distance * distance * (distance * distance);
        return focus(distance, beta);
    }
};

}  // namespace detail

/// Factors of the sigmoid focal loss.
struct FocalOptions {
    double alpha = 0.25;  ///< weight of positives, 1 - alpha of negatives; none when negative
    double gamma = 2;     ///< power of what is missing from the right answer
};

/// a_t (1 - p_t)^gamma * cross entropy: T.-Y. Lin et al., Focal Loss for Dense Object Detection, ICCV 2017. Input and
/// target have one shape. Throws ShapeError, as all losses here.
template <Reduction reduction = Reduction::none, Real T, int R>
auto sigmoid_focal(const Tensor<T, R>& input, const Tensor<T, R>& target, const FocalOptions& o = {}) {
    detail::require_same_shape("sigmoid_focal", input.shape(), target.shape());
    return detail::reduced<reduction, 1>(detail::SigmoidFocal<T>{T(o.alpha), T(o.gamma)}, input, target);
}

/// |q - p|^beta * cross entropy with a quality q in [0, 1], 0 at other classes: X. Li et al., Generalized Focal Loss,
/// NeurIPS 2020.
template <Reduction reduction = Reduction::sum, Real T, int R>
auto quality_focal(const Tensor<T, R>& input, const Tensor<T, R>& target, double beta = 2) {
    detail::require_same_shape("quality_focal", input.shape(), target.shape());
    return detail::reduced<reduction, 1>(detail::QualityFocal<T>{T(beta)}, input, target);
}

/// Factors of the varifocal loss.
struct VarifocalOptions {
    double alpha = 0.75;       ///< weight of negatives
    double gamma = 2;          ///< power of their probability
    bool iou_weighted = true;  ///< positives weigh as their quality, else 1
};

/// q * cross entropy for qualities q > 0, alpha p^gamma * cross entropy for q = 0: H. Zhang et al., VarifocalNet,
/// CVPR 2021. The gradient flows through p^gamma too.
template <Reduction reduction = Reduction::sum, Real T, int R>
auto varifocal(const Tensor<T, R>& input, const Tensor<T, R>& target, const VarifocalOptions& o = {}) {
    detail::require_same_shape("varifocal", input.shape(), target.shape());
    return detail::reduced<reduction, 1>(detail::Varifocal<T>{T(o.alpha), T(o.gamma), o.iou_weighted}, input, target);
}

/// Terms of the penalty-reduced focal loss on a heat map: -(1 - p)^alpha log p at peaks (target exactly 1),
/// -(1 - y)^beta p^alpha log(1 - p) elsewhere, p held to [1e-4, 1 - 1e-4]: X. Zhou et al., Objects as Points, 2019. The
/// sum is divided by the number of peaks if there are any: []
template <Real T, int R>
Tensor<T, 0> gaussian_focal(const Tensor<T, R>& input, const Tensor<T, R>& target, double alpha = 2, double beta = 4) {
    detail::require_same_shape("gaussian_focal", input.shape(), target.shape());
    const Tensor<T, R> y = target.is_contiguous() ? target : target.clone();
    Index peaks = 0;
    for (Index i = 0; i < y.numel(); ++i) peaks += y.data()[i] == T(1);
    const detail::GaussianFocal<T> f{T(alpha), T(beta)};
    return detail::scaled_sum<1>("gaussian_focal", f, T(1) / T(peaks > 0 ? peaks : 1), input, target);
}

}  // namespace lamina::inline LAMINA_ABI::losses
