#pragma once
// NAdam: Adam with Nesterov's look ahead. T. Dozat, Incorporating Nesterov Momentum into Adam, ICLR workshop 2016.
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: first moment, second moment.
template <class T>
struct NadamRule {
    static constexpr int states = 2;
    static constexpr unsigned masks[] = {0b11};

    T gradient_scale;  ///< negative to maximize
    T weight_decay, beta1, beta2, one_minus_beta1, one_minus_beta2;
    T gradient_step;       ///< learning rate of the gradient's share
    T moment_step;         ///< and of the first moment's
    T inverse_correction;  ///< 1 / sqrt(1 - beta2^t)
    T eps;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = fma(V(weight_decay), p, V(gradient_scale) * g);
        s[0] = fma(V(one_minus_beta1), slope, V(beta1) * s[0]);
        s[1] = fma(V(one_minus_beta2) * slope, slope, V(beta2) * s[1]);
        const V move = fma(V(gradient_step), slope, V(moment_step) * s[0]);
        p = p - move / fma(sqrt(s[1]), V(inverse_correction), V(eps));
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
