#pragma once
// Photographs brought to a CenterNet's input and its boxes back to the photograph, by the affine map of the official
// code: coordinates are those of pixel centres, the image's middle comes to the input's.
#include <lamina/core/size2.hpp>
#include <lamina/ops/flip.hpp>
#include <lamina/ops/grid_sample.hpp>
#include <lamina/vision/letterbox.hpp>
#include <lamina/vision/nms.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// (x, y) to (a x + b y + c, d x + e y + f).
struct AffineMap {
    double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;

    struct Point {
        double x, y;
    };
    Point operator()(double x, double y) const { return {a * x + b * y + c, d * x + e * y + f}; }
    /// The way back. Throws ValueError where there is none.
    AffineMap inverse() const {
        const double area = a * e - b * d;
        require<ValueError>(area != 0, "AffineMap: inverse needs a map that keeps areas from 0");
        AffineMap m{e / area, -b / area, 0, -d / area, a / area, 0};
        m.c = -(m.a * c + m.b * f), m.f = -(m.d * c + m.e * f);
        return m;
    }
    /// Boxes [N, 4] (x1, y1, x2, y2), both corners mapped. Throws ShapeError.
    Tensor<float, 2> boxes(const Tensor<float, 2>& from) const {
        vision::detail::require_columns("AffineMap", "boxes", from, 4);
        auto to = empty<float>(from.shape());
        for (Index i = 0; i < from.dim(0); ++i)
            for (Index corner = 0; corner < 4; corner += 2) {
                const Point p = (*this)(double(from(i, corner)), double(from(i, corner + 1)));
                to.mutable_at(i, corner) = float(p.x), to.mutable_at(i, corner + 1) = float(p.y);
            }
        return to;
    }
};

/// The map that brings the point (x, y) to the middle of an image of size `to`, a side of `extent` pixels to its width,
/// and what lies `degrees` clockwise upright (get_affine_transform of the official code). Throws ValueError unless the
/// extent is positive.
inline AffineMap centernet_affine(double x, double y, double extent, Size2 to, double degrees = 0) {
    require<ValueError>(extent > 0, "centernet_affine: extent must be positive but is ", extent);
    const double scale = double(to.w) / extent, angle = degrees * 3.141592653589793 / 180;
    const double cos = scale * std::cos(angle), sin = scale * std::sin(angle);
    return {cos, sin, double(to.w) * 0.5 - (cos * x + sin * y), -sin, cos, double(to.h) * 0.5 - (cos * y - sin * x)};
}

/// `x` [N, C, H, W] seen through `map`: [N, C, size.h, size.w], bilinear, 0 outside.
inline Tensor<float, 4> warp_affine(const Tensor<float, 4>& x, const AffineMap& map, Size2 size) {
    const AffineMap back = map.inverse();
    const Index images = x.dim(0), height = x.dim(2), width = x.dim(3);
    auto grid = empty<float>(Shape{images, size.h, size.w, 2});
    float* to = grid.mutable_data();
    for (Index n = 0; n < images; ++n)
        for (Index v = 0; v < size.h; ++v)
            for (Index u = 0; u < size.w; ++u) {
                const auto p = back(double(u), double(v));
                *to++ = float((2 * p.x + 1) / double(width) - 1);
                *to++ = float((2 * p.y + 1) / double(height) - 1);
            }
    return grid_sample(x, grid);
}

/// Options of centernet_input; the defaults are the official code's for COCO.
struct CenterNetInputOptions {
    Size2 size = 512;  ///< of the input; 0 keeps the image's, margins to the next size that ends on 32 added
    bool bgr = true;   ///< the first channel is blue
    double mean[3] = {0.408, 0.447, 0.470}, std[3] = {0.289, 0.274, 0.278};  ///< by channel of the input
};

/// What a network sees of a photograph, and how it got there.
struct CenterNetInput {
    Tensor<float, 4> image;  ///< [1, 3, h, w]
    AffineMap map;           ///< from the photograph to the input

    /// Detections in the input, in the photograph.
    vision::Detections<float> restore(vision::Detections<float> found) const {
        found.boxes = map.inverse().boxes(found.boxes);
        return found;
    }
};

/// The photograph [1, 3, H, W], RGB in [0, 1], as a CenterNet takes it: of a fixed size it shows the square around the
/// photograph whole. Throws ShapeError unless there are three channels.
inline CenterNetInput centernet_input(const Tensor<float, 4>& photo, const CenterNetInputOptions& o = {}) {
    const Index height = photo.dim(2), width = photo.dim(3);
    require(photo.dim(1) == 3, "centernet_input: photo must have shape [1, 3, H, W] but has ", photo.shape());
    const bool keep = o.size == Size2();
    const Size2 size = keep ? Size2{(height | 31) + 1, (width | 31) + 1} : o.size;
    const double larger = double(height > width ? height : width);
    const AffineMap map = keep ? centernet_affine(double(width / 2), double(height / 2), double(size.w), size)
                               : centernet_affine(double(width) / 2, double(height) / 2, larger, size);
    const auto seen = warp_affine(o.bgr ? flip(photo, {1}) : photo, map, size);
    return {vision::normalize_channels(seen, o.mean, o.std), map};
}

}  // namespace lamina::inline LAMINA_ABI::models
