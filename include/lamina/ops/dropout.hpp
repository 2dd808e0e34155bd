#pragma once
// Dropout: random zeros while training, the identity otherwise. What is dropped follows from the tape's generator.
#include <lamina/kernels/random.hpp>
#include <lamina/ops/map.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// x * mask, where the elements of a mask of shape `mask_shape` are 0 with probability p and 1 / (1 - p) otherwise.
template <class T, int R>
Tensor<T, R> dropped(const char* op, const Tensor<T, R>& x, double p, const Shape<R>& mask_shape) {
    require<ValueError>(p >= 0 && p <= 1, op, ": p must lie in [0, 1] but is ", p);
    if (!autograd::training() || p == 0) return x;
    auto mask = empty<T>(mask_shape);
    const T keep = p < 1 ? T(1 / (1 - p)) : T(0);
    kernels::fill_bernoulli(autograd::current_tape()->rng().next_stream(), mask.mutable_data(), mask.numel(), 1 - p,
                            keep);
    return map<1>([](auto a, auto b) LAMINA_INLINE_LAMBDA { return a * b; }, x, mask);
}

}  // namespace detail

/// While a tape trains: each element of `x` becomes 0 with probability p, the others are divided by 1 - p. Otherwise x
/// itself. Throws ValueError for p outside [0, 1].
template <Real T, int R>
Tensor<T, R> dropout(const Tensor<T, R>& x, double p = 0.5) {
    return detail::dropped("dropout", x, p, x.shape());
}

/// The same for whole channels of `x` [N, C, …].
template <Real T, int R>
    requires(R >= 2)
Tensor<T, R> dropout2d(const Tensor<T, R>& x, double p = 0.5) {
    Shape<R> shape = x.shape();
    for (int d = 2; d < R; ++d) shape[d] = 1;
    return detail::dropped("dropout2d", x, p, shape);
}
/// The same for whole examples of `x` [N, …]: at the end of a residual branch it drops the branch ("stochastic depth";
/// G. Huang et al., Deep Networks with Stochastic Depth, ECCV 2016).
template <Real T, int R>
    requires(R >= 1)
Tensor<T, R> drop_path(const Tensor<T, R>& x, double p) {
    Shape<R> shape = x.shape();
    for (int d = 1; d < R; ++d) shape[d] = 1;
    return detail::dropped("drop_path", x, p, shape);
}

}  // namespace lamina::inline LAMINA_ABI
