#pragma once
// Running sums and products along a dimension.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/scan.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <int R>
kernels::ReduceGeometry scan_geometry(const char* op, const Shape<R>& shape, Index dim) {
    const int d = normalize_dim(op, dim, R);
    if constexpr (R == 0) return {1, 1, 1};
    else return {shape.product(0, d), shape[d], shape.product(d + 1, R)};
}

}  // namespace detail

/// Sums of the elements up to each along `dim`, in double inside. Throws ValueError for a dimension out of range.
template <Element T, int R>
    requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
Tensor<T, R> cumsum(const Tensor<T, R>& x, Index dim) {
    const auto g = detail::scan_geometry("cumsum", x.shape(), dim);
    auto y = empty<T>(x.shape());
    kernels::cumsum_forward(g, contiguous(x).data(), y.mutable_data());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("cumsum", y, [link = x.grad_link(), g](const T* dy) {
                if (const auto dx = autograd::grad_target<T>(link))
                    kernels::cumsum_grad_input(g, dy, dx.data, dx.accumulate);
            });
    }
    return y;
}

/// Products of the elements up to each along `dim`, in double inside. Throws ValueError for a dimension out of range.
template <Element T, int R>
    requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
Tensor<T, R> cumprod(const Tensor<T, R>& x, Index dim) {
    const auto g = detail::scan_geometry("cumprod", x.shape(), dim);
    const auto dense = contiguous(x);
    auto y = empty<T>(x.shape());
    kernels::cumprod_forward(g, dense.data(), y.mutable_data());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x)) {
            const auto result = autograd::saved(y);
            tape->record("cumprod", y, [x = autograd::saved(dense), result, g](const T* dy) {
                if (const auto dx = autograd::grad_target(x))
                    kernels::cumprod_grad_input(g, x.data(), result.data(), dy, dx.data, dx.accumulate);
            });
        }
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
