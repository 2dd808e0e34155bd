#pragma once
// Elements by index along one dimension: index_select, index_add, gather, scatter, scatter_add, take_along_dim;
// each refuses an index that is outside by its value, position and the extent. Indices count from 0.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/view.hpp>
#include <lamina/kernels/gather.hpp>
#include <lamina/ops/expand.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// Throws ValueError for the first of the (dense) indices outside [0, extent).
template <int R>
void require_indices(const char* op, const Tensor<std::int64_t, R>& index, Index extent) {
    const std::int64_t* i = index.data();
    Index bad = 0;
    const Index n = index.numel();
    while (bad < n && std::uint64_t(i[bad]) < std::uint64_t(extent)) ++bad;
    if (bad == n) return;
    Shape<R> position;
    Index rest = bad;
    for (int d = R - 1; d >= 0; --d) {
        position[d] = rest % index.shape()[d];
        rest /= index.shape()[d];
    }
    fail<ValueError>(op, ": index ", i[bad], " at position ", position, " must lie in [0, ", extent, ")");
}

/// [outer, extent, inner] of `shape` around `dim`, and the number of indices.
template <int R>
kernels::IndexGeometry index_geometry(const Shape<R>& shape, int d, Index count) {
    return {shape.product(0, d), shape[d], shape.product(d + 1, R), count};
}

/// The walk over an index array of shape `index` that points into a dense array of shape `x` along dimension `d`.
template <int R>
kernels::CopyLayout index_walk(const Shape<R>& index, const Shape<R>& x, int d) {
    const auto from = contiguous_strides(x);
    auto layout = kernels::to_dense(index, from);
    layout.from[d] = 0;
    return layout;
}

template <int R>
void require_gatherable(const char* op, const Shape<R>& x, const Shape<R>& index, int dim) {
    for (int d = 0; d < R; ++d)
        require(d == dim || index[d] <= x[d], op, ": index must not be larger than the input but for dimension ", dim,
                " (input ", x, ", index ", index, ")");
}

}  // namespace detail

/// Slices of `x` along `dim` at the positions `index` [n]. Throws ValueError for an index outside.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> index_select(const Tensor<T, R>& x, Index dim, const Tensor<std::int64_t, 1>& index) {
    const int d = normalize_dim("index_select", dim, R);
    const auto at = contiguous(index);
    detail::require_indices("index_select", at, x.shape()[d]);
    const auto g = detail::index_geometry(x.shape(), d, at.numel());
    Shape<R> shape = x.shape();
    shape[d] = g.count;
    auto y = empty<T>(shape);
    kernels::index_select(g, contiguous(x).data(), at.data(), y.mutable_data());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("index_select", y, [link = x.grad_link(), g, at = autograd::saved(at)](const T* dy) {
                if (T* dx = autograd::grad_ptr<T>(link)) kernels::index_add(g, dy, at.data(), dx);
            });
    }
    return y;
}

/// A copy of `x` with slice k of `source` added at position index[k] along `dim`, in the order of k. Throws ShapeError,
/// and ValueError for an index outside.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> index_add(const Tensor<T, R>& x, Index dim, const Tensor<std::int64_t, 1>& index,
                       const Tensor<T, R>& source) {
    const int d = normalize_dim("index_add", dim, R);
    const auto at = contiguous(index);
    Shape<R> wanted = x.shape();
    wanted[d] = at.numel();
    require(source.shape() == wanted, "index_add: source must have shape ", wanted, " but has ", source.shape());
    detail::require_indices("index_add", at, x.shape()[d]);
    const auto g = detail::index_geometry(x.shape(), d, at.numel());
    auto y = x.clone();
    kernels::index_add(g, contiguous(source).data(), at.data(), y.mutable_data());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x, source))
            tape->record("index_add", y,
                         [from = x.grad_link(), to = source.grad_link(), g, at = autograd::saved(at)](const T* dy) {
                             const Index n = g.outer * g.extent * g.inner;
                             if (const auto dx = autograd::grad_target<T>(from)) {
                                 const kernels::CopyLayout same = kernels::to_dense(Shape{n}, {1});
                                 if (dx.accumulate) kernels::copy<kernels::Write::add>(same, dy, dx.data);
                                 else kernels::copy(same, dy, dx.data);
                             }
                             if (T* ds = autograd::grad_ptr<T>(to)) {
                                 auto picked = empty<T>(Shape{g.outer * g.count * g.inner});
                                 kernels::index_select(g, dy, at.data(), picked.mutable_data());
                                 kernels::copy<kernels::Write::add>(kernels::to_dense(picked.shape(), {1}),
                                                                    picked.data(), ds);
                             }
                         });
    }
    return y;
}

/// y[i][j] = x[index[i][j]][j] for dim 0, and so on: an element for each index. `index` may be smaller than `x` in the
/// other dimensions. Repeated elements add up their gradients. Throws ShapeError, ValueError for an index outside.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> gather(const Tensor<T, R>& x, Index dim, const Tensor<std::int64_t, R>& index) {
    const int d = normalize_dim("gather", dim, R);
    detail::require_gatherable("gather", x.shape(), index.shape(), d);
    const auto at = contiguous(index);
    detail::require_indices("gather", at, x.shape()[d]);
    const auto dense = contiguous(x);
    const auto walk = detail::index_walk(at.shape(), x.shape(), d);
    const Index step = contiguous_strides(x.shape())[std::size_t(d)];
    auto y = empty<T>(at.shape());
    T* out = y.mutable_data();
    const T* in = dense.data();
    kernels::for_each_indexed(walk, at.data(), step, [&](Index to, Index from) { out[to] = in[from]; });
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("gather", y, [link = x.grad_link(), walk, step, at = autograd::saved(at)](const T* dy) {
                if (T* dx = autograd::grad_ptr<T>(link))
                    kernels::for_each_indexed(walk, at.data(), step, [&](Index to, Index from) { dx[from] += dy[to]; });
            });
    }
    return y;
}

/// `gather` with `x` and `index` broadcast against each other in the other dimensions. Throws as `gather`.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> take_along_dim(const Tensor<T, R>& x, const Tensor<std::int64_t, R>& index, Index dim) {
    const int d = normalize_dim("take_along_dim", dim, R);
    Shape<R> a = x.shape(), b = index.shape();
    a[d] = b[d] = 1;
    Shape<R> of_x = broadcast_shape("take_along_dim", a, b), of_index = of_x;
    of_x[d] = x.shape()[d];
    of_index[d] = index.shape()[d];
    return gather(expand(x, of_x), d, view::expand(index, of_index));
}

namespace detail {

/// Checks of the scatter family; returns the dense indices.
template <class T, int R>
Tensor<std::int64_t, R> scatter_indices(const char* op, const Tensor<T, R>& x, int d,
                                        const Tensor<std::int64_t, R>& index, const Shape<R>& src) {
    require_gatherable(op, x.shape(), index.shape(), d);
    for (int k = 0; k < R; ++k)
        require(index.shape()[k] <= src[k], op, ": index must not be larger than the source (index ", index.shape(),
                ", source ", src, ")");
    const auto at = contiguous(index);
    require_indices(op, at, x.shape()[d]);
    return at;
}
/// The part of `src` that the indices use, dense.
template <class T, int R>
Tensor<T, R> corner(const Tensor<T, R>& src, const Shape<R>& shape) {
    return contiguous(Tensor<T, R>(src.storage(), const_cast<T*>(src.data()), shape, src.strides()));
}
/// Adds the gradient of a corner of `src` into that of `src`.
template <class T, int R>
void corner_gradient(T* ds, const Shape<R>& src, const Shape<R>& shape, const T* gradient) {
    kernels::copy<kernels::Write::add>(kernels::from_dense(shape, contiguous_strides(src)), gradient, ds);
}

}  // namespace detail

/// A copy of `x` with src[i][j] put at [index[i][j]][j] for dim 0, and so on; the last of repeated indices wins, and
/// has the gradient. Throws ShapeError, ValueError for an index outside.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> scatter(const Tensor<T, R>& x, Index dim, const Tensor<std::int64_t, R>& index, const Tensor<T, R>& src) {
    const int d = normalize_dim("scatter", dim, R);
    const auto at = detail::scatter_indices("scatter", x, d, index, src.shape());
    const auto walk = detail::index_walk(at.shape(), x.shape(), d);
    const Index step = contiguous_strides(x.shape())[std::size_t(d)];
    const auto values = detail::corner(src, at.shape());
    auto y = x.clone();
    T* out = y.mutable_data();
    const T* in = values.data();
    kernels::for_each_indexed(walk, at.data(), step, [&](Index from, Index to) { out[to] = in[from]; });
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x, src))
            tape->record("scatter", y,
                         [from = x.grad_link(), to = src.grad_link(), shape = src.shape(), n = x.numel(), walk, step,
                          at = autograd::saved(at)](const T* dy) {
                             // Whoever wrote an element last owns its gradient; what x had there is gone.
                             auto owner = full<std::int64_t>(Shape{n}, -1);
                             std::int64_t* last = owner.mutable_data();
                             kernels::for_each_indexed(walk, at.data(), step,
                                                       [&](Index k, Index place) { last[place] = k; });
                             if (T* dx = autograd::grad_ptr<T>(from))
                                 for (Index i = 0; i < n; ++i) dx[i] += last[i] < 0 ? dy[i] : T(0);
                             if (T* ds = autograd::grad_ptr<T>(to)) {
                                 auto gradient = zeros<T>(at.shape());
                                 T* g = gradient.mutable_data();
                                 for (Index i = 0; i < n; ++i)
                                     if (last[i] >= 0) g[last[i]] = dy[i];
                                 detail::corner_gradient(ds, shape, at.shape(), gradient.data());
                             }
                         });
    }
    return y;
}
/// The same with one value for all.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> scatter(const Tensor<T, R>& x, Index dim, const Tensor<std::int64_t, R>& index,
                     std::type_identity_t<T> value) {
    return scatter(x, dim, index, view::expand(full<T>(Shape{Index(1)}, value), index.shape()));
}

/// A copy of `x` with src[i][j] added at [index[i][j]][j] for dim 0, and so on, in the order of the indices. Throws
/// ShapeError, ValueError for an index outside.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> scatter_add(const Tensor<T, R>& x, Index dim, const Tensor<std::int64_t, R>& index,
                         const Tensor<T, R>& src) {
    const int d = normalize_dim("scatter_add", dim, R);
    const auto at = detail::scatter_indices("scatter_add", x, d, index, src.shape());
    const auto walk = detail::index_walk(at.shape(), x.shape(), d);
    const Index step = contiguous_strides(x.shape())[std::size_t(d)];
    const auto values = detail::corner(src, at.shape());
    auto y = x.clone();
    T* out = y.mutable_data();
    const T* in = values.data();
    kernels::for_each_indexed(walk, at.data(), step, [&](Index from, Index to) { out[to] = T(out[to] + in[from]); });
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x, src))
            tape->record("scatter_add", y,
                         [from = x.grad_link(), to = src.grad_link(), shape = src.shape(), n = x.numel(), walk, step,
                          at = autograd::saved(at)](const T* dy) {
                             if (T* dx = autograd::grad_ptr<T>(from))
                                 kernels::copy<kernels::Write::add>(kernels::to_dense(Shape{n}, {1}), dy, dx);
                             if (T* ds = autograd::grad_ptr<T>(to)) {
                                 auto gradient = empty<T>(at.shape());
                                 T* g = gradient.mutable_data();
                                 kernels::for_each_indexed(walk, at.data(), step,
                                                           [&](Index k, Index place) { g[k] = dy[place]; });
                                 detail::corner_gradient(ds, shape, at.shape(), gradient.data());
                             }
                         });
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
