#pragma once
// Adamax: Adam with the infinity norm in place of the second moment. D. Kingma, J. Ba, Adam, ICLR 2015, section 7.
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: first moment, decaying largest magnitude.
template <class T>
struct AdamaxRule {
    static constexpr int states = 2;
    static constexpr unsigned masks[] = {0b11};

    T gradient_scale;  ///< negative to maximize
    T weight_decay, beta1, beta2, one_minus_beta1;
    T step_size;  ///< learning rate / (1 - beta1^t)
    T eps;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = fma(V(weight_decay), p, V(gradient_scale) * g);
        s[0] = fma(V(one_minus_beta1), slope, V(beta1) * s[0]);
        s[1] = max(V(beta2) * s[1], abs(slope) + V(eps));
        p = fnma(V(step_size), s[0] / s[1], p);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
