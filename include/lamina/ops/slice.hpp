#pragma once
// Parts of a tensor as views: slice, select, narrow, split, chunk, unbind, diagonal, sliding windows. Their gradients
// are added into the places they were taken from.
#include <lamina/autograd/tape.hpp>
#include <lamina/core/view.hpp>
#include <lamina/ops/contiguous.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// The view `part(x)`, recorded. `part` maps a tensor to a view whose elements have places of their own; mapping the
/// gradient buffer with it says where the gradient goes.
template <class T, int R, class F>
auto recorded_part(const char* op, const Tensor<T, R>& x, F part) {
    auto y = part(x.detach());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record(op, y, [link = x.grad_link(), shape = x.shape(), part](const T* dy) {
                T* dx = autograd::grad_ptr<T>(link);
                if (!dx) return;
                const auto place = part(Tensor<T, R>({}, dx, shape, contiguous_strides(shape)));
                kernels::copy<kernels::Write::add>(kernels::from_dense(place.shape(), place.strides()), dy,
                                                   const_cast<T*>(place.data()));
            });
    }
    return y;
}

}  // namespace detail

/// Elements start, start + step, … below `stop` along `dim`, without a copy. Negative positions count from the back,
/// positions beyond the ends are clamped. Throws ValueError for step < 1.
template <Element T, int R>
Tensor<T, R> slice(const Tensor<T, R>& x, Index dim, Index start, Index stop, Index step = 1) {
    return detail::recorded_part("slice", x,
                                 [=](const Tensor<T, R>& t) { return view::slice(t, dim, start, stop, step); });
}

/// The slice at `index` along `dim`, without that dimension. Throws ValueError when it is outside.
template <Element T, int R>
Tensor<T, R - 1> select(const Tensor<T, R>& x, Index dim, Index index) {
    return detail::recorded_part("select", x, [=](const Tensor<T, R>& t) { return view::select(t, dim, index); });
}

/// `length` elements from `start` on along `dim`, without a copy. Throws ValueError when they are not all inside.
template <Element T, int R>
Tensor<T, R> narrow(const Tensor<T, R>& x, Index dim, Index start, Index length) {
    const int d = normalize_dim("narrow", dim, R);
    const Index from = start < 0 ? start + x.shape()[d] : start;
    require<ValueError>(from >= 0 && length >= 0 && length <= x.shape()[d] - from, "narrow: elements ", start, " to ",
                        start + length - 1, " must lie in dimension ", d, " of extent ", x.shape()[d], " (shape ",
                        x.shape(), ")");
    return slice(x, d, from, from + length);
}

/// Consecutive parts of `size` elements along `dim`, the last one smaller; an extent of 0 gives one empty part.
/// Throws ValueError for size < 1.
template <Element T, int R>
std::vector<Tensor<T, R>> split(const Tensor<T, R>& x, Index size, Index dim = 0) {
    const int d = normalize_dim("split", dim, R);
    require<ValueError>(size >= 1, "split: size must be at least 1 but is ", size);
    std::vector<Tensor<T, R>> parts;
    for (Index at = 0; at < x.shape()[d] || at == 0; at += size) parts.push_back(slice(x, d, at, at + size));
    return parts;
}
/// Consecutive parts of the given sizes. Throws ShapeError unless they add up to the extent.
template <Element T, int R>
std::vector<Tensor<T, R>> split(const Tensor<T, R>& x, std::span<const Index> sizes, Index dim = 0) {
    const int d = normalize_dim("split", dim, R);
    std::vector<Tensor<T, R>> parts;
    Index at = 0;
    for (Index size : sizes) {
        require<ValueError>(size >= 0, "split: sizes must not be negative but one is ", size);
        at += size;
    }
    require(at == x.shape()[d], "split: sizes must add up to ", x.shape()[d], " but give ", at, " (shape ", x.shape(),
            ")");
    at = 0;
    for (Index size : sizes) parts.push_back(slice(x, d, at, at + size)), at += size;
    return parts;
}
template <Element T, int R>
std::vector<Tensor<T, R>> split(const Tensor<T, R>& x, std::initializer_list<Index> sizes, Index dim = 0) {
    return split(x, std::span<const Index>(sizes.begin(), sizes.size()), dim);
}

/// At most `count` parts of ceil(extent / count) elements along `dim`, the last one smaller. Throws ValueError for
/// count < 1.
template <Element T, int R>
std::vector<Tensor<T, R>> chunk(const Tensor<T, R>& x, Index count, Index dim = 0) {
    const int d = normalize_dim("chunk", dim, R);
    require<ValueError>(count >= 1, "chunk: count must be at least 1 but is ", count);
    const Index size = (x.shape()[d] + count - 1) / count;
    return split(x, size > 0 ? size : 1, d);
}

/// The slices along `dim`, each without that dimension.
template <Element T, int R>
std::vector<Tensor<T, R - 1>> unbind(const Tensor<T, R>& x, Index dim = 0) {
    const int d = normalize_dim("unbind", dim, R);
    std::vector<Tensor<T, R - 1>> parts;
    for (Index i = 0; i < x.shape()[d]; ++i) parts.push_back(select(x, d, i));
    return parts;
}

/// The diagonal of dimensions `dim1` and `dim2`, as the last dimension; `offset` > 0 lies above the main one. Without
/// a copy. Throws ValueError when the two dimensions are one.
template <Element T, int R>
    requires(R >= 2)
Tensor<T, R - 1> diagonal(const Tensor<T, R>& x, Index offset = 0, Index dim1 = 0, Index dim2 = 1) {
    const int a = normalize_dim("diagonal", dim1, R), b = normalize_dim("diagonal", dim2, R);
    require<ValueError>(a != b, "diagonal: the two dimensions must differ but both are ", a);
    return detail::recorded_part("diagonal", x, [=](const Tensor<T, R>& t) {
        Shape<R - 1> shape;
        Strides<R - 1> strides{};
        int to = 0;
        for (int d = 0; d < R; ++d) {
            if (d == a || d == b) continue;
            shape[to] = t.shape()[d];
            strides[std::size_t(to++)] = t.strides()[std::size_t(d)];
        }
        const Index down = offset < 0 ? -offset : 0, right = offset > 0 ? offset : 0;
        const Index rows = t.shape()[a] - down, columns = t.shape()[b] - right;
        shape[to] = std::max<Index>(0, std::min(rows, columns));
        const Index step_a = t.strides()[std::size_t(a)], step_b = t.strides()[std::size_t(b)];
        strides[std::size_t(to)] = step_a + step_b;
        T* data = const_cast<T*>(t.data()) + (shape[to] ? down * step_a + right * step_b : 0);
        return Tensor<T, R - 1>(t.storage(), data, shape, strides);
    });
}

/// Windows of `size` elements, `step` apart, along `dim`: that dimension counts the windows, a new last one runs inside
/// them [..., (extent - size) / step + 1, ..., size]. Without a copy. Throws ValueError when no window fits.
template <Element T, int R>
Tensor<T, R + 1> unfold(const Tensor<T, R>& x, Index dim, Index size, Index step) {
    const int d = normalize_dim("unfold", dim, R);
    require<ValueError>(size >= 0 && step >= 1 && size <= x.shape()[d], "unfold: windows of ", size, ", ", step,
                        " apart, must fit dimension ", d, " of extent ", x.shape()[d], " (shape ", x.shape(), ")");
    const auto windows = [d, size, step](const Tensor<T, R>& t) {
        Shape<R + 1> shape;
        Strides<R + 1> strides{};
        for (int i = 0; i < R; ++i) {
            shape[i] = t.shape()[i];
            strides[std::size_t(i)] = t.strides()[std::size_t(i)];
        }
        shape[d] = (shape[d] - size) / step + 1;
        shape[R] = size;
        strides[std::size_t(R)] = strides[std::size_t(d)];
        strides[std::size_t(d)] *= step;
        return Tensor<T, R + 1>(t.storage(), const_cast<T*>(t.data()), shape, strides);
    };
    auto y = windows(x.detach());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("unfold", y, [link = x.grad_link(), shape = x.shape(), windows, size](const T* dy) {
                T* dx = autograd::grad_ptr<T>(link);
                if (!dx) return;
                // Windows overlap, but elements at one position of all windows do not.
                const auto place = windows(Tensor<T, R>({}, dx, shape, contiguous_strides(shape)));
                auto layout = kernels::from_dense(place.shape(), place.strides());
                const Index inside = layout.to[R];
                layout.extents[R] = 1;
                for (Index i = 0; i < size; ++i)
                    kernels::copy<kernels::Write::add>(layout, dy + i, const_cast<T*>(place.data()) + i * inside);
            });
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
