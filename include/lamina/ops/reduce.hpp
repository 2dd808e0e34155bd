#pragma once
// Sums and what is made of them: sum, mean, prod, norm, logsumexp over any axes. `sum(x)` reduces all dimensions,
// `sum(x, axes<1, -1>)` those named, `sum(x, axes<1>, keepdim)` leaves an extent of 1 in their place.
#include <lamina/ops/reduction_plan.hpp>
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <Real T, int R, int K>
Tensor<T, K> sum(const char* op, const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape, T divisor) {
    const ReductionPlan<R> plan(x.shape(), mask);
    auto y = empty<T>(shape);
    T* out = y.mutable_data();
    kernels::reduce<kernels::Sum>(plan.geometry, plan.arrange(x).data(), static_cast<const T*>(nullptr), out);
    if (divisor != T(1))
        for (Index i = 0; i < y.numel(); ++i) out[i] /= divisor;
    if (auto* tape = autograd::recording(x))
        tape->record(op, y, [link = x.grad_link(), plan, divisor](const T* dy) {
            plan.spread(link, static_cast<const T*>(nullptr), static_cast<const T*>(nullptr), dy,
                        [divisor](auto, auto, auto g) LAMINA_INLINE_LAMBDA { return g / decltype(g)(divisor); });
        });
    return y;
}

}  // namespace detail

/// Sum over the axes (all by default); 0 for no elements. Errors grow with the logarithm of the count.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto sum(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::sum("sum", x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...), T(1));
}

/// Mean over the axes (all by default); NaN for no elements.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto mean(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    constexpr unsigned mask = detail::axes_mask<R>(Axes<D...>{});
    return detail::sum("mean", x, mask, detail::reduced_shape(x.shape(), axes, keep...),
                       T(detail::reduced_count(x.shape(), mask)));
}

/// Sum of integers or truth values, as int64.
template <Element T, int R, int... D, detail::KeepTag... Keep>
    requires std::is_integral_v<T>
auto sum(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    const detail::ReductionPlan<R> plan(x.shape(), detail::axes_mask<R>(axes));
    const auto g = plan.geometry;
    const auto dense = plan.arrange(x);
    auto y = zeros<std::int64_t>(detail::reduced_shape(x.shape(), axes, keep...));
    const T* in = dense.data();
    std::int64_t* out = y.mutable_data();
    parallel::for_range(g.outer, parallel::grain_for(g.count * g.inner), [&](Index begin, Index end) {
        for (Index row = begin * g.count; row < end * g.count; ++row)
            for (Index i = 0; i < g.inner; ++i) out[row / g.count * g.inner + i] += in[row * g.inner + i];
    });
    return y;
}

/// Number of elements that are not 0, as int64.
template <Element T, int R, int... D, detail::KeepTag... Keep>
auto count_nonzero(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    const auto dense = contiguous(x.detach());
    auto marks = empty<bool>(x.shape());
    bool* out = marks.mutable_data();
    for (Index i = 0; i < x.numel(); ++i) out[i] = dense.data()[i] != T(0);
    return sum(marks, axes, keep...);
}
/// Whether some element is not 0; false for no elements.
template <Element T, int R, int... D, detail::KeepTag... Keep>
auto any(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    const auto found = count_nonzero(x, axes, keep...);
    auto y = empty<bool>(found.shape());
    bool* out = y.mutable_data();
    for (Index i = 0; i < y.numel(); ++i) out[i] = found.data()[i] != 0;
    return y;
}
/// Whether no element is 0; true for no elements.
template <Element T, int R, int... D, detail::KeepTag... Keep>
auto all(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    const auto found = count_nonzero(x, axes, keep...);
    const Index count = detail::reduced_count(x.shape(), detail::axes_mask<R>(axes));
    auto y = empty<bool>(found.shape());
    bool* out = y.mutable_data();
    for (Index i = 0; i < y.numel(); ++i) out[i] = found.data()[i] == count;
    return y;
}

/// Product over the axes (all by default); 1 for no elements. The gradient is right where elements are 0.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto prod(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    const detail::ReductionPlan<R> plan(x.shape(), detail::axes_mask<R>(axes));
    const auto dense = plan.arrange(x);
    auto y = empty<T>(detail::reduced_shape(x.shape(), axes, keep...));
    kernels::reduce<kernels::Product>(plan.geometry, dense.data(), static_cast<const T*>(nullptr), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("prod", y, [link = x.grad_link(), plan, x = autograd::saved(dense), y](const T* dy) {
            // With z zeros in a group: the product of the others is y / x (z = 0), wanted at the zero alone (z = 1),
            // or 0 everywhere. The others' product comes from replacing zeros by ones.
            const auto g = plan.geometry;
            auto others = empty<T>(y.shape()), zeros = empty<T>(y.shape());
            kernels::reduce<kernels::Product>(g, x.data(), static_cast<const T*>(nullptr), others.mutable_data(),
                                              [](auto v, auto) LAMINA_INLINE_LAMBDA {
                                                  using V = decltype(v);
                                                  return select(v == V(0), V(1), v);
                                              });
            kernels::reduce<kernels::Sum>(g, x.data(), static_cast<const T*>(nullptr), zeros.mutable_data(),
                                          [](auto v, auto) LAMINA_INLINE_LAMBDA {
                                              using V = decltype(v);
                                              return select(v == V(0), V(1), V(0));
                                          });
            T* share = others.mutable_data();
            for (Index i = 0; i < y.numel(); ++i) share[i] = zeros.data()[i] > T(1) ? T(0) : share[i] * dy[i];
            plan.spread(link, x.data(), zeros.data(), share, [](auto v, auto z, auto s) LAMINA_INLINE_LAMBDA {
                using V = decltype(v);
                return select(z == V(0), s / v, select(v == V(0), s, V(0)));
            });
        });
    return y;
}

/// log(sum(exp(x))) over the axes (all by default) without overflow; -inf for no elements or where all are -inf, and
/// then the gradient is 0.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto logsumexp(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    const detail::ReductionPlan<R> plan(x.shape(), detail::axes_mask<R>(axes));
    const auto dense = plan.arrange(x);
    auto y = empty<T>(detail::reduced_shape(x.shape(), axes, keep...));
    auto largest = empty<T>(y.shape());
    T *out = y.mutable_data(), *top = largest.mutable_data();
    kernels::reduce<kernels::Largest>(plan.geometry, dense.data(), static_cast<const T*>(nullptr), top);
    constexpr T infinity = std::numeric_limits<T>::infinity();
    for (Index i = 0; i < y.numel(); ++i)
        if (top[i] == infinity || top[i] == -infinity) top[i] = T(0);
    kernels::reduce<kernels::Sum>(plan.geometry, dense.data(), largest.data(), out,
                                  [](auto v, auto s) LAMINA_INLINE_LAMBDA { return exp(v - s); });
    simd::row<simd::native, T>(y.numel(), [&](Index i, auto count) {
        simd::store_count(out + i, log(simd::load_count(out + i, count)) + simd::load_count(top + i, count), count);
    });
    if (auto* tape = autograd::recording(x))
        tape->record("logsumexp", y, [link = x.grad_link(), plan, x = autograd::saved(dense), y = y.detach()](const T* dy) {
            plan.spread(link, x.data(), y.data(), dy, [](auto v, auto total, auto g) LAMINA_INLINE_LAMBDA {
                using V = decltype(v);
                return select(total == V(-infinity), V(0), g * exp(v - total));
            });
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
