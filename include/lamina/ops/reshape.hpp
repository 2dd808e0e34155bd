#pragma once
// Other shapes for the same elements in the same order. The gradient buffer, dense over the shape, is the same too:
// the results share the gradient of their input and nothing is recorded.
#include <lamina/core/view.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// Gives `y`, whose elements are those of `x` in the same order, the gradient of `x`.
template <class T, int R, int S>
Tensor<T, S> with_gradient_of(const Tensor<T, R>& x, Tensor<T, S> y) {
    y.set_grad_link(x.grad_link());
    return y;
}

/// Strides that show the elements of (`from`, `strides`) in row-major order as `to`; false when there are none.
template <int R, int S>
bool strides_for(const Shape<R>& from, const Strides<R>& strides, const Shape<S>& to, Strides<S>& out) {
    int d = R - 1, s = S - 1;
    while (d >= 0 && from[d] == 1) --d;
    while (s >= 0) {
        if (d < 0) {  // only extents of 1 are left
            out[std::size_t(s--)] = 1;
            continue;
        }
        Index run = from[d];  // dimensions ending at d that lie as one
        const Index step = strides[std::size_t(d)];
        for (--d; d >= 0; --d) {
            if (from[d] == 1) continue;
            if (strides[std::size_t(d)] != step * run) break;
            run *= from[d];
        }
        Index filled = 1;
        for (; s >= 0 && (filled < run || to[s] == 1); --s) {
            out[std::size_t(s)] = step * filled;
            filled *= to[s];
        }
        if (filled != run) return false;
    }
    return d < 0;
}

}  // namespace detail

/// `x` in another shape, of which one extent may be -1; a view where the strides allow it, else of a dense copy.
/// Throws ShapeError when the numbers of elements differ.
template <Element T, int R, int S>
Tensor<T, S> reshape(const Tensor<T, R>& x, const Shape<S>& shape) {
    const Shape<S> resolved = view::resolve_shape("reshape", x.numel(), shape);
    Strides<S> strides = contiguous_strides(resolved);
    if (x.is_contiguous() || (x.numel() > 0 && detail::strides_for(x.shape(), x.strides(), resolved, strides))) {
        Tensor<T, S> y(x.storage(), const_cast<T*>(x.data()), resolved, strides);
        return detail::with_gradient_of(x, std::move(y));
    }
    return reshape(contiguous(x), resolved);
}

/// Dimensions `Start` to `End` (inclusive, negative ones count from the back) merged into one.
template <int Start = 0, int End = -1, Element T, int R>
auto flatten(const Tensor<T, R>& x) {
    constexpr int first = Start < 0 ? Start + R : Start, last = End < 0 ? End + R : End;
    static_assert(R > 0 && first >= 0 && first <= last && last < R, "flatten: 0 <= start <= end < rank");
    Shape<R - (last - first)> shape;
    for (int d = 0; d < first; ++d) shape[d] = x.shape()[d];
    shape[first] = x.shape().product(first, last + 1);
    for (int d = last + 1; d < R; ++d) shape[d - (last - first)] = x.shape()[d];
    return reshape(x, shape);
}
/// A single number as a tensor of one dimension [1].
template <Element T>
Tensor<T, 1> flatten(const Tensor<T, 0>& x) {
    return reshape(x, Shape{1});
}

/// Dimension `dim` split into `sizes`, of which one may be -1. Throws ShapeError when they do not multiply to its
/// extent.
template <Element T, int R, int S>
Tensor<T, R + S - 1> unflatten(const Tensor<T, R>& x, Index dim, const Shape<S>& sizes) {
    const int d = normalize_dim("unflatten", dim, R);
    const Shape<S> parts = view::resolve_shape("unflatten", x.shape()[d], sizes);
    Shape<R + S - 1> shape;
    for (int i = 0; i < R; ++i) shape[i < d ? i : i + S - 1] = x.shape()[i];
    for (int i = 0; i < S; ++i) shape[d + i] = parts[i];
    return reshape(x, shape);
}

/// Without dimension `dim`. Throws ShapeError unless its extent is 1.
template <Element T, int R>
Tensor<T, R - 1> squeeze(const Tensor<T, R>& x, Index dim) {
    return detail::with_gradient_of(x, view::squeeze(x, dim));
}
/// With a dimension of extent 1 inserted before `dim` (-1: at the end).
template <Element T, int R>
Tensor<T, R + 1> unsqueeze(const Tensor<T, R>& x, Index dim) {
    return detail::with_gradient_of(x, view::unsqueeze(x, dim));
}

}  // namespace lamina::inline LAMINA_ABI
