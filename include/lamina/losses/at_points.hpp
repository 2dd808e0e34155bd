#pragma once
// Regression at the centres of objects, as detectors of objects as points are trained (X. Zhou et al., Objects as
// Points, 2019).
#include <lamina/losses/regression.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/vision/points.hpp>

namespace lamina::inline LAMINA_ABI::losses {

namespace detail {

/// Terms of the present objects, and how many there are of these.
template <class T>
struct PresentTerms {
    Tensor<T, 3> input, target;
    T objects;
};
template <class T>
PresentTerms<T> present_terms(const char* op, const Tensor<T, 4>& x, const Tensor<std::int64_t, 2>& places,
                              const Tensor<T, 2>& mask, const Tensor<T, 3>& target) {
    const Shape<3> shape{places.dim(0), places.dim(1), x.dim(1)};
    require(mask.shape() == places.shape() && target.shape() == shape, op, ": mask must be ", places.shape(),
            " and target ", shape, " but they are ", mask.shape(), " and ", target.shape());
    T objects(0);
    for (Index i = 0; i < mask.dim(0); ++i)
        for (Index k = 0; k < mask.dim(1); ++k) objects += mask(i, k);
    const auto factor = reshape(mask.detach(), Shape{mask.dim(0), mask.dim(1), 1});
    return {vision::values_at(x, places) * factor, target.detach() * factor, objects};
}

}  // namespace detail

/// |x - target| at `places` [N, K] (y W + x) of x [N, C, H, W], where `mask` [N, K] is 1: the sum over targets
/// [N, K, C] divided by (objects * C + 1e-4). Throws ShapeError, and ValueError for a place outside the map.
template <Real T>
Tensor<T, 0> l1_at_points(const Tensor<T, 4>& x, const Tensor<std::int64_t, 2>& places, const Tensor<T, 2>& mask,
                          const Tensor<T, 3>& target) {
    const auto terms = detail::present_terms("l1_at_points", x, places, mask, target);
    return l1<Reduction::sum>(terms.input, terms.target) * (T(1) / (terms.objects * T(x.dim(1)) + T(1e-4)));
}

/// The same with smooth_l1 (beta 1), divided by (objects + 1e-4).
template <Real T>
Tensor<T, 0> smooth_l1_at_points(const Tensor<T, 4>& x, const Tensor<std::int64_t, 2>& places, const Tensor<T, 2>& mask,
                                 const Tensor<T, 3>& target) {
    const auto terms = detail::present_terms("smooth_l1_at_points", x, places, mask, target);
    return smooth_l1<Reduction::sum>(terms.input, terms.target) * (T(1) / (terms.objects + T(1e-4)));
}

}  // namespace lamina::inline LAMINA_ABI::losses
