#pragma once
// The loss of a CenterNet: penalty-reduced focal loss on the heat map, and sizes and offsets at the centres of objects.
#include <lamina/losses/at_points.hpp>
#include <lamina/losses/focal.hpp>
#include <lamina/losses/iou.hpp>
#include <lamina/models/centernet_heads.hpp>
#include <lamina/models/centernet_targets.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/vision/boxes.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// What sizes are held to: the distance of width and height, or an overlap of the whole box.
enum class CenterNetSizeLoss { l1, iou, giou, diou, ciou };

/// Options of centernet_loss. Parts are divided by the number of objects before they are weighed.
struct CenterNetLossOptions {
    double heat = 1, offset = 1;
    double size = 0.1;   ///< of CenterNetSizeLoss::l1
    double overlap = 1;  ///< of the others
    CenterNetSizeLoss size_loss = CenterNetSizeLoss::l1;
};

/// The loss and its parts, before weights.
struct CenterNetLoss {
    Tensor<float, 0> total, heat, size, offset;
};

namespace detail {

/// Sides as they count for overlaps: themselves from one cell on, and positive, with a slope, below.
struct PositiveSide {
    static constexpr const char* name = "positive_side";
    LAMINA_INLINE auto operator()(auto x) const {
        using C = simd::lanes_of_t<decltype(x)>;
        return select(x > C(1), x, exp(x - C(1)));
    }
};

/// Sum over objects of a loss on the overlap of boxes around predicted centres, by (objects + 1e-4).
inline Tensor<float, 0> overlap_at_points(const CenterNetOutput& y, const CenterNetTargets& t, CenterNetSizeLoss kind) {
    const Index images = t.places.dim(0), k = t.places.dim(1), width = y.size.dim(3);
    const Shape<2> rows{images * k, 2};
    auto cells = empty<float>(rows);
    float objects = 0;
    for (Index i = 0; i < images * k; ++i) {
        const Index place = t.places(i / k, i % k);
        cells.mutable_at(i, 0) = float(place % width), cells.mutable_at(i, 1) = float(place / width);
        objects += t.mask(i / k, i % k);
    }
    const auto boxes = [&](const Tensor<float, 2>& offset, const Tensor<float, 2>& size) {
        using vision::BoxFormat;
        return vision::convert_boxes<BoxFormat::cxcywh, BoxFormat::xyxy>(cat({cells + offset, size}, 1));
    };
    const auto found = boxes(reshape(vision::values_at(y.offset, t.places), rows),
                             map(PositiveSide{}, reshape(vision::values_at(y.size, t.places), rows)));
    const auto truth = boxes(reshape(t.offset, rows), reshape(t.size, rows));
    const auto present = reshape(t.mask, Shape{images * k});
    constexpr auto sum = losses::Reduction::sum;
    const auto loss = [&] {
        switch (kind) {
            case CenterNetSizeLoss::giou: return losses::giou<sum>(found, truth, {.weight = present});
            case CenterNetSizeLoss::diou: return losses::diou<sum>(found, truth, {.weight = present});
            case CenterNetSizeLoss::ciou: return losses::ciou<sum>(found, truth, {.weight = present});
            default: return losses::iou<sum>(found, truth, {.weight = present});
        }
    }();
    return loss * (1 / (objects + 1e-4F));
}

}  // namespace detail

/// heat * focal + size * L1 (or overlap * a loss of the IoU family) + offset * L1. With an overlap, gradients reach the
/// offset through it too, and sides below one cell count as exp(side - 1), so that no box is empty. Throws ShapeError.
inline CenterNetLoss centernet_loss(const CenterNetOutput& y, const CenterNetTargets& t,
                                    const CenterNetLossOptions& o = {}) {
    CenterNetLoss loss;
    loss.heat = losses::gaussian_focal(y.heat, t.heat);
    loss.offset = losses::l1_at_points(y.offset, t.places, t.mask, t.offset);
    const bool l1 = o.size_loss == CenterNetSizeLoss::l1;
    loss.size =
        l1 ? losses::l1_at_points(y.size, t.places, t.mask, t.size) : detail::overlap_at_points(y, t, o.size_loss);
    loss.total = loss.heat * float(o.heat) + loss.size * float(l1 ? o.size : o.overlap) + loss.offset * float(o.offset);
    return loss;
}

}  // namespace lamina::inline LAMINA_ABI::models
