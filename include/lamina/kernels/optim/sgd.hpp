#pragma once
// Stochastic gradient descent with momentum as PyTorch defines it: the learning rate stays outside the buffer.
// I. Sutskever et al., On the importance of initialization and momentum in deep learning, ICML 2013 (Nesterov).
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: the momentum buffer, if there is momentum.
template <class T>
struct SgdRule {
    static constexpr int states = 1;
    static constexpr unsigned masks[] = {0b0, 0b1};

    T gradient_scale;  ///< negative to maximize
    T learning_rate, weight_decay, momentum;
    T gain;  ///< of the gradient's share in the buffer: 1 - dampening; 1 in the first step
    bool nesterov;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        V slope = fma(V(weight_decay), p, V(gradient_scale) * g);
        if constexpr (Mask) {
            s[0] = fma(V(gain), slope, V(momentum) * s[0]);
            slope = nesterov ? fma(V(momentum), s[0], slope) : s[0];
        }
        p = fnma(V(learning_rate), slope, p);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
