#pragma once
// Where detectors look: anchor boxes and points on the cells of a feature map.
#include <lamina/core/create.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::vision {

/// The anchors of one cell, and where they sit.
struct AnchorOptions {
    double offset = 0;        ///< of the first centre, in strides: 0 or 0.5
    bool rounded = false;     ///< half sides rounded to integers, halves to even
    bool size_major = false;  ///< order within a cell: sizes outside and ratios inside, else the other way round
};

/// Anchors (x1, y1, x2, y2) of a map of height x width cells, `stride_y` and `stride_x` pixels apart:
/// [height * width * ratios * sizes, 4], cells row by row. An anchor of size s and ratio r = h / w has the sides
/// w = s / sqrt(r) and h = s sqrt(r). Throws ValueError unless sizes and ratios are positive.
template <Real T>
Tensor<T, 2> anchors(std::span<const double> sizes, std::span<const double> ratios, Index height, Index width,
                     double stride_y, double stride_x, const AnchorOptions& o = {}) {
    for (const double size : sizes) require<ValueError>(size > 0, "anchors: sizes must be positive but one is ", size);
    for (const double r : ratios) require<ValueError>(r > 0, "anchors: ratios must be positive but one is ", r);
    const Index per_cell = Index(sizes.size() * ratios.size());
    auto out = empty<T>(Shape{height * width * per_cell, 4});
    T* to = out.mutable_data();
    for (Index y = 0; y < height; ++y)
        for (Index x = 0; x < width; ++x)
            for (Index k = 0; k < per_cell; ++k, to += 4) {
                const auto s = std::size_t(o.size_major ? k / Index(ratios.size()) : k % Index(sizes.size()));
                const auto r = std::size_t(o.size_major ? k % Index(ratios.size()) : k / Index(sizes.size()));
                const double tall = std::sqrt(ratios[r]);
                double half_w = sizes[s] / tall / 2, half_h = sizes[s] * tall / 2;
                if (o.rounded) half_w = std::nearbyint(half_w), half_h = std::nearbyint(half_h);
                const double cx = (double(x) + o.offset) * stride_x, cy = (double(y) + o.offset) * stride_y;
                to[0] = T(cx - half_w), to[1] = T(cy - half_h), to[2] = T(cx + half_w), to[3] = T(cy + half_h);
            }
    return out;
}

/// Points (x, y) of the cells of a height x width map, row by row [height * width, 2]: ((x + offset) stride, …).
template <Real T>
Tensor<T, 2> point_grid(Index height, Index width, double stride, double offset = 0) {
    auto out = empty<T>(Shape{height * width, 2});
    T* to = out.mutable_data();
    for (Index y = 0; y < height; ++y)
        for (Index x = 0; x < width; ++x) {
            *to++ = T((double(x) + offset) * stride);
            *to++ = T((double(y) + offset) * stride);
        }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
