#pragma once
// Products of vectors and matrices by the names of PyTorch that fix the ranks; matmul takes them all.
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/matmul.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI {

/// Sum of the products of `a` [n] and `b` [n], as []. Throws ShapeError, as all here (torch.dot).
template <Real T>
Tensor<T, 0> dot(const Tensor<T, 1>& a, const Tensor<T, 1>& b) {
    return matmul(a, b);
}
/// `a` [m, k] times `x` [k], as [m] (torch.mv).
template <Real T>
Tensor<T, 1> mv(const Tensor<T, 2>& a, const Tensor<T, 1>& x) {
    return matmul(a, x);
}
/// `a` [m, k] times `b` [k, n] (torch.mm).
template <Real T>
Tensor<T, 2> mm(const Tensor<T, 2>& a, const Tensor<T, 2>& b) {
    return matmul(a, b);
}
/// `a` [batch, m, k] times `b` [batch, k, n], without broadcasting (torch.bmm).
template <Real T>
Tensor<T, 3> bmm(const Tensor<T, 3>& a, const Tensor<T, 3>& b) {
    require(a.dim(0) == b.dim(0), "bmm: both must have the same batch (", a.shape(), " and ", b.shape(), ")");
    return matmul(a, b);
}
/// Every element of `a` [m] times every one of `b` [n], as [m, n] (torch.outer).
template <Real T>
Tensor<T, 2> outer(const Tensor<T, 1>& a, const Tensor<T, 1>& b) {
    return mul(unsqueeze(a, 1), b);
}

/// Factors of addmm and baddbmm.
struct AddProductOptions {
    double beta = 1, alpha = 1;
};
namespace detail {

template <Real T, int A, int R>
Tensor<T, R> add_product(const char* op, const Tensor<T, A>& x, const Tensor<T, R>& product,
                         const AddProductOptions& o) {
    require(broadcast_shape(op, x.shape(), product.shape()) == product.shape(), op,
            ": the sum must have the shape of the product (", x.shape(), " and ", product.shape(), ")");
    const auto scaled = o.alpha == 1 ? product : product * T(o.alpha);
    if (o.beta == 0) return scaled;  // x may hold NaN
    return o.beta == 1 ? scaled + x : scaled + x * T(o.beta);
}

}  // namespace detail

/// beta x + alpha a b, where `x` broadcasts to [m, n] (torch.addmm).
template <Real T, int R>
    requires(R <= 2)
Tensor<T, 2> addmm(const Tensor<T, R>& x, const Tensor<T, 2>& a, const Tensor<T, 2>& b,
                   const AddProductOptions& options = {}) {
    return detail::add_product("addmm", x, mm(a, b), options);
}
/// The same of batches: `x` broadcasts to [batch, m, n] (torch.baddbmm).
template <Real T, int R>
    requires(R <= 3)
Tensor<T, 3> baddbmm(const Tensor<T, R>& x, const Tensor<T, 3>& a, const Tensor<T, 3>& b,
                     const AddProductOptions& options = {}) {
    return detail::add_product("baddbmm", x, bmm(a, b), options);
}

/// Sum of the main diagonal of `x` [m, n] (torch.trace).
template <Real T>
Tensor<T, 0> trace(const Tensor<T, 2>& x) {
    return sum(diagonal(x));
}
/// Kronecker product: the block `a`(i, j) `b` at block (i, j), [m p, n q] for [m, n] and [p, q] (torch.kron).
template <Real T>
Tensor<T, 2> kron(const Tensor<T, 2>& a, const Tensor<T, 2>& b) {
    const Index m = a.dim(0), n = a.dim(1), p = b.dim(0), q = b.dim(1);
    return reshape(reshape(a, Shape{m, Index(1), n, Index(1)}) * reshape(b, Shape{Index(1), p, Index(1), q}),
                   Shape{m * p, n * q});
}

}  // namespace lamina::inline LAMINA_ABI
