#pragma once
// What a CenterNet is to answer for the objects of images: marks on heat maps, and sizes and offsets at their centres.
#include <lamina/core/size2.hpp>
#include <lamina/core/view.hpp>
#include <lamina/vision/average_precision.hpp>
#include <lamina/vision/matching_gaussian.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Targets of N images with at most K objects each.
struct CenterNetTargets {
    Tensor<float, 4> heat;           ///< [N, classes, H, W]; exactly 1 at centres
    Tensor<std::int64_t, 2> places;  ///< [N, K]: y * W + x of the centre's cell
    Tensor<float, 2> mask;           ///< [N, K]: 1 where there is an object
    Tensor<float, 3> size;           ///< [N, K, 2]: width and height in cells
    Tensor<float, 3> offset;         ///< [N, K, 2]: centre less its cell
};

/// Options of centernet_targets.
struct CenterNetTargetOptions {
    Index classes;
    Size2 map;                      ///< of the heat map, in cells
    double stride = 4;              ///< pixels to a cell
    Index most = 128;               ///< objects of an image; further ones are left out
    double overlap = 0.7;           ///< IoU that boxes around marked cells keep
    bool corrected_radius = false;  ///< the formula of vision::gaussian_radius without its published slip
};

/// Targets for the objects of each image, their boxes being in pixels. Boxes are held to the map; empty ones are left
/// out. Throws ValueError for a class that does not exist.
inline CenterNetTargets centernet_targets(std::span<const vision::Objects<float>> images,
                                          const CenterNetTargetOptions& o) {
    const Index n = Index(images.size()), k = o.most;
    CenterNetTargets t{zeros<float>(Shape{n, o.classes, o.map.h, o.map.w}), zeros<std::int64_t>(Shape{n, k}),
                       zeros<float>(Shape{n, k}), zeros<float>(Shape{n, k, 2}), zeros<float>(Shape{n, k, 2})};
    const auto cells = [&](float pixels, Index side) {
        const float c = pixels / float(o.stride), last = float(side - 1);
        return c < 0 ? 0 : c < last ? c : last;
    };
    for (Index i = 0; i < n; ++i) {
        const auto& objects = images[std::size_t(i)];
        vision::detail::require_columns("centernet_targets", "boxes", objects.boxes, 4);
        const Index count = objects.boxes.dim(0) < k ? objects.boxes.dim(0) : k;
        require(objects.classes.dim(0) == objects.boxes.dim(0),
                "centernet_targets: there must be one class for each box (", objects.classes.shape(), " and ",
                objects.boxes.shape(), ")");
        for (Index j = 0; j < count; ++j) {
            const Index label = objects.classes(j);
            require<ValueError>(label >= 0 && label < o.classes, "centernet_targets: class must lie in [0, ", o.classes,
                                ") but is ", label);
            const float x1 = cells(objects.boxes(j, 0), o.map.w), y1 = cells(objects.boxes(j, 1), o.map.h);
            const float x2 = cells(objects.boxes(j, 2), o.map.w), y2 = cells(objects.boxes(j, 3), o.map.h);
            const float w = x2 - x1, h = y2 - y1, cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
            if (!(w > 0 && h > 0)) continue;
            const Index x = Index(cx), y = Index(cy);
            const double radius = vision::gaussian_radius(std::ceil(h), std::ceil(w), o.overlap, o.corrected_radius);
            auto map = view::select(view::select(t.heat, 0, i), 0, label);
            vision::draw_gaussian(map, y, x, radius > 0 ? Index(radius) : 0);
            t.places.mutable_at(i, j) = y * o.map.w + x;
            t.mask.mutable_at(i, j) = 1;
            t.size.mutable_at(i, j, 0) = w, t.size.mutable_at(i, j, 1) = h;
            t.offset.mutable_at(i, j, 0) = cx - float(x), t.offset.mutable_at(i, j, 1) = cy - float(y);
        }
    }
    return t;
}

}  // namespace lamina::inline LAMINA_ABI::models
