#pragma once
// Stochastic gradient descent with momentum as PyTorch defines it: the learning rate stays outside the buffer.
// I. Sutskever et al., On the importance of initialization and momentum in deep learning, ICML 2013 (Nesterov).
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: the momentum buffer, if there is momentum.
template <class T>
struct SgdRule {
    T gradient_sign;  ///< -1 to maximize
    T learning_rate, weight_decay, momentum, one_minus_dampening;
    bool has_momentum, nesterov;
    bool first;  ///< the buffer is not set yet and becomes the gradient

    template <class Arch>
    LAMINA_INLINE void update(Index n, T* p, const T* g, T* const* state) const {
        using V = simd::Vec<T, Arch>;
        T* const buffer = state[0];
        const SgdRule r = *this;
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const V old = simd::load_count<Arch>(p + i, count);
            V slope = fma(V(r.weight_decay), old, V(r.gradient_sign) * simd::load_count<Arch>(g + i, count));
            if (r.has_momentum) {
                const V b = r.first ? slope
                                    : fma(V(r.one_minus_dampening), slope,
                                          V(r.momentum) * simd::load_count<Arch>(buffer + i, count));
                simd::store_count(buffer + i, b, count);
                slope = r.nesterov ? fma(V(r.momentum), b, slope) : b;
            }
            simd::store_count(p + i, fnma(V(r.learning_rate), slope, old), count);
        });
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
