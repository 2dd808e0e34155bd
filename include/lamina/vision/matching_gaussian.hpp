#pragma once
// Targets of centre-point detectors: how far a centre may be off, and its mark on a heat map.
#include <lamina/core/create.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::vision {

/// How far the corners of a box of this height and width may move for its IoU with the box to stay at `overlap`, in the
/// three cases of CornerNet (H. Law, J. Deng, ECCV 2018). Published code solves the quadratics without dividing by the
/// leading coefficient; `corrected` divides.
inline double gaussian_radius(double height, double width, double overlap = 0.7, bool corrected = false) {
    const double sum = height + width, area = height * width;
    const double a[] = {1, 4, 4 * overlap}, b[] = {sum, 2 * sum, -2 * overlap * sum};
    const double c[] = {area * (1 - overlap) / (1 + overlap), (1 - overlap) * area, (overlap - 1) * area};
    double least = 0;
    for (int k = 0; k < 3; ++k) {
        const double root = std::sqrt(b[k] * b[k] - 4 * a[k] * c[k]);
        // Divided rightly, the first two have their useful solution at the smaller root.
        const double r = !corrected ? (b[k] + root) / 2 : ((k < 2 ? b[k] - root : b[k] + root) / (2 * a[k]));
        least = k == 0 || r < least ? r : least;
    }
    return least;
}

/// Raises `heat` [H, W] to peak * exp(-(dx² + dy²) / (2 s²)), s = (2 radius + 1) / 6, in the square of this radius
/// around cell (y, x); what lies outside the map is cut off. The centre becomes `peak` itself. Throws ValueError for a
/// negative radius.
template <Real T>
void draw_gaussian(Tensor<T, 2>& heat, Index y, Index x, Index radius, double peak = 1) {
    require<ValueError>(radius >= 0, "draw_gaussian: radius must not be negative but is ", radius);
    const Index height = heat.shape()[0], width = heat.shape()[1];
    const double sigma = double(2 * radius + 1) / 6, scale = 1 / (2 * sigma * sigma);
    T* const map = heat.mutable_data();
    const Index row = heat.strides()[0], column = heat.strides()[1];
    for (Index v = y - radius < 0 ? 0 : y - radius; v <= y + radius && v < height; ++v)
        for (Index u = x - radius < 0 ? 0 : x - radius; u <= x + radius && u < width; ++u) {
            const double dx = double(u - x), dy = double(v - y), g = std::exp(-(dx * dx + dy * dy) * scale);
            if (g < 2.220446049250313e-16) continue;
            T& cell = map[v * row + u * column];
            const T value = T(g * peak);
            if (value > cell) cell = value;
        }
}

/// Raises `heat` [H, W] to exp(-(dx² + dy²) / (2 sigma²)) in the square of three sigmas around the cell nearest to the
/// point (x, y); what lies outside the map is cut off: the marks of B. Xiao et al., Simple Baselines for Human Pose
/// Estimation, 2018. Throws ValueError unless sigma is positive.
template <Real T>
void draw_gaussian_at(Tensor<T, 2>& heat, double y, double x, double sigma) {
    require<ValueError>(sigma > 0, "draw_gaussian_at: sigma must be positive but is ", sigma);
    const Index height = heat.shape()[0], width = heat.shape()[1], radius = Index(3 * sigma);
    const Index v0 = Index(std::floor(y + 0.5)), u0 = Index(std::floor(x + 0.5));
    T* const map = heat.mutable_data();
    for (Index v = v0 - radius < 0 ? 0 : v0 - radius; v <= v0 + radius && v < height; ++v)
        for (Index u = u0 - radius < 0 ? 0 : u0 - radius; u <= u0 + radius && u < width; ++u) {
            const double dx = double(u - u0), dy = double(v - v0);
            T& cell = map[v * heat.strides()[0] + u * heat.strides()[1]];
            const T value = T(std::exp(-(dx * dx + dy * dy) / (2 * sigma * sigma)));
            if (value > cell) cell = value;
        }
}

}  // namespace lamina::inline LAMINA_ABI::vision
