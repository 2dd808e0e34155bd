#pragma once
// RAdam: Adam that waits with its second moment until enough gradients were seen. L. Liu et al., On the Variance of
// the Adaptive Learning Rate and Beyond, ICLR 2020.
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: first moment, second moment.
template <class T>
struct RadamRule {
    static constexpr int states = 2;
    static constexpr unsigned masks[] = {0b11};

    T gradient_scale;  ///< negative to maximize
    T weight_decay, beta1, beta2, one_minus_beta1, one_minus_beta2;
    T step_size;  ///< learning rate / (1 - beta1^t), times the rectification once that holds
    T eps;
    bool rectified;  ///< enough steps were taken for the second moment to mean something

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = fma(V(weight_decay), p, V(gradient_scale) * g);
        s[0] = fma(V(one_minus_beta1), slope, V(beta1) * s[0]);
        s[1] = fma(V(one_minus_beta2) * slope, slope, V(beta2) * s[1]);
        const V move = rectified ? s[0] / (sqrt(s[1]) + V(eps)) : s[0];
        p = fnma(V(step_size), move, p);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
