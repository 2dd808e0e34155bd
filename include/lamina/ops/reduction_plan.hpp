#pragma once
// What all reductions over named axes share: bringing the axes together, the result's shape, the way back.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/view.hpp>
#include <lamina/kernels/reduce_maps.hpp>
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
/// ones, these are moved to the back by a copy. Free of ranks, so that kernels are compiled once for all of them.
struct ReductionPlan {
    kernels::ReduceGeometry geometry{1, 1, 1};
    bool moved = false;
    kernels::CopyLayout back;  ///< from the moved order to the dense gradient; only when moved

    template <int R>
    ReductionPlan(const Shape<R>& shape, unsigned mask) {
        bool ended = false;
        for (int d = 0; d < R; ++d) {
            if (shape[d] == 1) continue;
            const bool reduced = mask >> d & 1u;
            if (reduced) moved = moved || ended;
            else if (geometry.count != 1) ended = true;
            (reduced ? geometry.count : ended ? geometry.inner : geometry.outer) *= shape[d];
        }
        if (!moved) return;
        geometry.outer *= geometry.inner;
        geometry.inner = 1;
        const auto steps = contiguous_strides(shape);
        const auto order = moved_order<R>(mask);
        Index from = shape.numel();
        for (int d : order) {
            from = shape[d] ? from / shape[d] : 0;
            back.push(shape[d], from, steps[std::size_t(d)]);
        }
    }
    /// Kept dimensions, then reduced ones.
    template <int R>
    static std::array<int, std::size_t(R)> moved_order(unsigned mask) {
        std::array<int, std::size_t(R)> order{};
        std::size_t at = 0;
        for (unsigned reduced = 0; reduced < 2; ++reduced)
            for (int d = 0; d < R; ++d)
                if ((mask >> d & 1u) == reduced) order[at++] = d;
        return order;
    }
    /// The elements as the geometry wants them.
    template <class T, int R>
    Tensor<T, R> arrange(const Tensor<T, R>& x, unsigned mask) const {
        return contiguous(moved ? view::permute(x, moved_order<R>(mask)) : x);
    }
    /// Puts f(x, y, dy) for every element into the gradient behind `link`; `x` as arranged, `y` and `dy` reduced.
    template <class T, class F>
    void spread(const GradLink& link, const T* x, const T* y, const T* dy, const F& f) const {
        const auto dx = autograd::grad_target<T>(link);
        if (!dx) return;
        if (!moved) return kernels::spread(geometry, x, y, dy, dx.data, dx.accumulate, f);
        auto arranged = empty<T>(Shape{geometry.inputs()});
        kernels::spread(geometry, x, y, dy, arranged.mutable_data(), false, f);
        if (dx.accumulate) kernels::copy<kernels::Write::add>(back, arranged.data(), dx.data);
        else kernels::copy(back, arranged.data(), dx.data);
    }
};

/// Elements without shape: what a recorded reduction keeps of its arranged input or its result.
template <class T, int R>
autograd::Saved<T, 1> saved_flat(const Tensor<T, R>& dense) {
    const Shape<1> shape{dense.numel()};
    return autograd::saved(Tensor<T, 1>(dense.storage(), const_cast<T*>(dense.data()), shape, {1}));
}

/// Number of elements in the dimensions of `mask`.
template <int R>
Index reduced_count(const Shape<R>& shape, unsigned mask) {
    Index n = 1;
    for (int d = 0; d < R; ++d)
        if (mask >> d & 1u) n *= shape[d];
    return n;
}

}  // namespace lamina::inline LAMINA_ABI::detail
