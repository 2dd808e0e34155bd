#pragma once
// Largest and smallest elements: values (amax, amin), values with positions (max, min), positions (argmax, argmin).
// NaN counts as the extremum.
#include <lamina/kernels/reduce_index.hpp>
#include <lamina/ops/reduction_plan.hpp>
#include <lamina/ops/values_indices.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <int R>
void require_elements(const char* op, const Shape<R>& shape, unsigned mask, Index outputs) {
    require(outputs == 0 || reduced_count(shape, mask) > 0, op, ": the reduced dimensions must not be empty (shape ",
            shape, ")");
}

template <class T>
struct ExtremumBackward {
    GradLink link;
    ReductionPlan plan;
    autograd::Saved<T, 1> x, y;
    void operator()(const T* dy) const {
        auto share = empty<T>(Shape{plan.geometry.outputs()});
        T* part = share.mutable_data();
        kernels::reduce<kernels::Sum>(plan.geometry, x.data(), y.data(), part, kernels::maps::IsTie{});
        for (Index i = 0; i < share.numel(); ++i) part[i] = dy[i] / part[i];
        plan.spread(link, x.data(), y.data(), share.data(), kernels::shares::ToTies{});
    }
};

template <class Op, Real T, int R, int K>
Tensor<T, K> extremum(const char* op, const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape) {
    const ReductionPlan plan(x.shape(), mask);
    auto y = empty<T>(shape);
    require_elements(op, x.shape(), mask, y.numel());
    const auto dense = plan.arrange(x, mask);
    kernels::reduce<Op>(plan.geometry, dense.data(), static_cast<const T*>(nullptr), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record(op, y, ExtremumBackward<T>{x.grad_link(), plan, saved_flat(dense), saved_flat(y)});
    return y;
}

template <class Op, Element T, int R, int K>
Tensor<std::int64_t, K> extremum_index(const char* op, const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape) {
    const ReductionPlan plan(x.shape(), mask);
    auto y = empty<std::int64_t>(shape);
    require_elements(op, x.shape(), mask, y.numel());
    if (y.numel()) kernels::extremum_index<Op>(plan.geometry, plan.arrange(x.detach(), mask).data(), y.mutable_data());
    return y;
}

/// Values at the positions along one dimension; their gradients go to these positions alone.
template <class Op, Element T, int R, int K>
ValuesIndices<T, K> extremum_with_index(const char* op, const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape) {
    const auto indices = extremum_index<Op>(op, x, mask, shape);
    const auto g = ReductionPlan(x.shape(), mask).geometry;
    const auto place = [g](Index output, Index index) {
        return (output / g.inner * g.count + index) * g.inner + output % g.inner;
    };
    auto values = empty<T>(shape);
    const auto dense = contiguous(x);
    for (Index i = 0; i < values.numel(); ++i) values.mutable_data()[i] = dense.data()[place(i, indices.data()[i])];
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record(op, values, [link = x.grad_link(), at = autograd::saved(indices), place](const T* dy) {
                if (T* dx = autograd::grad_ptr<T>(link))
                    for (Index i = 0; i < at.tensor().numel(); ++i) dx[place(i, at.data()[i])] += dy[i];
            });
    }
    return {values, indices};
}

}  // namespace detail

/// Largest element over the axes (all by default); ties share the gradient evenly. Throws ShapeError for no elements.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto amax(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::extremum<kernels::Largest>("amax", x, detail::axes_mask<R>(axes),
                                              detail::reduced_shape(x.shape(), axes, keep...));
}
/// Smallest element over the axes, as `amax`.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto amin(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::extremum<kernels::Smallest>("amin", x, detail::axes_mask<R>(axes),
                                               detail::reduced_shape(x.shape(), axes, keep...));
}
/// Largest element of all []; as `amax`.
template <Real T, int R>
Tensor<T, 0> max(const Tensor<T, R>& x) {
    return amax(x);
}
/// Smallest element of all []; as `amin`.
template <Real T, int R>
Tensor<T, 0> min(const Tensor<T, R>& x) {
    return amin(x);
}

/// Largest elements along one axis with the first position of each: `auto [values, indices] = max(x, axes<1>)`. The
/// gradient goes to that position alone. Throws ShapeError for no elements.
template <Element T, int R, int D, detail::KeepTag... Keep>
auto max(const Tensor<T, R>& x, Axes<D> axis, Keep... keep) {
    return detail::extremum_with_index<kernels::Largest>("max", x, detail::axes_mask<R>(axis),
                                                         detail::reduced_shape(x.shape(), axis, keep...));
}
/// Smallest elements along one axis with their first positions, as `max`.
template <Element T, int R, int D, detail::KeepTag... Keep>
auto min(const Tensor<T, R>& x, Axes<D> axis, Keep... keep) {
    return detail::extremum_with_index<kernels::Smallest>("min", x, detail::axes_mask<R>(axis),
                                                          detail::reduced_shape(x.shape(), axis, keep...));
}

/// First position of the largest element along one axis, or in the flattened tensor by default. Throws ShapeError for
/// no elements.
template <Element T, int R, int... D, detail::KeepTag... Keep>
    requires(sizeof...(D) <= 1)
auto argmax(const Tensor<T, R>& x, Axes<D...> axis = {}, Keep... keep) {
    return detail::extremum_index<kernels::Largest>("argmax", x, detail::axes_mask<R>(axis),
                                                    detail::reduced_shape(x.shape(), axis, keep...));
}
/// First position of the smallest element, as `argmax`.
template <Element T, int R, int... D, detail::KeepTag... Keep>
    requires(sizeof...(D) <= 1)
auto argmin(const Tensor<T, R>& x, Axes<D...> axis = {}, Keep... keep) {
    return detail::extremum_index<kernels::Smallest>("argmin", x, detail::axes_mask<R>(axis),
                                                     detail::reduced_shape(x.shape(), axis, keep...));
}

}  // namespace lamina::inline LAMINA_ABI
