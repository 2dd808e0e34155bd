#pragma once
// Dense tensors from strided ones: what an op does to its inputs before it calls a kernel.
#include <lamina/core/create.hpp>
#include <lamina/kernels/copy.hpp>

namespace lamina::inline LAMINA_ABI {

/// `x` itself when its elements lie dense in row-major order, else a dense copy. Gradients are dense over the shape
/// whatever the strides, so the copy shares the gradient of `x` and nothing is recorded.
template <Element T, int R>
Tensor<T, R> contiguous(const Tensor<T, R>& x) {
    if (x.is_contiguous()) return x;
    auto y = empty<T>(x.shape());
    if constexpr (R == 1) {  // one dimension is one loop: most are indices, and of other types than the rest
        const T* from = x.data();
        T* to = y.mutable_data();
        for (Index i = 0, n = x.numel(), step = x.strides()[0]; i < n; ++i) to[i] = from[i * step];
    } else kernels::copy(kernels::to_dense(x.shape(), x.strides()), x.data(), y.mutable_data());
    y.set_grad_link(x.grad_link());
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
