#pragma once
// Arithmetic of tensors and numbers, by name and by operator, out of place and in place. Shapes broadcast; both tensors
// have one element type; integers wrap.
#include <lamina/kernels/lane_arithmetic.hpp>
#include <lamina/ops/unary.hpp>

namespace lamina::inline LAMINA_ABI {

/// A C++ number that combines with tensors of T: any for real T, an integer for integers.
template <class S, class T>
concept ScalarFor = std::is_arithmetic_v<S> && Number<T> &&(Real<T> || std::is_integral_v<S>);

/// How `div` rounds the quotient to an integer.
enum class Rounding { trunc, floor };

namespace detail {

/// The lane functor on real tensors, the element functor on integers.
template <class Lane, class Integer, class T, int A, int B>
auto arithmetic(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    if constexpr (Real<T>) return map(Lane{}, a, b);
    else return map_elements(Integer{}, a, b);
}
template <class Lane, class Integer, class T, int A, int B>
Tensor<T, A> arithmetic_(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    if constexpr (Real<T>) return map_(Lane{}, a, b);
    else return map_(Integer{}, a, b);
}

/// Integer division refuses zeros before it starts.
template <class T, int R>
void require_nonzero(const char* op, const Tensor<T, R>& divisor) {
    if constexpr (std::is_integral_v<T>)
        walk(divisor.shape(), divisor.strides(), divisor.strides(), [&](Index at, Index, Index n, Index step, Index) {
            for (Index i = 0; i < n; ++i)
                require<ValueError>(divisor.data()[at + i * step] != T(0), op,
                                    ": integer divisor must not be 0 (shape ", divisor.shape(), ")");
        });
}

/// Exact functions of two numbers, lane by lane.
template <class F>
struct ByLane {
    template <class V>
    LAMINA_INLINE V operator()(V a, V b) const {
        return simd::by_lane(F{}, a, b);
    }
};
/// A function of two lanes whose derivatives are 0.
struct FlatPair {
    static constexpr bool linear = true;
    template <class V>
    LAMINA_INLINE V operator()(V, V) const {
        return simd::lanes_of_t<V>(0);
    }
};

}  // namespace detail

/// a + b.
template <Number T, int A, int B>
auto add(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return detail::arithmetic<kernels::Add, kernels::IntegerAdd>(a, b);
}

/// a - b.
template <Number T, int A, int B>
auto sub(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return detail::arithmetic<kernels::Sub, kernels::IntegerSub>(a, b);
}

/// a * b.
template <Number T, int A, int B>
auto mul(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return detail::arithmetic<kernels::Mul, kernels::IntegerMul>(a, b);
}

/// a / b; integers give their quotient as float. Throws ValueError for an integer divisor 0.
template <Number T, int A, int B>
auto div(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    detail::require_nonzero("div", b);
    return detail::arithmetic<kernels::Div, kernels::IntegerTrueDivide>(a, b);
}

/// floor(a / b) of the exact quotient. Throws ValueError for an integer divisor 0.
template <Number T, int A, int B>
auto floor_divide(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    detail::require_nonzero("floor_divide", b);
    if constexpr (Real<T>)
        return detail::map_as<2>("floor_divide", detail::ByLane<kernels::RealFloorDivide>{}, detail::FlatPair{}, a, b);
    else return map_elements(kernels::IntegerFloorDivide{}, a, b);
}

/// a / b rounded to an integer, in the type of a; gradient 0. Throws ValueError for an integer divisor 0.
template <Number T, int A, int B>
auto div(const Tensor<T, A>& a, const Tensor<T, B>& b, Rounding rounding) {
    if (rounding == Rounding::floor) return floor_divide(a, b);
    detail::require_nonzero("div", b);
    if constexpr (Real<T>) return map([](auto x, auto y) LAMINA_INLINE_LAMBDA { return trunc(x / y); }, a, b);
    else return map_elements(kernels::IntegerTruncDivide{}, a, b);
}

/// The remainder of a / b that has the sign of a. Throws ValueError for an integer divisor 0.
template <Number T, int A, int B>
auto fmod(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    detail::require_nonzero("fmod", b);
    if constexpr (Real<T>)
        return detail::map_as<2>("fmod", detail::ByLane<kernels::RealFmod>{}, kernels::TruncatedRemainder{}, a, b);
    else return map_elements(kernels::IntegerFmod{}, a, b);
}

/// The remainder of a / b that has the sign of b. Throws ValueError for an integer divisor 0.
template <Number T, int A, int B>
auto remainder(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    detail::require_nonzero("remainder", b);
    if constexpr (Real<T>)
        return detail::map_as<2>("remainder", detail::ByLane<kernels::RealRemainder>{}, kernels::FlooredRemainder{}, a,
                                 b);
    else return map_elements(kernels::IntegerRemainder{}, a, b);
}

/// The larger; NaN if either is; a tie gives half the gradient to each.
template <Number T, int A, int B>
auto maximum(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return detail::arithmetic<kernels::Maximum, kernels::IntegerMaximum>(a, b);
}

/// The smaller; NaN if either is; a tie gives half the gradient to each.
template <Number T, int A, int B>
auto minimum(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return detail::arithmetic<kernels::Minimum, kernels::IntegerMinimum>(a, b);
}

/// The larger; NaN only if both are.
template <Real T, int A, int B>
auto fmax(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map(kernels::Fmax{}, a, b);
}

/// The smaller; NaN only if both are.
template <Real T, int A, int B>
auto fmin(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map(kernels::Fmin{}, a, b);
}

/// a^b. The gradient of a is 0 where b is 0, that of b is 0 where a is 0 and b is not negative.
template <Real T, int A, int B>
auto pow(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map(kernels::Pow{}, a, b);
}

/// Angle of the point (x, y), in [-pi, pi].
template <Real T, int A, int B>
auto atan2(const Tensor<T, A>& y, const Tensor<T, B>& x) {
    return map(kernels::Atan2{}, y, x);
}

/// sqrt(a² + b²) without overflow on the way.
template <Real T, int A, int B>
auto hypot(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    return map(kernels::Hypot{}, a, b);
}

/// a + weight (b - a).
template <Real T, int A, int B, int W>
auto lerp(const Tensor<T, A>& a, const Tensor<T, B>& b, const Tensor<T, W>& weight) {
    return map(kernels::Lerp{}, a, b, weight);
}
template <Real T, int A, int B>
auto lerp(const Tensor<T, A>& a, const Tensor<T, B>& b, std::type_identity_t<T> weight) {
    return map(kernels::LerpScalar<T>{weight}, a, b);
}

/// a + value * b * c.
template <Real T, int A, int B, int C>
auto addcmul(const Tensor<T, A>& a, const Tensor<T, B>& b, const Tensor<T, C>& c,
             std::type_identity_t<T> value = T(1)) {
    return map([value](auto x, auto y, auto z)
                   LAMINA_INLINE_LAMBDA { return x + simd::lanes_of_t<decltype(x)>(value) * y * z; },
               a, b, c);
}

/// a + value * b / c.
template <Real T, int A, int B, int C>
auto addcdiv(const Tensor<T, A>& a, const Tensor<T, B>& b, const Tensor<T, C>& c,
             std::type_identity_t<T> value = T(1)) {
    return map([value](auto x, auto y, auto z)
                   LAMINA_INLINE_LAMBDA { return x + simd::lanes_of_t<decltype(x)>(value) * y / z; },
               a, b, c);
}

// The same with a number on one side.
#define LAMINA_SCALAR_RIGHT(op, functor)                                 \
    template <Number T, int R, ScalarFor<T> S>                           \
    auto op(const Tensor<T, R>& a, S b) {                                \
        if constexpr (Real<T>) return map(kernels::functor<T>{T(b)}, a); \
        else return op(a, scalar(T(b)));                                 \
    }
#define LAMINA_SCALAR_LEFT(op, functor)                                  \
    template <Number T, int R, ScalarFor<T> S>                           \
    auto op(S a, const Tensor<T, R>& b) {                                \
        if constexpr (Real<T>) return map(kernels::functor<T>{T(a)}, b); \
        else return op(scalar(T(a)), b);                                 \
    }
#define LAMINA_SCALAR_AS_TENSOR(op)            \
    template <Number T, int R, ScalarFor<T> S> \
    auto op(const Tensor<T, R>& a, S b) {      \
        return op(a, scalar(T(b)));            \
    }
LAMINA_SCALAR_RIGHT(add, AddScalar)
LAMINA_SCALAR_RIGHT(mul, MulScalar)
LAMINA_SCALAR_RIGHT(div, DivScalar)
LAMINA_SCALAR_RIGHT(sub, SubScalar)
LAMINA_SCALAR_LEFT(add, AddScalar)
LAMINA_SCALAR_LEFT(mul, MulScalar)
LAMINA_SCALAR_LEFT(sub, SubFromScalar)
LAMINA_SCALAR_LEFT(div, DivScalarBy)
LAMINA_SCALAR_AS_TENSOR(floor_divide)
LAMINA_SCALAR_AS_TENSOR(fmod)
LAMINA_SCALAR_AS_TENSOR(remainder)
LAMINA_SCALAR_AS_TENSOR(maximum)
LAMINA_SCALAR_AS_TENSOR(minimum)
#undef LAMINA_SCALAR_RIGHT
#undef LAMINA_SCALAR_LEFT
#undef LAMINA_SCALAR_AS_TENSOR

/// x^exponent. Throws ValueError for a negative exponent of integers.
template <Number T, int R, ScalarFor<T> S>
Tensor<T, R> pow(const Tensor<T, R>& x, S exponent) {
    if constexpr (Real<T>) return map(kernels::PowScalar<T>{T(exponent)}, x);
    else {
        require<ValueError>(exponent >= 0, "pow: exponent of integers must not be negative but is ", exponent);
        return map_elements(kernels::IntegerPow<T>{T(exponent)}, x);
    }
}

/// base^x.
template <Real T, int R>
Tensor<T, R> pow(std::type_identity_t<T> base, const Tensor<T, R>& x) {
    return map(kernels::PowOfScalar<T>{base}, x);
}

// In place: the left operand is changed and returned; integers wrap.
#define LAMINA_IN_PLACE(op, Lane, Integer)                                            \
    template <Number T, int A, int B>                                                 \
    Tensor<T, A> op(const Tensor<T, A>& a, const Tensor<T, B>& b) {                   \
        return detail::arithmetic_<kernels::Lane, kernels::Integer>(a, b);            \
    }                                                                                 \
    template <Number T, int R, ScalarFor<T> S>                                        \
    Tensor<T, R> op(const Tensor<T, R>& a, S b) {                                     \
        return detail::arithmetic_<kernels::Lane, kernels::Integer>(a, scalar(T(b))); \
    }

/// a += b and the like. Throw GradError while a tape would have to record them, ShapeError when b does not broadcast to
/// the shape of a, ValueError when elements of a share memory.
LAMINA_IN_PLACE(add_, Add, IntegerAdd)
LAMINA_IN_PLACE(sub_, Sub, IntegerSub)
LAMINA_IN_PLACE(mul_, Mul, IntegerMul)
#undef LAMINA_IN_PLACE
/// a = a / b; integers towards zero. Throws as the others, and ValueError for an integer divisor 0.
template <Number T, int A, int B>
Tensor<T, A> div_(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    detail::require_nonzero("div_", b);
    return detail::arithmetic_<kernels::Div, kernels::IntegerTruncDivide>(a, b);
}
template <Number T, int R, ScalarFor<T> S>
Tensor<T, R> div_(const Tensor<T, R>& a, S b) {
    return div_(a, scalar(T(b)));
}

#define LAMINA_OPERATOR(sign, op)                                             \
    template <Number T, int A, int B>                                         \
    auto operator sign(const Tensor<T, A>& a, const Tensor<T, B>& b) {        \
        return op(a, b);                                                      \
    }                                                                         \
    template <Number T, int R, ScalarFor<T> S>                                \
    auto operator sign(const Tensor<T, R>& a, S b) {                          \
        return op(a, b);                                                      \
    }                                                                         \
    template <Number T, int R, ScalarFor<T> S>                                \
    auto operator sign(S a, const Tensor<T, R>& b) {                          \
        return op(a, b);                                                      \
    }                                                                         \
    template <Number T, int R, class B>                                       \
        requires requires(const Tensor<T, R>& a, const B& b) { op##_(a, b); } \
    Tensor<T, R>& operator sign##=(Tensor<T, R>& a, const B& b) {             \
        op##_(a, b);                                                          \
        return a;                                                             \
    }
LAMINA_OPERATOR(+, add)
LAMINA_OPERATOR(-, sub)
LAMINA_OPERATOR(*, mul)
LAMINA_OPERATOR(/, div)
#undef LAMINA_OPERATOR

}  // namespace lamina::inline LAMINA_ABI
