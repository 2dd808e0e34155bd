#pragma once
// Lion: steps of one size, in the direction of the sign. X. Chen et al., Symbolic Discovery of Optimization
// Algorithms, NeurIPS 2023.
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: the momentum.
template <class T>
struct LionRule {
    static constexpr int states = 1;
    static constexpr unsigned masks[] = {0b1};

    T gradient_scale;  ///< negative to maximize
    T learning_rate;
    T keep;  ///< 1 - learning rate * weight decay
    T beta1, beta2, one_minus_beta1, one_minus_beta2;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = V(gradient_scale) * g, zero = V(T(0));
        const V direction = fma(V(one_minus_beta1), slope, V(beta1) * s[0]);
        const V sign = select(direction > zero, V(T(1)), select(direction < zero, V(T(-1)), direction));
        p = fnma(V(learning_rate), sign, V(keep) * p);
        s[0] = fma(V(one_minus_beta2), slope, V(beta2) * s[0]);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
