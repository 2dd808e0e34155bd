#pragma once
// Which pixels a point of a sampling grid touches, how much each weighs, and how that changes as the point moves: per
// axis, since all modes are products of the axes.
#include <lamina/kernels/resample/axis.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

enum class GridSampleMode { bilinear, nearest, bicubic };
/// What lies outside: zeros, the nearest edge, or the image mirrored at its edges.
enum class GridSamplePadding { zeros, border, reflection };

/// Sampling of `images` x `channels` dense planes [in_h, in_w] at the points of a grid [images, out_h, out_w, 2].
struct GridSampleGeometry {
    Index images, channels, in_h, in_w, out_h, out_w;
    GridSampleMode mode;
    GridSamplePadding padding;
    bool align_corners;

    Index points() const { return out_h * out_w; }
    /// Pixels of each point along an axis.
    int axis_taps() const { return mode == GridSampleMode::nearest ? 1 : mode == GridSampleMode::bilinear ? 2 : 4; }
};

namespace detail {

/// A place along an axis in pixels and its derivative by the grid's coordinate.
template <class T>
struct GridPlace {
    T at, slope;
};

/// Mirrors `at` between low / 2 and high / 2 as often as it takes.
template <class T>
GridPlace<T> reflected(GridPlace<T> p, Index low, Index high) {
    if (low == high) return {T(0), T(0)};
    const T least = T(low) / 2, span = T(high - low) / 2;
    T in = p.at - least;
    if (in < 0) in = -in, p.slope = -p.slope;
    const T extra = std::fmod(in, span), flips = std::floor(in / span);
    if (std::fmod(flips, T(2)) == 0) return {extra + least, p.slope};
    return {span - extra + least, -p.slope};
}

template <class T>
GridPlace<T> padded_place(const GridSampleGeometry& g, GridPlace<T> p, Index size) {
    if (g.padding == GridSamplePadding::reflection)
        p = g.align_corners ? reflected(p, 0, 2 * (size - 1)) : reflected(p, -1, 2 * size - 1);
    if (g.padding != GridSamplePadding::zeros) {
        if (!(p.at > 0)) p = {T(0), T(0)};
        else if (p.at >= T(size - 1)) p = {T(size - 1), T(0)};
    }
    const bool reachable = p.at > T(-0x1p30) && p.at < T(0x1p30);  // false for NaN
    return reachable ? p : GridPlace<T>{T(-100), T(0)};
}

/// The pixels of a point along one axis, -1 for those outside, with weights and their slopes by the coordinate.
template <class T>
struct GridAxisTaps {
    Index at[4];
    T weight[4], slope[4];
};

/// Derivative of cubic_weight by the distance t >= 0.
constexpr double cubic_slope(double t, double a) {
    return t <= 1 ? (3 * (a + 2) * t - 2 * (a + 3)) * t : t < 2 ? (3 * a * t - 10 * a) * t + 8 * a : 0;
}

template <class T>
GridAxisTaps<T> grid_axis_taps(const GridSampleGeometry& g, T coordinate, Index size) {
    GridAxisTaps<T> taps{};
    const auto inside = [&](Index i) { return i >= 0 && i < size ? i : -1; };
    GridPlace<T> p = g.align_corners ? GridPlace<T>{(coordinate + 1) / 2 * T(size - 1), T(size - 1) / 2}
                                     : GridPlace<T>{((coordinate + 1) * T(size) - 1) / 2, T(size) / 2};
    if (g.mode == GridSampleMode::bicubic) {  // the pixels are padded, not the point
        GridSampleGeometry unpadded = g;
        unpadded.padding = GridSamplePadding::zeros;
        p = padded_place(unpadded, p, size);
        const T whole = std::floor(p.at);
        for (int k = 0; k < 4; ++k) {
            const double t = double(p.at - whole) + 1 - k, distance = t < 0 ? -t : t;
            taps.at[k] = inside(Index(padded_place(g, GridPlace<T>{whole - 1 + T(k), T(0)}, size).at));
            taps.weight[k] = T(cubic_weight(distance, -0.75));
            taps.slope[k] = p.slope * T(t < 0 ? -cubic_slope(distance, -0.75) : cubic_slope(distance, -0.75));
        }
        return taps;
    }
    p = padded_place(g, p, size);
    if (g.mode == GridSampleMode::nearest) {
        taps.at[0] = inside(Index(std::nearbyint(p.at)));
        taps.weight[0] = T(1);
        return taps;
    }
    const T whole = std::floor(p.at), part = p.at - whole;
    for (int k = 0; k < 2; ++k) taps.at[k] = inside(Index(whole) + k);
    taps.weight[0] = 1 - part, taps.weight[1] = part;
    taps.slope[0] = -p.slope, taps.slope[1] = p.slope;
    return taps;
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::kernels
