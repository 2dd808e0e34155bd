#pragma once
// Sums and what is made of them: sum, mean, prod, logsumexp, counts over any axes. `sum(x)` reduces all dimensions,
// `sum(x, axes<1, -1>)` those named, `sum(x, axes<1>, keepdim)` leaves an extent of 1 in their place.
#include <lamina/ops/reduction_plan.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <class T>
struct SumBackward {
    GradLink link;
    ReductionPlan plan;
    double divisor;
    void operator()(const T* dy) const {
        const T* none = nullptr;
        if (divisor == 1) plan.spread(link, none, none, dy, kernels::shares::Same{});
        else plan.spread(link, none, none, dy, kernels::shares::Divided{divisor});
    }
};

template <Real T, int R, int K>
Tensor<T, K> sum(const char* op, const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape, Index divisor) {
    const ReductionPlan plan(x.shape(), mask);
    auto y = empty<T>(shape);
    T* out = y.mutable_data();
    kernels::reduce<kernels::Sum>(plan.geometry, plan.arrange(x, mask).data(), static_cast<const T*>(nullptr), out);
    if (divisor != 1)
        for (Index i = 0; i < y.numel(); ++i) out[i] /= T(divisor);
    if (auto* tape = autograd::recording(x)) tape->record(op, y, SumBackward<T>{x.grad_link(), plan, double(divisor)});
    return y;
}

/// Sums of integers, or of marks where an element is not 0.
template <class T>
void sum_integers(const kernels::ReduceGeometry& g, const T* x, std::int64_t* y, bool marks) {
    parallel::for_range(g.outer, parallel::grain_for(g.count * g.inner), [&](Index begin, Index end) {
        for (Index row = begin * g.count; row < end * g.count; ++row)
            for (Index i = 0; i < g.inner; ++i) {
                const T v = x[row * g.inner + i];
                y[row / g.count * g.inner + i] += marks ? v != T(0) : std::int64_t(v);
            }
    });
}
template <class T, int R, int K>
Tensor<std::int64_t, K> sum_integers(const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape, bool marks) {
    const ReductionPlan plan(x.shape(), mask);
    auto y = zeros<std::int64_t>(shape);
    sum_integers(plan.geometry, plan.arrange(x, mask).data(), y.mutable_data(), marks);
    return y;
}

}  // namespace detail

/// Sum over the axes (all by default); 0 for no elements. Errors grow with the logarithm of the count.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto sum(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::sum("sum", x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...), 1);
}
/// Sum of integers or truth values, as int64.
template <Element T, int R, int... D, detail::KeepTag... Keep>
    requires(std::is_integral_v<T>)
auto sum(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::sum_integers(x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...), false);
}

/// Mean over the axes (all by default); NaN for no elements.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto mean(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    constexpr unsigned mask = detail::axes_mask<R>(Axes<D...>{});
    return detail::sum("mean", x, mask, detail::reduced_shape(x.shape(), axes, keep...),
                       detail::reduced_count(x.shape(), mask));
}

/// Number of elements that are not 0, as int64.
template <Element T, int R, int... D, detail::KeepTag... Keep>
auto count_nonzero(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::sum_integers(x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...), true);
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

namespace detail {

template <class T>
struct ProdBackward {
    GradLink link;
    ReductionPlan plan;
    autograd::Saved<T, 1> x;
    void operator()(const T* dy) const {
        // With z zeros in a group: the product of the others is y / x (z = 0), wanted at the zero alone (z = 1), or 0
        // everywhere. The others' product comes from replacing zeros by ones.
        const auto& g = plan.geometry;
        auto others = empty<T>(Shape{g.outputs()}), zeros = empty<T>(Shape{g.outputs()});
        T *share = others.mutable_data(), *count = zeros.mutable_data();
        kernels::reduce<kernels::Product>(g, x.data(), static_cast<const T*>(nullptr), share,
                                          kernels::maps::OneForZero{});
        kernels::reduce<kernels::Sum>(g, x.data(), static_cast<const T*>(nullptr), count, kernels::maps::IsZero{});
        for (Index i = 0; i < g.outputs(); ++i) share[i] = count[i] > T(1) ? T(0) : share[i] * dy[i];
        plan.spread(link, x.data(), count, share, kernels::shares::OfProduct{});
    }
};

template <Real T, int R, int K>
Tensor<T, K> prod(const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape) {
    const ReductionPlan plan(x.shape(), mask);
    const auto dense = plan.arrange(x, mask);
    auto y = empty<T>(shape);
    kernels::reduce<kernels::Product>(plan.geometry, dense.data(), static_cast<const T*>(nullptr), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("prod", y, ProdBackward<T>{x.grad_link(), plan, saved_flat(dense)});
    return y;
}

template <class T>
struct LogSumExpBackward {
    GradLink link;
    ReductionPlan plan;
    autograd::Saved<T, 1> x, y;
    void operator()(const T* dy) const { plan.spread(link, x.data(), y.data(), dy, kernels::shares::Softmax{}); }
};

template <Real T, int R, int K>
Tensor<T, K> logsumexp(const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape) {
    const ReductionPlan plan(x.shape(), mask);
    const auto dense = plan.arrange(x, mask);
    auto y = empty<T>(shape), largest = empty<T>(shape);
    T *out = y.mutable_data(), *top = largest.mutable_data();
    kernels::reduce<kernels::Largest>(plan.geometry, dense.data(), static_cast<const T*>(nullptr), top);
    for (Index i = 0; i < y.numel(); ++i)
        if (top[i] - top[i] != T(0)) top[i] = T(0);  // infinities and NaN: exp(x) alone says the right thing
    kernels::reduce<kernels::Sum>(plan.geometry, dense.data(), top, out, kernels::maps::ExpDistance{});
    simd::for_each_vec(
        y.numel(), [](auto s, auto m) LAMINA_INLINE_LAMBDA { return log(s) + m; }, out, out, top);
    if (auto* tape = autograd::recording(x))
        tape->record("logsumexp", y, LogSumExpBackward<T>{x.grad_link(), plan, saved_flat(dense), saved_flat(y)});
    return y;
}

}  // namespace detail

/// Product over the axes (all by default); 1 for no elements. The gradient is right where elements are 0.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto prod(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::prod(x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...));
}

/// log(sum(exp(x))) over the axes (all by default) without overflow; -inf for no elements or where all are -inf, and
/// then the gradient is 0.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto logsumexp(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return detail::logsumexp(x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...));
}

}  // namespace lamina::inline LAMINA_ABI
