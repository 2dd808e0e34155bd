#pragma once
// Matrix products of any ranks: vectors, matrices, and batches of matrices that broadcast, as torch.matmul.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/gemm/gemm.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// A batch of matrices to multiply: batch extents in front, then rows and columns, any strides.
template <class T, int R>
struct MatrixBatch {
    const T* data;
    Shape<R - 2> batch;
    Strides<R - 2> steps;
    Index rows, columns, row_stride, column_stride;

    kernels::MatrixView<T> view(Index offset) const { return {data + offset, row_stride, column_stride}; }
    MatrixBatch transposed() const { return {data, batch, steps, columns, rows, column_stride, row_stride}; }
};
template <class T, int R>
MatrixBatch<T, R> matrix_batch(const T* data, const Shape<R>& shape, const Strides<R>& strides) {
    MatrixBatch<T, R> out{data, {}, {}, shape[R - 2], shape[R - 1], strides[R - 2], strides[R - 1]};
    for (int d = 0; d < R - 2; ++d) {
        out.batch[d] = shape[d];
        out.steps[std::size_t(d)] = shape[d] == 1 ? 0 : strides[std::size_t(d)];
    }
    return out;
}
/// The same matrices with the batch extents of a product: extents of 1 and missing ones repeat.
template <int To, class T, int R>
MatrixBatch<T, To> broadcast_batch(const MatrixBatch<T, R>& x, const Shape<To - 2>& batch) {
    MatrixBatch<T, To> out{x.data, batch, {}, x.rows, x.columns, x.row_stride, x.column_stride};
    for (int d = 0; d < R - 2; ++d) out.steps[std::size_t(d + To - R)] = x.steps[std::size_t(d)];
    return out;
}

/// A row or column must be dense for the kernels; other layouts are copied.
template <Real T, int R>
Tensor<T, R> dense_matrices(const Tensor<T, R>& x) {
    const auto unit = [&](int d) { return x.strides()[std::size_t(d)] == 1 || x.shape()[d] <= 1; };
    return unit(R - 1) || unit(R - 2) ? x : contiguous(x);
}

/// c (+)= a b for every member of the batch. `c` may repeat along the batch; its products are then added up in order.
template <class T, int R>
void multiply_batches(const MatrixBatch<T, R>& a, const MatrixBatch<T, R>& b, T* c, const Strides<R - 2>& c_steps,
                      bool accumulate) {
    const kernels::GemmShape shape{a.rows, b.columns, a.columns};
    const auto product = [&](Index pa, Index pb, Index pc, Index n, Index sa, Index sb, Index sc, bool add) {
        kernels::gemm_batched(n, shape, a.view(pa), sa, b.view(pb), sb, c + pc, shape.n, sc, add);
    };
    if constexpr (R == 2) {
        product(0, 0, 0, 1, 0, 0, 0, accumulate);
    } else {
        Index dense_a = 1, dense_b = 1, dense_c = 1;  // one run over the whole batch, if all three are evenly spaced
        bool even = true;
        for (int d = R - 3; d >= 0; --d) {
            const auto u = std::size_t(d);
            const Index inner = a.batch.product(d + 1, R - 2);
            if (d == R - 3) dense_a = a.steps[u], dense_b = b.steps[u], dense_c = c_steps[u];
            even = even && (a.batch[d] == 1 || (a.steps[u] == inner * dense_a && b.steps[u] == inner * dense_b &&
                                                c_steps[u] == inner * dense_c));
        }
        if (even && dense_c != 0) {
            product(0, 0, 0, a.batch.numel(), dense_a, dense_b, dense_c, accumulate);
            return;
        }
        Shape<R - 2> at;
        bool repeats = false;
        for (int d = 0; d < R - 2; ++d) repeats = repeats || (c_steps[std::size_t(d)] == 0 && a.batch[d] > 1);
        for (Index i = 0, count = a.batch.numel(); i < count; ++i) {
            Index pa = 0, pb = 0, pc = 0;
            bool first = true;
            for (int d = 0; d < R - 2; ++d) {
                const auto u = std::size_t(d);
                pa += at[d] * a.steps[u];
                pb += at[d] * b.steps[u];
                pc += at[d] * c_steps[u];
                first = first && (c_steps[u] != 0 || at[d] == 0);
            }
            product(pa, pb, pc, 1, 0, 0, 0, accumulate || (repeats && !first));
            for (int d = R - 3; d >= 0 && ++at[d] == a.batch[d]; --d) at[d] = 0;
        }
    }
}

/// Steps of a dense batch of matrices of `x`'s batch extents inside the product's batch.
template <int To, int R>
Strides<To - 2> dense_steps(const Shape<R>& x) {
    Strides<To - 2> out{};
    Index step = x[R - 2] * x[R - 1];
    for (int d = R - 3; d >= 0; --d) {
        out[std::size_t(d + To - R)] = x[d] == 1 ? 0 : step;
        step *= x[d];
    }
    return out;
}

template <Real T, int A, int B>
auto matmul_matrices(const Tensor<T, A>& x, const Tensor<T, B>& y) {
    constexpr int R = A > B ? A : B;
    require(x.shape()[A - 1] == y.shape()[B - 2], "matmul: columns of the first must equal rows of the second but are ",
            x.shape()[A - 1], " and ", y.shape()[B - 2], " (", x.shape(), " and ", y.shape(), ")");
    const auto a = dense_matrices(x);
    const auto b = dense_matrices(y);
    Shape<A - 2> batch_a;
    Shape<B - 2> batch_b;
    for (int d = 0; d < A - 2; ++d) batch_a[d] = a.shape()[d];
    for (int d = 0; d < B - 2; ++d) batch_b[d] = b.shape()[d];
    const Shape<R - 2> batch = broadcast_shape("matmul", batch_a, batch_b);
    Shape<R> shape;
    for (int d = 0; d < R - 2; ++d) shape[d] = batch[d];
    shape[R - 2] = a.shape()[A - 2];
    shape[R - 1] = b.shape()[B - 1];
    auto c = empty<T>(shape);
    multiply_batches(broadcast_batch<R>(matrix_batch(a.data(), a.shape(), a.strides()), batch),
                     broadcast_batch<R>(matrix_batch(b.data(), b.shape(), b.strides()), batch), c.mutable_data(),
                     dense_steps<R>(shape), false);
    if (auto* tape = autograd::recording(x, y))
        tape->record("matmul", c, [a = autograd::saved(a), b = autograd::saved(b), batch, shape](const T* dc) {
            if (batch.numel() == 0) {  // nothing was multiplied: zero gradients
                autograd::grad_ptr(a);
                autograd::grad_ptr(b);
                return;
            }
            const auto grad_c = matrix_batch(dc, shape, contiguous_strides(shape));
            if (const auto da = autograd::grad_target(a)) {
                const auto other = matrix_batch(b.data(), b.shape(), b.tensor().strides());
                multiply_batches(grad_c, broadcast_batch<R>(other, batch).transposed(), da.data,
                                 dense_steps<R>(a.shape()), da.accumulate);
            }
            if (const auto db = autograd::grad_target(b)) {
                const auto other = matrix_batch(a.data(), a.shape(), a.tensor().strides());
                multiply_batches(broadcast_batch<R>(other, batch).transposed(), grad_c, db.data,
                                 dense_steps<R>(b.shape()), db.accumulate);
            }
        });
    return c;
}

}  // namespace detail

/// Product of `a` [..., m, k] and `b` [..., k, n] as [..., m, n]; batch dimensions broadcast. A vector on the left is a
/// row, on the right a column, and its dimension of 1 is dropped from the result; two vectors give their dot product
/// []. A shared dimension of extent 0 gives zeros. Throws ShapeError with both shapes (torch.matmul).
template <Real T, int A, int B>
    requires(A > 0 && B > 0)
auto matmul(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    if constexpr (A == 1) {
        const auto row = reshape(a, Shape{Index(1), a.numel()});
        if constexpr (B == 1) {
            return reshape(detail::matmul_matrices(row, reshape(b, Shape{b.numel(), Index(1)})), Shape<0>{});
        } else {
            const auto c = detail::matmul_matrices(row, b);
            Shape<B - 1> shape;
            for (int d = 0; d < B - 2; ++d) shape[d] = c.shape()[d];
            shape[B - 2] = c.shape()[B - 1];
            return reshape(c, shape);
        }
    } else if constexpr (B == 1) {
        const auto c = detail::matmul_matrices(a, reshape(b, Shape{b.numel(), Index(1)}));
        Shape<A - 1> shape;
        for (int d = 0; d < A - 1; ++d) shape[d] = c.shape()[d];
        return reshape(c, shape);
    } else if constexpr (A > 2 && B == 2) {  // one product of all rows
        const auto dense = contiguous(a);
        Shape<A> shape = a.shape();
        const Index columns = shape[A - 1];
        require(columns == b.shape()[0], "matmul: columns of the first must equal rows of the second but are ", columns,
                " and ", b.shape()[0], " (", a.shape(), " and ", b.shape(), ")");
        const auto c = detail::matmul_matrices(reshape(dense, Shape{a.shape().product(0, A - 1), columns}), b);
        shape[A - 1] = b.shape()[1];
        return reshape(c, shape);
    } else {
        return detail::matmul_matrices(a, b);
    }
}

}  // namespace lamina::inline LAMINA_ABI
