#pragma once
// The affine map of the last dimension, y = x W^T + b.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/column_sum.hpp>
#include <lamina/kernels/gemm/gemm.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <class T, int R>
void check_linear(const Tensor<T, R>& x, const Shape<2>& weight, const OptionalTensor<T, 1>& bias) {
    require(x.shape()[R - 1] == weight[1], "linear: input must end in ", weight[1], " features but ends in ",
            x.shape()[R - 1], " (input ", x.shape(), ", weight ", weight, ")");
    require(!bias || bias->dim(0) == weight[0], "linear: bias must have ", weight[0], " elements but has ",
            bias ? bias->dim(0) : 0, " (weight ", weight, ")");
}

}  // namespace detail

/// y [..., out] = x [..., in] W^T + b for `weight` [out, in] and `bias` [out]. Throws ShapeError
/// (torch.nn.functional.linear).
template <Real T, int R>
    requires(R > 0)
Tensor<T, R> linear(const Tensor<T, R>& x, const Tensor<T, 2>& weight, const Optional<T, 1>& bias = {}) {
    detail::check_linear(x, weight.shape(), bias);
    const auto input = contiguous(x);
    const auto w = contiguous(weight);
    const auto b = bias ? contiguous(*bias) : Tensor<T, 1>();
    const Index in = w.dim(1), out = w.dim(0), rows = x.shape().product(0, R - 1);
    Shape<R> shape = x.shape();
    shape[R - 1] = out;
    auto y = empty<T>(shape);
    kernels::gemm({rows, out, in}, kernels::row_major(input.data(), in), kernels::transposed(w.data(), in),
                  y.mutable_data(), out, false, kernels::BiasColumns{b.data()});
    if (auto* tape = autograd::recording(x, weight, bias))
        tape->record(
            "linear", y,
            [x = autograd::saved(input), w = autograd::saved(w), b = b.grad_link(), rows, in, out](const T* dy) {
                if (const auto dx = autograd::grad_target(x))
                    kernels::gemm({rows, in, out}, kernels::row_major(dy, out), kernels::row_major(w.data(), in),
                                  dx.data, in, dx.accumulate);
                if (const auto dw = autograd::grad_target(w))
                    kernels::gemm({out, in, rows}, kernels::transposed(dy, out), kernels::row_major(x.data(), in),
                                  dw.data, in, dw.accumulate);
                if (const auto db = autograd::grad_target<T>(b))
                    kernels::column_sum(rows, out, dy, db.data, db.accumulate);
            });
    return y;
}

/// The same with a weight packed beforehand and an epilogue, for layers that are not recorded.
template <Real T, int R, class Epilogue>
    requires(R > 0)
Tensor<T, R> linear_packed(const Tensor<T, R>& x, const kernels::PackedMatrix<T>& weight, const Epilogue& epilogue) {
    detail::check_linear(x, Shape{weight.columns(), weight.rows()}, {});
    const auto input = contiguous(x);
    Shape<R> shape = x.shape();
    shape[R - 1] = weight.columns();
    auto y = empty<T>(shape);
    kernels::gemm_packed(x.shape().product(0, R - 1), kernels::row_major(input.data(), weight.rows()), weight,
                         y.mutable_data(), weight.columns(), false, epilogue);
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
