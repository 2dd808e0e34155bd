#pragma once
// From functions of single boxes to ops on tensors of boxes: checks, dense operands and the recording of gradients,
// once for all box functions.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/create.hpp>
#include <lamina/kernels/box_columns.hpp>

namespace lamina::inline LAMINA_ABI::vision {

namespace detail {

template <class T, int R>
Tensor<T, R> dense(const Tensor<T, R>& x) {
    return x.is_contiguous() ? x.detach() : x.clone();
}

template <class T>
void require_columns(const char* op, const char* what, const Tensor<T, 2>& x, Index columns) {
    require(x.shape()[1] == columns, op, ": ", what, " must have shape [N, ", columns, "] but has ", x.shape());
}
template <class T>
void require_rows(const char* op, const Tensor<T, 2>& a, const Tensor<T, 2>& b) {
    require(a.shape()[0] == b.shape()[0], op, ": both operands must have as many rows (", a.shape(), " and ", b.shape(),
            ")");
}

/// Both operands, dense and unchanged since the forward pass, and where their gradients go.
template <class T>
struct ColumnOperands {
    Index n;
    autograd::Saved<T, 2> a, b;
    GradLink link_a, link_b;
    autograd::Saved<T, 1> weight;

    template <int A, int B, int C, class F>
    void backward(const F& f, const T* dy, bool dy_is_scalar) const {
        if (const auto t = autograd::grad_target<T>(link_a))
            kernels::columns_gradient<0, A, B, C>(f, n, a.data(), b.data(), weight.data(), dy, dy_is_scalar, t.data,
                                                  t.accumulate);
        if constexpr (B > 0) {
            if (const auto t = autograd::grad_target<T>(link_b))
                kernels::columns_gradient<1, A, B, C>(f, n, a.data(), b.data(), weight.data(), dy, dy_is_scalar, t.data,
                                                      t.accumulate);
        }
    }
};

/// y = f(a, b) * weight, row by row: [N, C], or [N] when Rank is 1. An undefined weight or (with B = 0) b is none.
template <int A, int B, int C, int Rank, class T, class F>
Tensor<T, Rank> column_map(const char* op, const F& f, const Tensor<T, 2>& a, const Tensor<T, 2>& b = {},
                           const Tensor<T, 1>& weight = {}) {
    const Tensor<T, 2> x = dense(a), z = dense(b);
    const Tensor<T, 1> w = dense(weight);
    const Index n = a.shape()[0];
    Shape<Rank> shape;
    shape[0] = n;
    if constexpr (Rank == 2) shape[1] = C;
    auto y = empty<T>(shape);
    kernels::columns_forward<A, B, C>(f, n, x.data(), z.data(), w.data(), y.mutable_data());
    if (auto* tape = autograd::recording(a, b)) {
        const ColumnOperands<T> operands{
            n, autograd::saved(x), autograd::saved(z), a.grad_link(), b.grad_link(), autograd::saved(w)};
        tape->record(op, y, [f, operands](const T* dy) { operands.template backward<A, B, C>(f, dy, false); });
    }
    return y;
}

/// scale * sum of f(a, b) * weight over the rows, for a function of one column.
template <int A, int B, class T, class F>
Tensor<T, 0> column_sum(const char* op, const F& f, T scale, const Tensor<T, 2>& a, const Tensor<T, 2>& b,
                        const Tensor<T, 1>& weight = {}) {
    const Tensor<T, 2> x = dense(a), z = dense(b);
    const Tensor<T, 1> w = dense(weight);
    const Index n = a.shape()[0];
    Tensor<T, 0> y(T(kernels::columns_sum<A, B>(f, n, x.data(), z.data(), w.data()) * double(scale)));
    if (auto* tape = autograd::recording(a, b)) {
        const ColumnOperands<T> operands{
            n, autograd::saved(x), autograd::saved(z), a.grad_link(), b.grad_link(), autograd::saved(w)};
        tape->record(op, y, [f, operands, scale](const T* dy) {
            const T upstream = *dy * scale;
            operands.template backward<A, B, 1>(f, &upstream, true);
        });
    }
    return y;
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::vision
