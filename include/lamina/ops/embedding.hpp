#pragma once
// Rows of a table by index, and the table that picks one column: embedding and one_hot.
#include <lamina/ops/index.hpp>

namespace lamina::inline LAMINA_ABI {

/// Rows of `weight` [rows, width] at `index` [...]: a tensor [..., width]. The row `padding_idx`, if not negative, gets
/// no gradient. Throws ValueError for an index outside.
template <Real T, int R>
Tensor<T, R + 1> embedding(const Tensor<std::int64_t, R>& index, const Tensor<T, 2>& weight, Index padding_idx = -1) {
    const auto at = contiguous(index);
    const Index rows = weight.shape()[0], width = weight.shape()[1];
    detail::require_indices("embedding", at, rows);
    require<ValueError>(padding_idx < rows, "embedding: padding_idx must be less than ", rows, " but is ", padding_idx);
    const kernels::IndexGeometry g{1, rows, width, at.numel()};
    Shape<R + 1> shape;
    for (int d = 0; d < R; ++d) shape[d] = at.shape()[d];
    shape[R] = width;
    auto y = empty<T>(shape);
    kernels::index_select(g, contiguous(weight).data(), at.data(), y.mutable_data());
    if (auto* tape = autograd::recording(weight))
        tape->record("embedding", y,
                     [link = weight.grad_link(), g, padding_idx, at = autograd::saved(at)](const T* dy) {
                         if (T* dw = autograd::grad_ptr<T>(link)) kernels::index_add(g, dy, at.data(), dw, padding_idx);
                     });
    return y;
}

/// 1 at each index and 0 elsewhere [..., classes]; -1 classes means one more than the largest index. Throws ValueError
/// for an index outside.
template <int R>
Tensor<std::int64_t, R + 1> one_hot(const Tensor<std::int64_t, R>& index, Index classes = -1) {
    const auto at = contiguous(index);
    require<ValueError>(classes >= -1, "one_hot: the number of classes must not be negative but is ", classes);
    if (classes == -1) {
        require<ValueError>(at.numel() > 0, "one_hot: the number of classes must be given for no indices");
        for (Index i = 0; i < at.numel(); ++i) classes = std::max<Index>(classes, at.data()[i] + 1);
    }
    detail::require_indices("one_hot", at, classes);
    Shape<R + 1> shape;
    for (int d = 0; d < R; ++d) shape[d] = at.shape()[d];
    shape[R] = classes;
    auto y = zeros<std::int64_t>(shape);
    std::int64_t* out = y.mutable_data();
    for (Index i = 0; i < at.numel(); ++i) out[i * classes + at.data()[i]] = 1;
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
