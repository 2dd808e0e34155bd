#pragma once
// Norms over any axes: (sum |x|^p)^(1/p), the largest |x| for p = infinity, the number of non-zeros for p = 0; and
// normalize, which divides by them.
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/reduction_plan.hpp>
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

inline constexpr double infinite_norm = std::numeric_limits<double>::infinity();

template <class T>
void norm_into(const kernels::ReduceGeometry& g, const T* x, T* y, double p) {
    const T* none = nullptr;
    if (p == 2) kernels::reduce<kernels::Sum>(g, x, none, y, kernels::maps::Square{});
    else if (p == 1) kernels::reduce<kernels::Sum>(g, x, none, y, kernels::maps::Magnitude{});
    else if (p == 0) kernels::reduce<kernels::Sum>(g, x, none, y, kernels::maps::NotZero{});
    else if (p == infinite_norm) kernels::reduce<kernels::Largest>(g, x, none, y, kernels::maps::Magnitude{});
    else kernels::reduce<kernels::Sum>(g, x, none, y, kernels::maps::Power{p});
    for (Index i = 0; i < g.outputs(); ++i) {
        if (p == 2) y[i] = T(__builtin_sqrt(y[i]));
        else if (p == infinite_norm) y[i] = y[i] < 0 ? T(0) : y[i];
        else if (p != 0 && p != 1) y[i] = T(__builtin_pow(double(y[i]), 1 / p));
    }
}

template <class T>
struct NormBackward {
    GradLink link;
    ReductionPlan plan;
    autograd::Saved<T, 1> x, y;
    double p;
    void operator()(const T* dy) const {
        const auto& g = plan.geometry;
        auto share = empty<T>(Shape{g.outputs()});
        T* part = share.mutable_data();
        const T *in = x.data(), *total = y.data();
        if (p == infinite_norm) kernels::reduce<kernels::Sum>(g, in, total, part, kernels::maps::IsMagnitude{});
        for (Index i = 0; i < g.outputs(); ++i) {
            if (p == 0) part[i] = 0;
            else if (p == 1) part[i] = dy[i];
            else if (p == infinite_norm) part[i] = dy[i] / part[i];  // ties share evenly, as in amax
            else
                part[i] =
                    total[i] == 0 ? T(0) : T(dy[i] * (p == 2 ? 1 / total[i] : __builtin_pow(double(total[i]), 1 - p)));
        }
        if (p == 0) plan.spread(link, in, total, part, kernels::shares::Same{});
        else if (p == 1) plan.spread(link, in, total, part, kernels::shares::TimesSign{});
        else if (p == 2) plan.spread(link, in, total, part, kernels::shares::TimesElement{});
        else if (p == infinite_norm) plan.spread(link, in, total, part, kernels::shares::SignToMagnitude{});
        else plan.spread(link, in, total, part, kernels::shares::OfPower{p});
    }
};

template <Real T, int R, int K>
Tensor<T, K> norm(const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape, double p) {
    require<ValueError>(p >= 0, "norm: p must not be negative but is ", p);
    const ReductionPlan plan(x.shape(), mask);
    const auto dense = plan.arrange(x, mask);
    auto y = empty<T>(shape);
    norm_into(plan.geometry, dense.data(), y.mutable_data(), p);
    if (auto* tape = autograd::recording(x))
        tape->record("norm", y, NormBackward<T>{x.grad_link(), plan, saved_flat(dense), saved_flat(y), p});
    return y;
}

}  // namespace detail

/// The p-norm over the axes (all by default). At 0 the gradient is 0. Throws ValueError for a negative p.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto norm(const Tensor<T, R>& x, Axes<D...> axes, double p, Keep... keep) {
    return detail::norm(x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...), p);
}
/// The Euclidean norm over the axes (all by default).
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto norm(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return norm(x, axes, 2.0, keep...);
}

/// x / max(norm, eps), the norm taken along `dim`. Throws ValueError for a dimension out of range or a negative p.
template <Real T, int R>
Tensor<T, R> normalize(const Tensor<T, R>& x, double p = 2, Index dim = 1, double eps = 1e-12) {
    const unsigned mask = 1u << normalize_dim("normalize", dim, R);
    return x / maximum(detail::norm(x, mask, detail::ones_at_axes(x.shape(), mask), p), T(eps));
}

}  // namespace lamina::inline LAMINA_ABI
