#pragma once
// Adagrad: steps that shrink with all the gradient seen. J. Duchi, E. Hazan, Y. Singer, JMLR 12, 2011.
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: the sum of the gradient's squares.
template <class T>
struct AdagradRule {
    static constexpr int states = 1;
    static constexpr unsigned masks[] = {0b1};

    T gradient_scale;  ///< negative to maximize
    T learning_rate, weight_decay, eps;

    template <unsigned Mask, class V>
    LAMINA_INLINE void step(V& p, V g, V* s) const {
        const V slope = fma(V(weight_decay), p, V(gradient_scale) * g);
        s[0] = fma(slope, slope, s[0]);
        p = fnma(V(learning_rate), slope / (sqrt(s[0]) + V(eps)), p);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
