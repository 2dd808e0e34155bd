#pragma once
// RMSprop: steps in units of the gradient's recent size.
// T. Tieleman, G. Hinton, lecture 6.5 of Neural Networks for Machine Learning, 2012; A. Graves, arXiv:1308.0850
// (centered).
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: mean square of the gradient, its mean if centered, momentum buffer if any.
template <class T>
struct RmspropRule {
    static constexpr int states = 3;
    static constexpr unsigned masks[] = {0b001, 0b011, 0b101, 0b111};

    T gradient_scale;  ///< negative to maximize
    T learning_rate, weight_decay, alpha, one_minus_alpha, eps, momentum;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = fma(V(weight_decay), p, V(gradient_scale) * g);
        s[0] = fma(V(one_minus_alpha) * slope, slope, V(alpha) * s[0]);
        V square = s[0];
        if constexpr (Mask & 2) {
            s[1] = fma(V(one_minus_alpha), slope, V(alpha) * s[1]);
            square = max(V(T(0)), fnma(s[1], s[1], square));  // rounding may leave a variance below zero
        }
        V move = slope / (sqrt(square) + V(eps));
        if constexpr (Mask & 4) move = s[2] = fma(V(momentum), s[2], move);
        p = fnma(V(learning_rate), move, p);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
