#pragma once
// Dimensions in another order: views, recorded so that gradients are permuted back.
#include <lamina/autograd/tape.hpp>
#include <lamina/core/view.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

/// Dimensions reordered without a copy: output dimension d is input dimension dims[d] (negative ones count from the
/// back), as in `permute(x, {0, 2, 1})`. Throws ValueError unless `dims` is a permutation.
template <Element T, int R>
Tensor<T, R> permute(const Tensor<T, R>& x, const std::array<int, std::size_t(R)>& dims) {
    auto y = view::permute(x, dims);
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("permute", y, [link = x.grad_link(), shape = x.shape(), out = y.shape(), dims](const T* dy) {
                const auto dx = autograd::grad_target<T>(link);
                if (!dx) return;
                const auto steps = contiguous_strides(shape);
                Strides<R> to{};
                for (std::size_t d = 0; d < std::size_t(R); ++d)
                    to[d] = steps[std::size_t(dims[d] < 0 ? dims[d] + R : dims[d])];
                const auto layout = kernels::from_dense(out, to);
                if (dx.accumulate) kernels::copy<kernels::Write::add>(layout, dy, dx.data);
                else kernels::copy(layout, dy, dx.data);
            });
    }
    return y;
}

/// Dimensions `a` and `b` exchanged, without a copy. Throws ValueError for a dimension out of range.
template <Element T, int R>
Tensor<T, R> transpose(const Tensor<T, R>& x, Index a, Index b) {
    std::array<int, std::size_t(R)> dims{};
    for (int d = 0; d < R; ++d) dims[std::size_t(d)] = d;
    std::swap(dims[std::size_t(normalize_dim("transpose", a, R))], dims[std::size_t(normalize_dim("transpose", b, R))]);
    return permute(x, dims);
}
/// The transposed matrix [columns, rows], without a copy.
template <Element T>
Tensor<T, 2> t(const Tensor<T, 2>& x) {
    return permute(x, {1, 0});
}

/// Dimension `from` moved to position `to`, the others in their order. Throws ValueError for a dimension out of range.
template <Element T, int R>
Tensor<T, R> movedim(const Tensor<T, R>& x, Index from, Index to) {
    const int source = normalize_dim("movedim", from, R), target = normalize_dim("movedim", to, R);
    std::array<int, std::size_t(R)> dims{};
    for (int d = 0, next = 0; d < R; ++d) {
        if (d == target) continue;
        next += next == source;
        dims[std::size_t(d)] = next++;
    }
    dims[std::size_t(target)] = source;
    return permute(x, dims);
}

}  // namespace lamina::inline LAMINA_ABI
