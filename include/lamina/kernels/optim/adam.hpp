#pragma once
// Adam and AdamW: one read of the gradient, one read and write of parameter and moments.
// D. Kingma, J. Ba, Adam, ICLR 2015; I. Loshchilov, F. Hutter, Decoupled Weight Decay Regularization, ICLR 2019;
// S. Reddi, S. Kale, S. Kumar, On the Convergence of Adam and Beyond, ICLR 2018 (AMSGrad).
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: first moment, second moment, and for AMSGrad the largest second moment.
template <class T>
struct AdamRule {
    static constexpr int states = 3;
    static constexpr unsigned masks[] = {0b011, 0b111};

    T gradient_scale;  ///< negative to maximize
    T coupled_decay;   ///< Adam: added to the gradient, times the parameter
    T keep;            ///< AdamW: 1 - learning rate * weight decay
    T beta1, beta2;
    T one_minus_beta1, one_minus_beta2;
    T step_size;           ///< learning rate / (1 - beta1^t)
    T inverse_correction;  ///< 1 / sqrt(1 - beta2^t)
    T eps;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = fma(V(coupled_decay), p, V(gradient_scale) * g);
        s[0] = fma(V(one_minus_beta1), slope, V(beta1) * s[0]);
        s[1] = fma(V(one_minus_beta2) * slope, slope, V(beta2) * s[1]);
        V v = s[1];
        if constexpr (Mask & 4) v = s[2] = max(s[2], v);
        p = fnma(V(step_size), s[0] / fma(sqrt(v), V(inverse_correction), V(eps)), V(keep) * p);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
