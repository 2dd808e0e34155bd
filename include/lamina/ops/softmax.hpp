#pragma once
// Softmax and log_softmax along any dimension.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/softmax.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// [outer, count, inner] around dimension `dim`.
template <int R>
kernels::ReduceGeometry along(const Shape<R>& shape, int dim) {
    if constexpr (R == 0) return {1, 1, 1};
    else return {shape.product(0, dim), shape[dim], shape.product(dim + 1, R)};
}

}  // namespace detail

/// exp(x) / sum(exp(x)) along `dim`, of the shape of `x`; NaN where all are -inf or one is +inf or NaN. Throws
/// ValueError for a dimension out of range.
template <Real T, int R>
Tensor<T, R> softmax(const Tensor<T, R>& x, Index dim) {
    const auto g = detail::along(x.shape(), normalize_dim("softmax", dim, R));
    auto y = empty<T>(x.shape());
    kernels::softmax_forward(g, contiguous(x).data(), y.mutable_data());
    if (auto* tape = autograd::recording(x)) {
        const auto result = autograd::saved(y);
        tape->record("softmax", y, [link = x.grad_link(), result, g](const T* dy) {
            if (const auto dx = autograd::grad_target<T>(link))
                kernels::softmax_grad_input(g, result.data(), dy, dx.data, dx.accumulate);
        });
    }
    return y;
}

/// log(softmax(x)) along `dim`, without overflow or loss of small probabilities. Throws as `softmax`.
template <Real T, int R>
Tensor<T, R> log_softmax(const Tensor<T, R>& x, Index dim) {
    const auto g = detail::along(x.shape(), normalize_dim("log_softmax", dim, R));
    auto y = empty<T>(x.shape());
    kernels::log_softmax_forward(g, contiguous(x).data(), y.mutable_data());
    if (auto* tape = autograd::recording(x)) {
        const auto result = autograd::saved(y);
        tape->record("log_softmax", y, [link = x.grad_link(), result, g](const T* dy) {
            if (const auto dx = autograd::grad_target<T>(link))
                kernels::log_softmax_grad_input(g, result.data(), dy, dx.data, dx.accumulate);
        });
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
