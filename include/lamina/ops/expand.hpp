#pragma once
// Repetition: expand (a view), repeat and tile (copies), repeat_interleave. Gradients are summed over the repetitions.
#include <lamina/ops/reduction_plan.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// Sums `dy` [repeated shape, some of whose dimensions are repetitions] into the gradient behind `link`.
template <class T, int R>
void sum_repetitions(const GradLink& link, const Shape<R>& shape, unsigned mask, const T* dy) {
    const auto dx = autograd::grad_target<T>(link);
    if (!dx) return;
    const ReductionPlan plan(shape, mask);
    const auto arranged = plan.arrange(borrow<T>(shape, const_cast<T*>(dy)), mask);
    const T* none = nullptr;
    if (!dx.accumulate) return kernels::reduce<kernels::Sum>(plan.geometry, arranged.data(), none, dx.data);
    auto sums = empty<T>(Shape{link->numel});
    kernels::reduce<kernels::Sum>(plan.geometry, arranged.data(), none, sums.mutable_data());
    kernels::copy<kernels::Write::add>(kernels::from_dense(sums.shape(), sums.strides()), sums.data(), dx.data);
}

}  // namespace detail

/// `x` stretched to `shape` without a copy, aligned at the right: extents of 1 and missing ones repeat; -1 keeps an
/// extent. The result cannot be written to. Throws ShapeError.
template <Element T, int R, int To>
    requires(To >= R)
Tensor<T, To> expand(const Tensor<T, R>& x, Shape<To> shape) {
    unsigned mask = 0;
    for (int d = 0; d < To; ++d) {
        const Index own = d < To - R ? 1 : x.shape()[d - (To - R)];
        if (shape[d] == -1 && d >= To - R) shape[d] = own;
        if (own == 1 && shape[d] != 1) mask |= 1u << d;
    }
    auto y = view::expand(x, shape);
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("expand", y, [link = x.grad_link(), shape, mask](const T* dy) {
                detail::sum_repetitions(link, shape, mask, dy);
            });
    }
    return y;
}

/// `x` repeated `repeats[d]` times along each dimension d, as in `repeat(x, {2, 1})`. Throws ValueError for a negative
/// number.
template <Element T, int R>
Tensor<T, R> repeat(const Tensor<T, R>& x, const std::array<Index, std::size_t(R)>& repeats) {
    Shape<2 * R> pairs;  // repetitions and extent of each dimension
    Shape<R> shape;
    unsigned mask = 0;
    for (int d = 0; d < R; ++d) {
        const Index times = repeats[std::size_t(d)];
        require<ValueError>(times >= 0, "repeat: repetitions must not be negative but are ", times, " in dimension ",
                            d);
        pairs[2 * d] = times;
        pairs[2 * d + 1] = x.shape()[d];
        shape[d] = times * x.shape()[d];
        mask |= 1u << (2 * d);
    }
    auto y = empty<T>(shape);
    auto layout = kernels::to_dense(pairs, contiguous_strides(pairs));
    for (int d = 0; d < R; ++d) {
        layout.from[2 * d] = 0;
        layout.from[2 * d + 1] = x.strides()[std::size_t(d)];
    }
    kernels::copy(layout, x.data(), y.mutable_data());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("repeat", y, [link = x.grad_link(), pairs, mask](const T* dy) {
                detail::sum_repetitions(link, pairs, mask, dy);
            });
    }
    return y;
}
/// The same as `repeat`.
template <Element T, int R>
Tensor<T, R> tile(const Tensor<T, R>& x, const std::array<Index, std::size_t(R)>& repeats) {
    return repeat(x, repeats);
}

/// Each slice along `dim` repeated `times` times in place: a, b becomes a, a, b, b. Throws ValueError for a negative
/// number.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> repeat_interleave(const Tensor<T, R>& x, Index times, Index dim) {
    const int d = normalize_dim("repeat_interleave", dim, R);
    require<ValueError>(times >= 0, "repeat_interleave: repetitions must not be negative but are ", times);
    std::array<Index, std::size_t(R + 1)> repeats{};
    repeats.fill(1);
    repeats[std::size_t(d + 1)] = times;
    Shape<R> shape = x.shape();
    shape[d] *= times;
    return reshape(repeat(unsqueeze(x, d + 1), repeats), shape);
}

}  // namespace lamina::inline LAMINA_ABI
