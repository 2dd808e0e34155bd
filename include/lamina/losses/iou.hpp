#pragma once
// Losses on the overlap of predicted and true boxes, fused: boxes are read once, no intermediate is stored.
//   degenerate boxes (a side of at most 0) overlap nothing: IoU 0, without gradient; eps stands in every denominator
//   a tie of two edges gives half its gradient to each box; touching boxes have no IoU gradient
#include <lamina/kernels/box_metrics.hpp>
#include <lamina/losses/reduction.hpp>
#include <lamina/vision/boxes_columns.hpp>

namespace lamina::inline LAMINA_ABI::losses {

/// What may be chosen about a loss on boxes.
template <class T>
struct BoxLossOptions {
    OptionalTensor<T, 1> weight = {};  ///< factor of each pair [N]; the mean still divides by N
    double eps = 1e-7;                 ///< added to every denominator
};
/// The same for CIoU.
template <class T>
struct CompleteBoxLossOptions {
    OptionalTensor<T, 1> weight = {};  ///< factor of each pair [N]; the mean still divides by N
    double eps = 1e-7;                 ///< added to every denominator
    double alpha_threshold = -1;       ///< no aspect term where IoU is not above this (later practice: 0.5)
    bool stable = false;               ///< 1 / (w² + h²) left out of the aspect's gradient, for normalised boxes
};

namespace detail {

template <Reduction reduction, class T, class F>
auto box_loss(const char* op, const F& f, const Tensor<T, 2>& boxes, const Tensor<T, 2>& targets,
              const OptionalTensor<T, 1>& weight) {
    vision::detail::require_columns(op, "boxes", boxes, 4);
    vision::detail::require_columns(op, "targets", targets, 4);
    vision::detail::require_rows(op, boxes, targets);
    const Index n = boxes.shape()[0];
    Tensor<T, 1> w;
    if (weight) {
        w = *weight;
        require(w.shape()[0] == n, op, ": weight must have one number for each pair (", w.shape(), " and ",
                boxes.shape(), ")");
    }
    if constexpr (reduction == Reduction::none) {
        return vision::detail::column_map<4, 4, 1, 1>(op, f, boxes, targets, w);
    } else {
        const T scale = reduction == Reduction::sum ? T(1) : T(1) / T(n);
        return vision::detail::column_sum<4, 4>(op, f, scale, boxes, targets, w);
    }
}

}  // namespace detail

/// 1 - IoU of boxes [N, 4] and targets [N, 4], both (x1, y1, x2, y2). No gradient where they are disjoint. Throws
/// ShapeError, as all losses here.
template <Reduction reduction = Reduction::mean, Real T>
auto iou(const Tensor<T, 2>& boxes, const Tensor<T, 2>& targets,
         const std::type_identity_t<BoxLossOptions<T>>& o = {}) {
    using Metric = kernels::BoxMetricOf<kernels::BoxMetric::iou, T>;
    return detail::box_loss<reduction>(
        "iou", kernels::BoxLossOf<kernels::BoxMetric::iou, T>{Metric({.eps = o.eps, .overlap_eps = o.eps})}, boxes,
        targets, o.weight);
}

/// -log(max(IoU, 1e-6)): J. Yu et al., UnitBox, 2016.
template <Reduction reduction = Reduction::mean, Real T>
auto log_iou(const Tensor<T, 2>& boxes, const Tensor<T, 2>& targets,
             const std::type_identity_t<BoxLossOptions<T>>& o = {}) {
    using Metric = kernels::BoxMetricOf<kernels::BoxMetric::iou, T>;
    const kernels::BoxLossOf<kernels::BoxMetric::iou, T, true> f{Metric({.eps = o.eps, .overlap_eps = o.eps})};
    return detail::box_loss<reduction>("log_iou", f, boxes, targets, o.weight);
}

/// 1 - IoU + (C - U) / C with the enclosing box C: H. Rezatofighi et al., CVPR 2019. Boxes must not be inverted.
template <Reduction reduction = Reduction::mean, Real T>
auto giou(const Tensor<T, 2>& boxes, const Tensor<T, 2>& targets,
          const std::type_identity_t<BoxLossOptions<T>>& o = {}) {
    using Metric = kernels::BoxMetricOf<kernels::BoxMetric::giou, T>;
    return detail::box_loss<reduction>(
        "giou", kernels::BoxLossOf<kernels::BoxMetric::giou, T>{Metric({.eps = o.eps, .overlap_eps = o.eps})}, boxes,
        targets, o.weight);
}

/// 1 - IoU + squared distance of the centres by squared diagonal of the enclosing box: Z. Zheng et al., AAAI 2020.
template <Reduction reduction = Reduction::mean, Real T>
auto diou(const Tensor<T, 2>& boxes, const Tensor<T, 2>& targets,
          const std::type_identity_t<BoxLossOptions<T>>& o = {}) {
    using Metric = kernels::BoxMetricOf<kernels::BoxMetric::diou, T>;
    return detail::box_loss<reduction>(
        "diou", kernels::BoxLossOf<kernels::BoxMetric::diou, T>{Metric({.eps = o.eps, .overlap_eps = o.eps})}, boxes,
        targets, o.weight);
}

/// DIoU loss + alpha v, v = 4 / pi² (atan(W / H) - atan(w / h))², alpha = v / (1 - IoU + v) without gradient: as DIoU.
/// A box without sides has no aspect: v = 0.
template <Reduction reduction = Reduction::mean, Real T>
auto ciou(const Tensor<T, 2>& boxes, const Tensor<T, 2>& targets,
          const std::type_identity_t<CompleteBoxLossOptions<T>>& o = {}) {
    using Metric = kernels::BoxMetricOf<kernels::BoxMetric::ciou, T>;
    const Metric metric(
        {.eps = o.eps, .overlap_eps = o.eps, .ciou_alpha_threshold = o.alpha_threshold, .ciou_stable = o.stable});
    return detail::box_loss<reduction>("ciou", kernels::BoxLossOf<kernels::BoxMetric::ciou, T>{metric}, boxes, targets,
                                       o.weight);
}

/// DIoU loss + (w - W)² / cw² + (h - H)² / ch² with the sides of the enclosing box: Y.-F. Zhang et al., 2021.
template <Reduction reduction = Reduction::mean, Real T>
auto eiou(const Tensor<T, 2>& boxes, const Tensor<T, 2>& targets,
          const std::type_identity_t<BoxLossOptions<T>>& o = {}) {
    using Metric = kernels::BoxMetricOf<kernels::BoxMetric::eiou, T>;
    return detail::box_loss<reduction>(
        "eiou", kernels::BoxLossOf<kernels::BoxMetric::eiou, T>{Metric({.eps = o.eps, .overlap_eps = o.eps})}, boxes,
        targets, o.weight);
}

}  // namespace lamina::inline LAMINA_ABI::losses
