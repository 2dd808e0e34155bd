#pragma once
// Gated linear units: one half of the features times an activation of the other (Shazeer, 2020).
#include <lamina/ops/activation.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// The two halves of `x` along `dim`, a copy of neither.
template <Real T, int R>
std::pair<Tensor<T, R>, Tensor<T, R>> halves(const char* op, const Tensor<T, R>& x, Index dim) {
    const int d = normalize_dim(op, dim, R);
    const Index n = x.shape()[d];
    require(n % 2 == 0, op, ": dimension ", d, " must be even to be halved but is ", n, " (input ", x.shape(), ")");
    return {narrow(x, d, 0, n / 2), narrow(x, d, n / 2, n / 2)};
}
template <Real T, int R, class F>
Tensor<T, R> gated(const char* op, const Tensor<T, R>& x, Index dim, const F& f) {
    const auto [value, gate] = halves(op, x, dim);
    return map(f, value, gate);
}

}  // namespace detail

/// The first half of `x` along `dim` times sigmoid of the second. Throws ShapeError for an odd dimension
/// (torch.nn.functional.glu).
template <Real T, int R>
Tensor<T, R> glu(const Tensor<T, R>& x, Index dim = -1) {
    return detail::gated("glu", x, dim, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a * sigmoid(b); });
}
/// The first half of `x` along `dim` times gelu of the second. Throws ShapeError for an odd dimension.
template <Real T, int R>
Tensor<T, R> geglu(const Tensor<T, R>& x, Index dim = -1) {
    return detail::gated("geglu", x, dim, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a * kernels::Gelu{}(b); });
}
/// The first half of `x` along `dim` times silu of the second. Throws ShapeError for an odd dimension.
template <Real T, int R>
Tensor<T, R> swiglu(const Tensor<T, R>& x, Index dim = -1) {
    return detail::gated("swiglu", x, dim, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a * kernels::Silu{}(b); });
}

}  // namespace lamina::inline LAMINA_ABI
