#pragma once
// Losses on differences of real numbers.
#include <lamina/kernels/loss.hpp>
#include <lamina/losses/reduction.hpp>

namespace lamina::inline LAMINA_ABI::losses {

/// (x - y)². Throws ShapeError unless input and target have one shape, as all losses here.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto mse(const Tensor<T, R>& input, const Tensor<T, R>& target) {
    detail::require_same_shape("mse", input.shape(), target.shape());
    return detail::reduced<reduction, 2>(kernels::SquaredError{}, input, target);
}

/// |x - y|.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto l1(const Tensor<T, R>& input, const Tensor<T, R>& target) {
    detail::require_same_shape("l1", input.shape(), target.shape());
    return detail::reduced<reduction, 2>(kernels::AbsoluteError{}, input, target);
}

/// With d = |x - y|: d² / (2 beta) below beta, d - beta / 2 from there on; beta 0 is l1. Throws ValueError for a
/// negative beta.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto smooth_l1(const Tensor<T, R>& input, const Tensor<T, R>& target, std::type_identity_t<T> beta = T(1)) {
    detail::require_same_shape("smooth_l1", input.shape(), target.shape());
    require<ValueError>(beta >= T(0), "smooth_l1: beta must not be negative but is ", beta);
    return detail::reduced<reduction, 2>(kernels::SmoothAbsoluteError<T>{beta}, input, target);
}

/// With d = |x - y|: d² / 2 up to delta, delta (d - delta / 2) above. Throws ValueError unless delta is positive.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto huber(const Tensor<T, R>& input, const Tensor<T, R>& target, std::type_identity_t<T> delta = T(1)) {
    detail::require_same_shape("huber", input.shape(), target.shape());
    require<ValueError>(delta > T(0), "huber: delta must be positive but is ", delta);
    return detail::reduced<reduction, 2>(kernels::HuberError<T>{delta}, input, target);
}

}  // namespace lamina::inline LAMINA_ABI::losses
