#pragma once
// Views: other shapes and strides over the same elements. Pure geometry; ops/shape.hpp adds the gradients.
#include <lamina/core/tensor.hpp>

namespace lamina::inline LAMINA_ABI::view {

/// Dimensions reordered: output dimension d is input dimension dims[d]. Throws ValueError unless `dims` is a
/// permutation.
template <class T, int R>
Tensor<T, R> permute(const Tensor<T, R>& x, const std::array<int, std::size_t(R)>& dims) {
    Shape<R> shape;
    Strides<R> strides{};
    std::array<bool, std::size_t(R)> seen{};
    for (int d = 0; d < R; ++d) {
        const int from = normalize_dim("permute", dims[std::size_t(d)], R);
        require<ValueError>(!seen[std::size_t(from)], "permute: each dimension must occur once but ", from,
                            " occurs twice (shape ", x.shape(), ")");
        seen[std::size_t(from)] = true;
        shape[d] = x.shape()[from];
        strides[std::size_t(d)] = x.strides()[std::size_t(from)];
    }
    return Tensor<T, R>(x.storage(), const_cast<T*>(x.data()), shape, strides);
}

/// Dimensions `a` and `b` exchanged.
template <class T, int R>
Tensor<T, R> transpose(const Tensor<T, R>& x, Index a, Index b) {
    std::array<int, std::size_t(R)> dims{};
    for (int d = 0; d < R; ++d) dims[std::size_t(d)] = d;
    std::swap(dims[std::size_t(normalize_dim("transpose", a, R))], dims[std::size_t(normalize_dim("transpose", b, R))]);
    return view::permute(x, dims);
}

/// Elements start, start + step, … below `stop` along `dim`. Negative positions count from the back; positions
/// beyond the ends are clamped as in Python. Throws ValueError for step < 1.
template <class T, int R>
Tensor<T, R> slice(const Tensor<T, R>& x, Index dim, Index start, Index stop, Index step = 1) {
    const int d = normalize_dim("slice", dim, R);
    require<ValueError>(step >= 1, "slice: step must be at least 1 but is ", step);
    const Index extent = x.shape()[d];
    const auto clamped = [&](Index i) { return std::clamp<Index>(i < 0 ? i + extent : i, 0, extent); };
    const Index from = clamped(start), to = std::max(from, clamped(stop));
    Shape<R> shape = x.shape();
    Strides<R> strides = x.strides();
    shape[d] = (to - from + step - 1) / step;
    T* data = const_cast<T*>(x.data()) + (shape[d] ? from * strides[std::size_t(d)] : 0);
    strides[std::size_t(d)] *= step;
    return Tensor<T, R>(x.storage(), data, shape, strides);
}

/// The slice at `index` along `dim`, without that dimension. Throws ValueError when it is outside.
template <class T, int R>
    requires(R > 0)
Tensor<T, R - 1> select(const Tensor<T, R>& x, Index dim, Index index) {
    const int gone = normalize_dim("select", dim, R);
    const Index i = index < 0 ? index + x.shape()[gone] : index;
    require<ValueError>(i >= 0 && i < x.shape()[gone], "select: index ", index, " is outside dimension ", gone,
                        " (shape ", x.shape(), ")");
    Shape<R - 1> shape;
    Strides<R - 1> strides{};
    for (int d = 0, to = 0; d < R; ++d) {
        if (d == gone) continue;
        shape[to] = x.shape()[d];
        strides[std::size_t(to++)] = x.strides()[std::size_t(d)];
    }
    T* data = const_cast<T*>(x.data()) + i * x.strides()[std::size_t(gone)];
    return Tensor<T, R - 1>(x.storage(), data, shape, strides);
}

/// A dimension of extent 1 inserted before `dim` (-1: at the end).
template <class T, int R>
Tensor<T, R + 1> unsqueeze(const Tensor<T, R>& x, Index dim) {
    const int at = normalize_dim("unsqueeze", dim, R + 1);
    Shape<R + 1> shape;
    Strides<R + 1> strides{};
    for (int d = 0, from = 0; d <= R; ++d) {
        shape[d] = d == at ? 1 : x.shape()[from];
        strides[std::size_t(d)] = d == at ? 1 : x.strides()[std::size_t(from)];
        from += d != at;
    }
    return Tensor<T, R + 1>(x.storage(), const_cast<T*>(x.data()), shape, strides);
}

/// Without dimension `dim`. Throws ShapeError unless its extent is 1.
template <class T, int R>
    requires(R > 0)
Tensor<T, R - 1> squeeze(const Tensor<T, R>& x, Index dim) {
    const int d = normalize_dim("squeeze", dim, R);
    require(x.shape()[d] == 1, "squeeze: dimension ", d, " must have extent 1 (shape ", x.shape(), ")");
    return view::select(x, d, 0);
}

/// `x` stretched to `shape`, aligned at the right: extents 1 and missing ones repeat without a copy. Throws ShapeError.
template <int To, class T, int R>
    requires(To >= R)
Tensor<T, To> expand(const Tensor<T, R>& x, const Shape<To>& shape) {
    checked_numel(shape.begin(), To, sizeof(T));
    Strides<To> strides{};
    for (int d = 0; d < R; ++d) {
        const int to = d + To - R;
        require(x.shape()[d] == shape[to] || x.shape()[d] == 1, "expand: extents must be equal or 1 (", x.shape(),
                " to ", shape, ")");
        strides[std::size_t(to)] = x.shape()[d] == 1 ? 0 : x.strides()[std::size_t(d)];
    }
    return Tensor<T, To>(x.storage(), const_cast<T*>(x.data()), shape, strides);
}

/// `shape` with a single -1 replaced by what `numel` leaves for it. Throws ShapeError.
template <int To>
Shape<To> resolve_shape(const char* op, Index numel, Shape<To> shape) {
    int open = -1;
    Index known = 1;
    for (int d = 0; d < To; ++d) {
        if (shape[d] != -1) {
            require(shape[d] >= 0, op, ": extents must not be negative but for one -1 (", shape, ")");
            known *= shape[d];
        } else {
            require(open < 0, op, ": only one extent can be -1 (", shape, ")");
            open = d;
        }
    }
    const Shape<To> asked = shape;
    if (open >= 0) {
        require(known > 0 && numel % known == 0, op, ": ", numel, " elements do not fill ", asked);
        shape[open] = numel / known;
    }
    require(checked_numel(shape.begin(), To) == numel, op, ": ", numel, " elements do not fill ", asked);
    return shape;
}

/// The same elements of a contiguous tensor in another shape (one -1 allowed). Throws ShapeError.
template <int To, class T, int R>
Tensor<T, To> reshape(const Tensor<T, R>& x, const Shape<To>& shape) {
    require(x.is_contiguous(), "view: the tensor must be contiguous (shape ", x.shape(), ")");
    const Shape<To> resolved = resolve_shape("view", x.numel(), shape);
    return Tensor<T, To>(x.storage(), const_cast<T*>(x.data()), resolved, contiguous_strides(resolved));
}

}  // namespace lamina::inline LAMINA_ABI::view
