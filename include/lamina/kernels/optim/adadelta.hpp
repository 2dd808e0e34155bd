#pragma once
// Adadelta: steps in the parameter's own unit, from the sizes of recent steps and gradients. M. Zeiler,
// arXiv:1212.5701, 2012.
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: mean square of the gradient, mean square of the steps.
template <class T>
struct AdadeltaRule {
    static constexpr int states = 2;
    static constexpr unsigned masks[] = {0b11};

    T gradient_scale;  ///< negative to maximize
    T learning_rate, weight_decay, rho, one_minus_rho, eps;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = fma(V(weight_decay), p, V(gradient_scale) * g);
        s[0] = fma(V(one_minus_rho) * slope, slope, V(rho) * s[0]);
        const V move = sqrt(s[1] + V(eps)) / sqrt(s[0] + V(eps)) * slope;
        s[1] = fma(V(one_minus_rho) * move, move, V(rho) * s[1]);
        p = fnma(V(learning_rate), move, p);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
