#pragma once
// What becomes of the terms of a loss: kept, summed or averaged, in one pass and without storing them.
#include <lamina/ops/map.hpp>

namespace lamina::inline LAMINA_ABI::losses {

/// `none` keeps the terms, `mean` and `sum` give a tensor of rank 0; `batch_mean` divides the sum by the first extent.
/// The mean of nothing is NaN.
enum class Reduction { none, mean, sum, batch_mean };

namespace detail {

/// Backward of a sum of terms: the gradient row with one upstream number.
template <class T, class F, int Operands, int Active>
struct SumBackward {
    F f;
    lamina::detail::MapBackwardPlan<T, Operands, Active> plan;
    T scale;
    void operator()(const T* dy) const {
        const T upstream = *dy * scale;
        plan.run(&upstream, true, &f, kernels::map_gradient_row<simd::native, T, F, Operands, Active>);
    }
};

/// scale * sum of f(x…) over the broadcast of x, differentiated in the first Active of them.
template <int Active, class F, class T, int... R>
Tensor<T, 0> scaled_sum(const char* op, const F& f, T scale, const Tensor<T, R>&... x) {
    constexpr int operands = int(sizeof...(R));
    const auto shape = lamina::detail::broadcast_all(op, x.shape()...);
    const lamina::detail::AnyShape any(shape);
    T total = 0;
    if (shape.numel() > 0) {
        kernels::PointwisePlan plan;
        plan.set_shape(any.extent, any.rank);
        (lamina::detail::add_input(plan, x.data(), sizeof(T), lamina::detail::AnyShape(x.shape(), x.strides())), ...);
        plan.add_output(&total, Index(sizeof(T)), nullptr, nullptr, 0);
        plan.collapse();
        // Without dimensions there is one element, and its sum is the element.
        const auto row = kernels::map_row<simd::native, T, F, operands>;
        if (plan.rank == 0) kernels::pointwise_run(plan, &f, row);
        else kernels::pointwise_reduce<simd::native, T>(plan, &f, row, operands);
    }
    Tensor<T, 0> y(total * scale);
    if (auto* tape = autograd::recording(x...)) {
        SumBackward<T, F, operands, Active> backward{f, {any, {lamina::detail::SavedOperand(x, true)...}}, scale};
        tape->record(op, y, std::move(backward));
    }
    return y;
}

/// The terms f(x, others…) of a loss whose input is x, reduced.
template <Reduction reduction, int Active, class F, class T, int R, int... N>
auto reduced(const F& f, const Tensor<T, R>& x, const Tensor<T, N>&... others) {
    constexpr const char* op = F::name;
    if constexpr (reduction == Reduction::none) return lamina::detail::map_as<Active>(op, f, f, x, others...);
    else {
        Index count = 1;
        if constexpr (reduction == Reduction::mean) count = x.numel();
        if constexpr (reduction == Reduction::batch_mean && R > 0) count = x.shape()[0];
        return scaled_sum<Active>(op, f, T(1) / T(count), x, others...);
    }
}

template <int A, int B>
void require_same_shape(const char* op, const Shape<A>& x, const Shape<B>& target) {
    bool same = false;
    if constexpr (A == B) same = x == target;
    require(same, op, ": input and target must have one shape (", x, " and ", target, ")");
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::losses
