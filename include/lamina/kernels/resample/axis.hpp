#pragma once
// Where the outputs of a resampled axis lie between the inputs, and what each input weighs: nearest, linear, cubic,
// area, and linear and cubic stretched against aliasing.
#include <lamina/kernels/resample/table.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::kernels {

/// How outputs are made of the inputs around them.
enum class InterpolateMode {
    nearest,        ///< input floor(o * scale), as OpenCV
    nearest_exact,  ///< input floor((o + 1/2) * scale), as PIL
    linear,         ///< the two neighbours by distance
    cubic,          ///< four neighbours, cubic convolution with a = -0.75
    area,           ///< mean over floor(o * in / out) … ceil((o + 1) * in / out)
    bilinear = linear,
    trilinear = linear,
    bicubic = cubic,
};
/// Where output o lies on the axis of the inputs, for linear and cubic.
enum class PixelCoordinates {
    half_pixel,     ///< (o + 1/2) * scale - 1/2: pixels are squares, as PyTorch's align_corners = false
    align_corners,  ///< o * (in - 1) / (out - 1): the outermost pixels meet
    asymmetric,     ///< o * scale, as TensorFlow 1
};

/// One axis to be resampled.
struct ResampleAxis {
    Index in = 1, out = 1;
    double scale = 1;  ///< inputs for each output; not used by align_corners
    InterpolateMode filter = InterpolateMode::nearest;
    PixelCoordinates coordinates = PixelCoordinates::half_pixel;
    bool antialias = false;
};

/// Weight of an input at distance `t` by cubic convolution. (Keys 1981)
constexpr double cubic_weight(double t, double a) {
    t = t < 0 ? -t : t;
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

/// The table of an axis, or its transpose.
template <class T>
ResampleTable<T> resample_table(const ResampleAxis& axis, bool transposed = false);

namespace detail {

constexpr Index clamp_index(Index i, Index n) { return i < 0 ? 0 : i < n ? i : n - 1; }

inline double source_scale(const ResampleAxis& a) {
    if (a.coordinates != PixelCoordinates::align_corners) return a.scale;
    return a.out > 1 ? double(a.in - 1) / double(a.out - 1) : 0;
}
/// An output's place among the inputs.
struct SourcePosition {
    Index whole;
    double part;
};
inline SourcePosition source_position(const ResampleAxis& a, Index o) {
    const bool half = a.coordinates == PixelCoordinates::half_pixel;
    const bool corners = a.coordinates == PixelCoordinates::align_corners;
    if (corners || a.scale == double(a.in) / double(a.out)) {
        // Exact fractions, so that what repeats along the axis repeats to the last bit.
        const Index above = corners ? o * (a.in - 1) : half ? (2 * o + 1) * a.in - a.out : o * a.in;
        const Index below = corners ? (a.out > 1 ? a.out - 1 : 1) : half ? 2 * a.out : a.out;
        const Index whole = above < 0 ? -((below - 1 - above) / below) : above / below;
        return {a.out > 1 || !corners ? whole : 0, double(above - whole * below) / double(below)};
    }
    const double at = half ? (double(o) + 0.5) * a.scale - 0.5 : double(o) * a.scale, whole = std::floor(at);
    return {Index(whole), at - whole};
}

/// The reference counts in single precision, and so must whoever wants its pixels.
inline Index nearest_source(const ResampleAxis& a, Index o) {
    const auto scale = float(a.scale);
    const float at = a.filter == InterpolateMode::nearest ? float(o) * scale : float((double(o) + 0.5) * double(scale));
    return clamp_index(Index(at), a.in);
}

template <class T>
void linear_terms(const ResampleAxis& a, Index o, ResampleTable<T>& table) {
    const SourcePosition at = source_position(a, o);
    const double part = at.whole < 0 ? 0 : at.part;
    const Index first = clamp_index(at.whole, a.in);
    table.add(first, T(1 - part));
    table.add(clamp_index(first + 1, a.in), T(part));
}

template <class T>
void cubic_terms(const ResampleAxis& a, Index o, ResampleTable<T>& table) {
    const SourcePosition at = source_position(a, o);
    for (Index k = -1; k <= 2; ++k)
        table.add(clamp_index(at.whole + k, a.in), T(cubic_weight(at.part - double(k), -0.75)));
}

template <class T>
void area_terms(const ResampleAxis& a, Index o, ResampleTable<T>& table) {
    const Index first = o * a.in / a.out, end = ((o + 1) * a.in + a.out - 1) / a.out;
    for (Index i = first; i < end; ++i) table.add(i, T(1 / double(end - first)));
}

/// The filter stretched by the scale when that shrinks, its weights normalised, as PIL does.
template <class T>
void antialias_terms(const ResampleAxis& a, Index o, ResampleTable<T>& table) {
    const bool cubic = a.filter == InterpolateMode::cubic;
    const double scale = source_scale(a), stretch = scale > 1 ? scale : 1, support = (cubic ? 2 : 1) * stretch;
    const double center = scale * (double(o) + 0.5);
    const Index lower = Index(center - support + 0.5), upper = Index(center + support + 0.5);
    const Index first = lower < 0 ? 0 : lower, end = upper < a.in ? upper : a.in;
    const auto weight = [&](Index i) {
        const double t = (double(i) - center + 0.5) / stretch;
        if (cubic) return cubic_weight(t, -0.5);
        return t > -1 && t < 1 ? 1 - (t < 0 ? -t : t) : 0.0;
    };
    double total = 0;
    for (Index i = first; i < end; ++i) total += weight(i);
    for (Index i = first; i < end; ++i) table.add(i, T(total != 0 ? weight(i) / total : weight(i)));
}

}  // namespace detail

template <class T>
ResampleTable<T> resample_table(const ResampleAxis& a, bool transposed) {
    ResampleTable<T> table(a.in, a.out);
    for (Index o = 0; o < a.out; ++o) {
        if (a.filter == InterpolateMode::area) detail::area_terms(a, o, table);
        else if (a.filter != InterpolateMode::linear && a.filter != InterpolateMode::cubic)
            table.add(detail::nearest_source(a, o), T(1));
        else if (a.antialias) detail::antialias_terms(a, o, table);
        else if (a.filter == InterpolateMode::linear) detail::linear_terms(a, o, table);
        else detail::cubic_terms(a, o, table);
        table.close();
    }
    table.finish();
    return transposed ? table.transposed() : table;
}

}  // namespace lamina::inline LAMINA_ABI::kernels
