#pragma once
// Weights that are no softmax: a function of each score alone, so that blocks need no maximum and no rescaling. The
// squared ReLU of D. So et al., "Primer", 2021, and the Laplace distribution function of X. Ma et al., "Mega", 2023.
#include <lamina/kernels/attention/problem.hpp>
#include <lamina/simd/math/erf.hpp>
#include <lamina/simd/math/exp.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// A weight and its derivative by the score.
template <class V>
struct Weighed {
    V weight, slope;
};

template <bool Laplace, class T, class Arch>
LAMINA_INLINE Weighed<simd::Vec<T, Arch>> weigh_score(simd::Vec<T, Arch> s) {
    using V = simd::Vec<T, Arch>;
    if constexpr (Laplace) {
        constexpr T mean = T(0.70710678118654752440), steepness = T(2.50662827463100050242);  // 1 / (sigma sqrt 2)
        const V z = max(V(T(-40)), (s - V(mean)) * V(steepness));  // hidden keys, without overflow
        constexpr T top = T(1.41421356237309504880);               // steepness / sqrt(pi)
        return {fma(erf(z), V(T(0.5)), V(T(0.5))), V(top) * exp(-(z * z))};
    } else {
        const V r = max(V(T(0)), s);
        return {r * r, r + r};
    }
}

/// n scores, `stride` apart, become weights; adds to `seen` the number of those that are not hidden.
template <class Arch, class T>
void weigh_apart(Weighing weighing, T* s, Index stride, Index n, T* seen) {
    using V = simd::Vec<T, Arch>;
    const V visible = ScoreLimits<T>::unseen;
    V count = simd::load<Arch>(seen);
    const auto all = [&]<bool Laplace>(std::bool_constant<Laplace>) {
        for (Index j = 0; j < n; ++j, s += stride) {
            const V x = simd::load<Arch>(s);
            count += select(x < visible, V(T(0)), V(T(1)));
            simd::store(s, weigh_score<Laplace>(x).weight);
        }
    };
    if (weighing == Weighing::laplace) all(std::true_type{});
    else all(std::false_type{});
    simd::store(seen, count);
}

/// n scores become weights and n gradients of weights become those of scores, all times `factor`.
template <class Arch, class T>
void weigh_apart_grad(Weighing weighing, T* s, T* d, Index stride, Index n, const T* factor) {
    using V = simd::Vec<T, Arch>;
    const V f = simd::load<Arch>(factor);
    const auto all = [&]<bool Laplace>(std::bool_constant<Laplace>) {
        for (Index j = 0; j < n; ++j, s += stride, d += stride) {
            const auto w = weigh_score<Laplace>(simd::load<Arch>(s));
            simd::store(s, w.weight * f);
            simd::store(d, simd::load<Arch>(d) * (w.slope * f));
        }
    };
    if (weighing == Weighing::laplace) all(std::true_type{});
    else all(std::false_type{});
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
