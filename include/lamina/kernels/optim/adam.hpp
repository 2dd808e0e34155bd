#pragma once
// Adam and AdamW: one read of the gradient, one read and write of parameter and moments.
// D. Kingma, J. Ba, Adam, ICLR 2015; I. Loshchilov, F. Hutter, Decoupled Weight Decay Regularization, ICLR 2019;
// S. Reddi, S. Kale, S. Kumar, On the Convergence of Adam and Beyond, ICLR 2018 (AMSGrad).
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: first moment, second moment, and with `amsgrad` the largest second moment.
template <class T>
struct AdamRule {
    T gradient_sign;  ///< -1 to maximize
    T coupled_decay;  ///< Adam: added to the gradient, times the parameter
    T keep;           ///< AdamW: 1 - learning rate * weight decay
    T beta1, beta2;
    T one_minus_beta1, one_minus_beta2;
    T step_size;           ///< learning rate / (1 - beta1^t)
    T inverse_correction;  ///< 1 / sqrt(1 - beta2^t)
    T eps;
    bool amsgrad;

    template <class Arch>
    LAMINA_INLINE void update(Index n, T* p, const T* g, T* const* state) const {
        using V = simd::Vec<T, Arch>;
        T *const first = state[0], *const second = state[1], *const largest = state[2];
        const AdamRule r = *this;
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const V old = simd::load_count<Arch>(p + i, count);
            const V slope = fma(V(r.coupled_decay), old, V(r.gradient_sign) * simd::load_count<Arch>(g + i, count));
            const V m = fma(V(r.one_minus_beta1), slope, V(r.beta1) * simd::load_count<Arch>(first + i, count));
            V v = fma(V(r.one_minus_beta2) * slope, slope, V(r.beta2) * simd::load_count<Arch>(second + i, count));
            simd::store_count(first + i, m, count);
            simd::store_count(second + i, v, count);
            if (r.amsgrad) {
                v = max(simd::load_count<Arch>(largest + i, count), v);
                simd::store_count(largest + i, v, count);
            }
            const V scale = fma(sqrt(v), V(r.inverse_correction), V(r.eps));
            simd::store_count(p + i, fnma(V(r.step_size), m / scale, V(r.keep) * old), count);
        });
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
