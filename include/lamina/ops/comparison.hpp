#pragma once
// Comparisons, logic, selection and casts: ops whose operands or results are not lanes of one real type.
#include <lamina/ops/arithmetic.hpp>

namespace lamina::inline LAMINA_ABI {

/// a == b, over the broadcast of both; a comparison with NaN is false.
template <Element T, int A, int B>
auto eq(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::Equal{}, a, b);
}
template <Element T, int R, ScalarFor<T> S>
Tensor<bool, R> eq(const Tensor<T, R>& a, S b) {
    return map_elements(kernels::Equal{}, a, scalar(T(b)));
}

/// a != b, over the broadcast of both; a comparison with NaN is true.
template <Element T, int A, int B>
auto ne(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::NotEqual{}, a, b);
}
template <Element T, int R, ScalarFor<T> S>
Tensor<bool, R> ne(const Tensor<T, R>& a, S b) {
    return map_elements(kernels::NotEqual{}, a, scalar(T(b)));
}

/// a < b, over the broadcast of both; a comparison with NaN is false.
template <Element T, int A, int B>
auto lt(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::Less{}, a, b);
}
template <Element T, int R, ScalarFor<T> S>
Tensor<bool, R> lt(const Tensor<T, R>& a, S b) {
    return map_elements(kernels::Less{}, a, scalar(T(b)));
}

/// a <= b, over the broadcast of both; a comparison with NaN is false.
template <Element T, int A, int B>
auto le(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::LessEqual{}, a, b);
}
template <Element T, int R, ScalarFor<T> S>
Tensor<bool, R> le(const Tensor<T, R>& a, S b) {
    return map_elements(kernels::LessEqual{}, a, scalar(T(b)));
}

/// a > b, over the broadcast of both; a comparison with NaN is false.
template <Element T, int A, int B>
auto gt(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::Greater{}, a, b);
}
template <Element T, int R, ScalarFor<T> S>
Tensor<bool, R> gt(const Tensor<T, R>& a, S b) {
    return map_elements(kernels::Greater{}, a, scalar(T(b)));
}

/// a >= b, over the broadcast of both; a comparison with NaN is false.
template <Element T, int A, int B>
auto ge(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::GreaterEqual{}, a, b);
}
template <Element T, int R, ScalarFor<T> S>
Tensor<bool, R> ge(const Tensor<T, R>& a, S b) {
    return map_elements(kernels::GreaterEqual{}, a, scalar(T(b)));
}

/// Whether both are not 0.
template <Element T, int A, int B>
auto logical_and(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::LogicalAnd{}, a, b);
}

/// Whether at least one is not 0.
template <Element T, int A, int B>
auto logical_or(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::LogicalOr{}, a, b);
}

/// Whether exactly one is not 0.
template <Element T, int A, int B>
auto logical_xor(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map_elements(kernels::LogicalXor{}, a, b);
}

/// a & b.
template <Element T, int A, int B>
    requires(std::is_integral_v<T>)
auto bitwise_and(const Tensor<T, A>& a, const Tensor<T, B>& b) { return map_elements(kernels::BitwiseAnd{}, a, b); }

/// a | b.
template <Element T, int A, int B>
    requires(std::is_integral_v<T>)
auto bitwise_or(const Tensor<T, A>& a, const Tensor<T, B>& b) { return map_elements(kernels::BitwiseOr{}, a, b); }

/// a ^ b.
template <Element T, int A, int B>
    requires(std::is_integral_v<T>)
auto bitwise_xor(const Tensor<T, A>& a, const Tensor<T, B>& b) { return map_elements(kernels::BitwiseXor{}, a, b); }

/// Whether x is 0.
template <Element T, int R>
Tensor<bool, R> logical_not(const Tensor<T, R>& x) {
    return map_elements(kernels::LogicalNot{}, x);
}

/// ~x; the negation of bool.
template <Element T, int R>
    requires(std::is_integral_v<T>)
Tensor<T, R> bitwise_not(const Tensor<T, R>& x) { return map_elements(kernels::BitwiseNot{}, x); }

#define LAMINA_COMPARISON(sign, op)                                    \
    template <Element T, int A, int B>                                 \
    auto operator sign(const Tensor<T, A>& a, const Tensor<T, B>& b) { \
        return op(a, b);                                               \
    }                                                                  \
    template <Number T, int R, ScalarFor<T> S>                         \
    auto operator sign(const Tensor<T, R>& a, S b) {                   \
        return op(a, b);                                               \
    }
LAMINA_COMPARISON(<, lt)
LAMINA_COMPARISON(<=, le)
LAMINA_COMPARISON(>, gt)
LAMINA_COMPARISON(>=, ge)
#undef LAMINA_COMPARISON

template <int A, int B>
auto operator&(const Tensor<bool, A>& a, const Tensor<bool, B>& b) {
    return logical_and(a, b);
}
template <int A, int B>
auto operator|(const Tensor<bool, A>& a, const Tensor<bool, B>& b) {
    return logical_or(a, b);
}
template <int R>
Tensor<bool, R> operator!(const Tensor<bool, R>& x) {
    return logical_not(x);
}

/// condition ? a : b, over the broadcast of all three; the gradient goes to the one selected. Throws ShapeError.
template <Element T, int C, int A, int B>
auto where(const Tensor<bool, C>& condition, const Tensor<T, A>& a, const Tensor<T, B>& b) {
    auto y = empty<T>(detail::broadcast_all("where", condition.shape(), a.shape(), b.shape()));
    detail::run_pointwise(nullptr, kernels::select_row<T>, y, condition, a, b);
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(a, b))
            tape->record("where", y,
                         [condition = detail::SavedOperand(condition, true), a = detail::SavedOperand(a, false),
                          b = detail::SavedOperand(b, false), shape = detail::AnyShape(y.shape())](const T* dy) {
                             kernels::PointwisePlan plan;
                             plan.set_shape(shape.extent, shape.rank);
                             detail::add_input(plan, condition.data(), 1, condition.shape);
                             detail::add_input(plan, dy, sizeof(T), shape);
                             for (const auto* x : {&a, &b}) {
                                 const auto target = autograd::grad_target<T>(x->link);
                                 detail::add_output(plan, target.data, sizeof(T), x->shape.dense(), target.accumulate);
                             }
                             plan.collapse();
                             kernels::pointwise_gradient<simd::native, T>(plan, nullptr,
                                                                          kernels::select_gradient_row<T>);
                         });
    }
    return y;
}
template <Number T, int C, int A, ScalarFor<T> S>
auto where(const Tensor<bool, C>& condition, const Tensor<T, A>& a, S b) {
    return where(condition, a, scalar(T(b)));
}
template <Number T, int C, int B, ScalarFor<T> S>
auto where(const Tensor<bool, C>& condition, S a, const Tensor<T, B>& b) {
    return where(condition, scalar(T(a)), b);
}

/// x in another element type: real to integer goes towards zero and saturates, with 0 for NaN. The gradient passes
/// between float and double.
template <Element To, Element From, int R>
Tensor<To, R> to(const Tensor<From, R>& x) {
    if constexpr (std::is_same_v<To, From>) return x;
    else {
        const kernels::Cast<To> cast;
        auto y = empty<To>(x.shape());
        detail::run_pointwise(&cast, kernels::element_row<To, kernels::Cast<To>, From>, y, x);
        if constexpr (Real<To> && Real<From>) {
            if (auto* tape = autograd::recording(x))
                tape->record("to", y, [link = x.grad_link(), n = x.numel()](const To* dy) {
                    if (From* dx = autograd::grad_ptr<From>(link))
                        for (Index i = 0; i < n; ++i) dx[i] += From(dy[i]);
                });
        }
        return y;
    }
}

}  // namespace lamina::inline LAMINA_ABI
