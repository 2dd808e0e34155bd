#pragma once
// How much boxes overlap: pair by pair [N] and every box with every other [N, M], with gradients.
#include <lamina/kernels/box_pairwise.hpp>
#include <lamina/vision/boxes_columns.hpp>

namespace lamina::inline LAMINA_ABI::vision {

using kernels::BoxMetric;

namespace detail {

/// Plain overlaps divide by what is there; terms of the enclosing box keep the eps of their papers.
template <BoxMetric metric, class T>
kernels::BoxMetricOf<metric, T> exact_metric() {
    const bool plain = metric == BoxMetric::iou || metric == BoxMetric::giou || metric == BoxMetric::iof;
    return kernels::BoxMetricOf<metric, T>({.eps = plain ? 0 : 1e-7, .overlap_eps = 0});
}

}  // namespace detail

/// `metric` of boxes a[i] and b[i], both [N, 4] (x1, y1, x2, y2): [N]. Boxes without extent overlap nothing: 0, not
/// NaN. `iof` divides the intersection by the area of `a`. Throws ShapeError.
template <BoxMetric metric = BoxMetric::iou, Real T>
Tensor<T, 1> elementwise_iou(const Tensor<T, 2>& a, const Tensor<T, 2>& b) {
    detail::require_columns("elementwise_iou", "a", a, 4);
    detail::require_columns("elementwise_iou", "b", b, 4);
    detail::require_rows("elementwise_iou", a, b);
    return detail::column_map<4, 4, 1, 1>("elementwise_iou", detail::exact_metric<metric, T>(), a, b);
}

/// `metric` of each box of a [N, 4] with each of b [M, 4] (x1, y1, x2, y2): [N, M]. Throws ShapeError.
template <BoxMetric metric = BoxMetric::iou, Real T>
Tensor<T, 2> pairwise_iou(const Tensor<T, 2>& a, const Tensor<T, 2>& b) {
    detail::require_columns("pairwise_iou", "a", a, 4);
    detail::require_columns("pairwise_iou", "b", b, 4);
    const Tensor<T, 2> x = detail::dense(a), z = detail::dense(b);
    const Index n = a.shape()[0], m = b.shape()[0];
    const auto f = detail::exact_metric<metric, T>();
    auto y = empty<T>(Shape{n, m});
    kernels::box_pairwise_forward(f, n, x.data(), m, z.data(), y.mutable_data());
    if (auto* tape = autograd::recording(a, b)) {
        tape->record("pairwise_iou", y,
                     [f, n, m, x = autograd::saved(x), z = autograd::saved(z), link_a = a.grad_link(),
                      link_b = b.grad_link()](const T* dy) {
                         if (const auto t = autograd::grad_target<T>(link_a))
                             kernels::box_pairwise_gradient_a(f, n, x.data(), m, z.data(), dy, t.data, t.accumulate);
                         if (const auto t = autograd::grad_target<T>(link_b))
                             kernels::box_pairwise_gradient_b(f, n, x.data(), m, z.data(), dy, t.data, t.accumulate);
                     });
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::vision
