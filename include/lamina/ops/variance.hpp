#pragma once
// Variance and standard deviation over any axes, in two passes: the mean, then the squares around it.
#include <lamina/ops/reduction_plan.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <class T>
struct VarianceBackward {
    GradLink link;
    ReductionPlan plan;
    autograd::Saved<T, 1> x, y, mean;
    T divisor;
    bool root;
    void operator()(const T* dy) const {
        auto share = empty<T>(Shape{plan.geometry.outputs()});
        T* part = share.mutable_data();
        for (Index i = 0; i < share.numel(); ++i) {
            const T slope = root ? dy[i] / y.data()[i] : 2 * dy[i];
            part[i] = root && y.data()[i] == 0 ? T(0) : slope / divisor;
        }
        plan.spread(link, x.data(), mean.data(), share.data(), kernels::shares::TimesDistance{});
    }
};

/// Variance, or its square root, with divisor count - correction.
template <Real T, int R, int K>
Tensor<T, K> variance(const char* op, const Tensor<T, R>& x, unsigned mask, const Shape<K>& shape, Index correction,
                      bool root) {
    const ReductionPlan plan(x.shape(), mask);
    const Index count = reduced_count(x.shape(), mask);
    const T divisor = T(count > correction ? count - correction : 0);  // 0 / 0: NaN where nothing is free
    const auto dense = plan.arrange(x, mask);
    auto y = empty<T>(shape), mean = empty<T>(shape);
    T *out = y.mutable_data(), *middle = mean.mutable_data();
    kernels::reduce<kernels::Sum>(plan.geometry, dense.data(), static_cast<const T*>(nullptr), middle);
    for (Index i = 0; i < y.numel(); ++i) middle[i] /= T(count);
    kernels::reduce<kernels::Sum>(plan.geometry, dense.data(), middle, out, kernels::maps::SquaredDistance{});
    for (Index i = 0; i < y.numel(); ++i) out[i] = root ? T(__builtin_sqrt(out[i] / divisor)) : out[i] / divisor;
    if (auto* tape = autograd::recording(x))
        tape->record(op, y,
                     VarianceBackward<T>{x.grad_link(), plan, saved_flat(dense), saved_flat(y), saved_flat(mean),
                                         divisor, root});
    return y;
}

}  // namespace detail

/// Variance over the axes with divisor count - `correction`: 1 (Bessel's) unless given, 0 for the biased variance. NaN
/// where the divisor would not be positive.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto var(const Tensor<T, R>& x, Axes<D...> axes, Index correction, Keep... keep) {
    return detail::variance("var", x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...),
                            correction, false);
}
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto var(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return var(x, axes, 1, keep...);
}
/// Standard deviation: the root of `var`; PyTorch's `std`. Its gradient is 0 where it is 0.
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto stddev(const Tensor<T, R>& x, Axes<D...> axes, Index correction, Keep... keep) {
    return detail::variance("stddev", x, detail::axes_mask<R>(axes), detail::reduced_shape(x.shape(), axes, keep...),
                            correction, true);
}
template <Real T, int R, int... D, detail::KeepTag... Keep>
auto stddev(const Tensor<T, R>& x, Axes<D...> axes = {}, Keep... keep) {
    return stddev(x, axes, 1, keep...);
}

}  // namespace lamina::inline LAMINA_ABI
