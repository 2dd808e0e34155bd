#pragma once
// What all reductions over named axes share: bringing the axes together, the result's shape, the way back.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/view.hpp>
#include <lamina/kernels/spread.hpp>
#include <lamina/ops/axes.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI::detail {

/// Nothing or `keepdim`.
template <class... Keep>
concept KeepTag = sizeof...(Keep) <= 1 && (std::is_same_v<Keep, KeepDim> && ...);

/// Shape of the result: without the axes, or with extent 1 there when `keepdim` is given.
template <int R, int... D, KeepTag... Keep>
auto reduced_shape(const Shape<R>& shape, Axes<D...>, Keep...) {
    constexpr unsigned mask = axes_mask<R>(Axes<D...>{});
    if constexpr (sizeof...(Keep) == 1) return ones_at_axes(shape, mask);
    else return without_axes<reduced_rank<R, D...>>(shape, mask);
}

/// A reduction over the dimensions of a mask as [outer, count, inner]. When other dimensions lie between the reduced
/// ones, these are moved to the back by a copy.
template <int R>
struct ReductionPlan {
    kernels::ReduceGeometry geometry;
    Shape<R> shape;
    std::array<int, std::size_t(R)> order{};
    bool moved = false;

    ReductionPlan(const Shape<R>& s, unsigned mask) : geometry{1, 1, 1}, shape(s) {
        int at = 0;
        bool ended = false;
        for (int d = 0; d < R; ++d) {
            const bool reduced = mask >> d & 1u;
            if (!reduced) order[std::size_t(at++)] = d;
            if (s[d] == 1) continue;
            if (reduced) moved = moved || ended;
            else if (geometry.count != 1) ended = true;
            (reduced ? geometry.count : ended ? geometry.inner : geometry.outer) *= s[d];
        }
        for (int d = 0; d < R; ++d)
            if (mask >> d & 1u) order[std::size_t(at++)] = d;
        if (moved) {
            geometry.outer *= geometry.inner;
            geometry.inner = 1;
        }
    }
    /// The elements as the geometry wants them.
    template <class T>
    Tensor<T, R> arrange(const Tensor<T, R>& x) const {
        return contiguous(moved ? view::permute(x, order) : x);
    }
    /// Puts f(x, y, dy) for every element into the gradient behind `link`; `x` as arranged, `y` and `dy` reduced.
    template <class T, class F>
    void spread(const GradLink& link, const T* x, const T* y, const T* dy, const F& f) const {
        const auto dx = autograd::grad_target<T>(link);
        if (!dx) return;
        if (!moved) return kernels::spread(geometry, x, y, dy, dx.data, dx.accumulate, f);
        auto arranged = empty<T>(shape);
        kernels::spread(geometry, x, y, dy, arranged.mutable_data(), false, f);
        give_back(arranged.data(), dx);
    }
    /// Puts a gradient that is arranged as the moved elements are where it belongs.
    template <class T>
    void give_back(const T* arranged, const autograd::GradTarget<T>& dx) const {
        const auto steps = contiguous_strides(shape);
        Shape<R> from;
        Strides<R> to{};
        for (int d = 0; d < R; ++d) {
            from[d] = shape[order[std::size_t(d)]];
            to[std::size_t(d)] = steps[std::size_t(order[std::size_t(d)])];
        }
        const auto layout = kernels::from_dense(from, to);
        if (dx.accumulate) kernels::copy<kernels::Write::add>(layout, arranged, dx.data);
        else kernels::copy(layout, arranged, dx.data);
    }
};

/// Number of elements in the dimensions of `mask`.
template <int R>
Index reduced_count(const Shape<R>& shape, unsigned mask) {
    Index n = 1;
    for (int d = 0; d < R; ++d)
        if (mask >> d & 1u) n *= shape[d];
    return n;
}

}  // namespace lamina::inline LAMINA_ABI::detail
