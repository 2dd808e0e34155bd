#pragma once
// Elementary functions of one tensor, each a lane functor under `map`: fused, differentiable, of any strides.
#include <lamina/kernels/elementwise.hpp>
#include <lamina/kernels/lane_arithmetic.hpp>
#include <lamina/kernels/lane_math.hpp>
#include <lamina/ops/map.hpp>

namespace lamina::inline LAMINA_ABI {

/// A type with wrapping integer or real arithmetic.
template <class T>
concept Number = Real<T> ||(Element<T>&& std::is_integral_v<T> && !std::is_same_v<T, bool>);

/// e^x.
template <Real T, int R>
Tensor<T, R> exp(const Tensor<T, R>& x) {
    return map(kernels::Exp{}, x);
}

/// 2^x.
template <Real T, int R>
Tensor<T, R> exp2(const Tensor<T, R>& x) {
    return map(kernels::Exp2{}, x);
}

/// e^x - 1, exact near 0.
template <Real T, int R>
Tensor<T, R> expm1(const Tensor<T, R>& x) {
    return map(kernels::Expm1{}, x);
}

/// Natural logarithm.
template <Real T, int R>
Tensor<T, R> log(const Tensor<T, R>& x) {
    return map(kernels::Log{}, x);
}

/// Logarithm to base 2.
template <Real T, int R>
Tensor<T, R> log2(const Tensor<T, R>& x) {
    return map(kernels::Log2{}, x);
}

/// log(1 + x), exact near 0.
template <Real T, int R>
Tensor<T, R> log1p(const Tensor<T, R>& x) {
    return map(kernels::Log1p{}, x);
}

/// Square root; its gradient at 0 is infinite.
template <Real T, int R>
Tensor<T, R> sqrt(const Tensor<T, R>& x) {
    return map(kernels::Sqrt{}, x);
}

/// 1 / sqrt(x).
template <Real T, int R>
Tensor<T, R> rsqrt(const Tensor<T, R>& x) {
    return map(kernels::Rsqrt{}, x);
}

/// x².
template <Real T, int R>
Tensor<T, R> square(const Tensor<T, R>& x) {
    return map(kernels::Square{}, x);
}

/// 1 / x.
template <Real T, int R>
Tensor<T, R> reciprocal(const Tensor<T, R>& x) {
    return map(kernels::Reciprocal{}, x);
}

/// Sine.
template <Real T, int R>
Tensor<T, R> sin(const Tensor<T, R>& x) {
    return map(kernels::Sin{}, x);
}

/// Cosine.
template <Real T, int R>
Tensor<T, R> cos(const Tensor<T, R>& x) {
    return map(kernels::Cos{}, x);
}

/// Tangent.
template <Real T, int R>
Tensor<T, R> tan(const Tensor<T, R>& x) {
    return map(kernels::Tan{}, x);
}

/// Hyperbolic sine.
template <Real T, int R>
Tensor<T, R> sinh(const Tensor<T, R>& x) {
    return map(kernels::Sinh{}, x);
}

/// Hyperbolic cosine.
template <Real T, int R>
Tensor<T, R> cosh(const Tensor<T, R>& x) {
    return map(kernels::Cosh{}, x);
}

/// Arc sine.
template <Real T, int R>
Tensor<T, R> asin(const Tensor<T, R>& x) {
    return map(kernels::Asin{}, x);
}

/// Arc cosine.
template <Real T, int R>
Tensor<T, R> acos(const Tensor<T, R>& x) {
    return map(kernels::Acos{}, x);
}

/// Arc tangent.
template <Real T, int R>
Tensor<T, R> atan(const Tensor<T, R>& x) {
    return map(kernels::Atan{}, x);
}

/// Error function.
template <Real T, int R>
Tensor<T, R> erf(const Tensor<T, R>& x) {
    return map(kernels::Erf{}, x);
}

/// 1 - erf(x), exact for large x.
template <Real T, int R>
Tensor<T, R> erfc(const Tensor<T, R>& x) {
    return map(kernels::Erfc{}, x);
}

/// Largest integer not above x; gradient 0.
template <Real T, int R>
Tensor<T, R> floor(const Tensor<T, R>& x) {
    return map(kernels::Floor{}, x);
}

/// Smallest integer not below x; gradient 0.
template <Real T, int R>
Tensor<T, R> ceil(const Tensor<T, R>& x) {
    return map(kernels::Ceil{}, x);
}

/// Nearest integer, halves to even; gradient 0.
template <Real T, int R>
Tensor<T, R> round(const Tensor<T, R>& x) {
    return map(kernels::Round{}, x);
}

/// Integer towards zero; gradient 0.
template <Real T, int R>
Tensor<T, R> trunc(const Tensor<T, R>& x) {
    return map(kernels::Trunc{}, x);
}

/// -x; integers wrap.
template <Number T, int R>
Tensor<T, R> neg(const Tensor<T, R>& x) {
    if constexpr (Real<T>) return map(kernels::Neg{}, x);
    else return map_elements(kernels::IntegerNeg{}, x);
}

/// |x|; gradient 0 at 0.
template <Number T, int R>
Tensor<T, R> abs(const Tensor<T, R>& x) {
    if constexpr (Real<T>) return map(kernels::Abs{}, x);
    else return map_elements(kernels::IntegerAbs{}, x);
}

/// -1, 0 or 1; gradient 0.
template <Number T, int R>
Tensor<T, R> sign(const Tensor<T, R>& x) {
    if constexpr (Real<T>) return map(kernels::Sign{}, x);
    else return map_elements(kernels::IntegerSign{}, x);
}
template <Number T, int R>
Tensor<T, R> operator-(const Tensor<T, R>& x) {
    return neg(x);
}

/// x held to [low, high]; NaN stays, `high` wins over `low`, the gradient passes where low <= x <= high.
template <Real T, int R>
Tensor<T, R> clamp(const Tensor<T, R>& x, std::type_identity_t<T> low, std::type_identity_t<T> high) {
    return map(kernels::Clamp<T>{low, high}, x);
}

/// max(x, low).
template <Real T, int R>
Tensor<T, R> clamp_min(const Tensor<T, R>& x, std::type_identity_t<T> low) {
    return clamp(x, low, std::numeric_limits<T>::infinity());
}

/// min(x, high).
template <Real T, int R>
Tensor<T, R> clamp_max(const Tensor<T, R>& x, std::type_identity_t<T> high) {
    return clamp(x, -std::numeric_limits<T>::infinity(), high);
}

/// Whether x is NaN.
template <Real T, int R>
Tensor<bool, R> isnan(const Tensor<T, R>& x) {
    return map_elements(kernels::IsNan{}, x);
}

/// Whether x is an infinity.
template <Real T, int R>
Tensor<bool, R> isinf(const Tensor<T, R>& x) {
    return map_elements(kernels::IsInf{}, x);
}

/// Whether x is a number and not an infinity.
template <Real T, int R>
Tensor<bool, R> isfinite(const Tensor<T, R>& x) {
    return map_elements(kernels::IsFinite{}, x);
}

}  // namespace lamina::inline LAMINA_ABI
