#pragma once
// Local response normalisation across channels. (Krizhevsky, Sutskever, Hinton 2012)
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/local_response_norm.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

struct LocalResponseNormOptions {
    Index size = 5;  ///< channels in a neighbourhood
    double alpha = 1e-4, beta = 0.75, k = 1;
};

/// `x` [N, C, ...] / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta, channels outside counting as 0.
/// Throws ValueError (torch.nn.functional.local_response_norm).
template <Real T, int R>
Tensor<T, R> local_response_norm(const Tensor<T, R>& x, const LocalResponseNormOptions& o = {}) {
    static_assert(R >= 2, "local_response_norm: the input has at least the dimensions [N, C]");
    require<ValueError>(o.size > 0, "local_response_norm: size must be positive but is ", o.size);
    const auto input = contiguous(x);
    const auto& s = x.shape();
    const kernels::LocalResponseGeometry g{s[0], s[1], s.product(2, R), o.size, o.alpha, o.beta, o.k};
    auto y = empty<T>(s);
    auto* tape = autograd::recording(x);
    auto scale = tape ? empty<T>(s) : Tensor<T, R>();
    if (y.numel())
        kernels::local_response_norm_forward(g, input.data(), y.mutable_data(), tape ? scale.mutable_data() : nullptr);
    if (tape)
        tape->record("local_response_norm", y, [g, x = autograd::saved(input), scale](const T* dy) {
            const auto dx = autograd::grad_target(x);
            if (dx && scale.numel())
                kernels::local_response_norm_grad_input(g, x.data(), scale.data(), dy, dx.data, dx.accumulate);
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
