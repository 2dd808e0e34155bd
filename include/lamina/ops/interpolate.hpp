#pragma once
// Resizing of images, signals and volumes. All modes are one kernel: each axis has a table of inputs and weights, and
// gradients go through the transposed tables.
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/resample/axis.hpp>
#include <lamina/kernels/resample/resample.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

using kernels::InterpolateMode;
using kernels::PixelCoordinates;

/// A number for each spatial dimension, or one for all: `.size = {480, 640}`, `.scale_factor = 2`. Empty by default.
template <class N>
struct PerDimension {
    N values[3] = {};
    int count = 0;
    constexpr PerDimension() = default;
    constexpr PerDimension(N all) : values{all}, count(1) {}
    constexpr PerDimension(N h, N w) : values{h, w}, count(2) {}
    constexpr PerDimension(N d, N h, N w) : values{d, h, w}, count(3) {}
    constexpr N operator[](int d) const { return values[count == 1 ? 0 : d]; }
    void append_to(std::string& out) const {
        for (int d = 0; d < count; ++d) {
            if (d) out += 'x';
            detail::append(out, values[d]);
        }
    }
};

/// Options of interpolate; exactly one of `size` and `scale_factor` is given.
struct InterpolateOptions {
    PerDimension<Index> size{};
    PerDimension<double> scale_factor{};
    InterpolateMode mode = InterpolateMode::nearest;
    PixelCoordinates coordinates = PixelCoordinates::half_pixel;  ///< of linear and cubic
    bool recompute_scale_factor = false;  ///< pixels lie as the rounded size says, not as the factor does
    bool antialias = false;               ///< linear and cubic take in all pixels when they shrink, as PIL
};

namespace detail {

/// The spatial axes of an input, outermost first.
struct InterpolateAxes {
    kernels::ResampleAxis axis[3];  ///< missing ones in front change nothing
};

template <int R>
InterpolateAxes interpolate_axes(const Shape<R>& shape, const InterpolateOptions& o) {
    constexpr int spatial = R - 2;
    using enum InterpolateMode;
    require<ValueError>((o.size.count > 0) != (o.scale_factor.count > 0),
                        "interpolate: one of size and scale_factor must be given (size [", o.size, "], scale_factor [",
                        o.scale_factor, "])");
    const int count = o.size.count + o.scale_factor.count;
    require<ValueError>(count == 1 || count == spatial, "interpolate: there must be 1 or ", spatial,
                        " sizes or factors but there are ", count, " (input ", shape, ")");
    const bool weighted = o.mode == linear || o.mode == cubic;
    require<ValueError>(weighted || o.coordinates != PixelCoordinates::align_corners,
                        "interpolate: align_corners needs linear or cubic mode");
    require<ValueError>(!o.antialias || (weighted && o.coordinates != PixelCoordinates::asymmetric),
                        "interpolate: antialias needs linear or cubic mode and coordinates half_pixel or "
                        "align_corners");
    require(shape.product(1, R) > 0, "interpolate: input must have channels and pixels but has shape ", shape);
    InterpolateAxes axes;
    for (int d = 0; d < spatial; ++d) {
        const Index in = shape[d + 2];
        const double factor = o.scale_factor[d];
        require<ValueError>(o.size.count || (factor > 0 && factor * double(in) < 0x1p62),
                            "interpolate: scale_factor must be positive but is ", factor);
        const Index out = o.size.count ? o.size[d] : Index(double(in) * factor);
        require(out > 0, "interpolate: output must not be empty (input ", shape, ", size [", o.size,
                "], scale_factor [", o.scale_factor, "])");
        const bool copied = o.mode == linear && in == out && !o.antialias;  // whatever the factor says
        const bool by_size = o.size.count || o.recompute_scale_factor || copied;
        axes.axis[3 - spatial + d] = {in,     out,           by_size ? double(in) / double(out) : 1 / factor,
                                      o.mode, o.coordinates, o.antialias};
    }
    return axes;
}

/// `to` (+)= `from`, dense arrays of `maps` volumes, resampled along each axis; by the transposed tables if `back`.
template <class T>
void interpolate_axes(const InterpolateAxes& axes, Index maps, bool back, const T* from, T* to, bool accumulate) {
    const auto& [depth, height, width] = axes.axis;
    const auto rows = kernels::resample_table<T>(height, back), columns = kernels::resample_table<T>(width, back);
    const auto slices = kernels::resample_table<T>(depth, back);
    if (slices.identity) return kernels::resample(maps * slices.in, rows, columns, from, to, accumulate);
    auto half = empty<T>(Shape{maps * slices.in, rows.out * columns.out});
    kernels::resample(maps * slices.in, rows, columns, from, half.mutable_data(), false);
    const auto same = kernels::resample_table<T>({.in = rows.out * columns.out, .out = rows.out * columns.out});
    kernels::resample(maps, slices, same, half.data(), to, accumulate);
}

}  // namespace detail

/// `x` [N, C, W], [N, C, H, W] or [N, C, D, H, W] resized to `size` or by `scale_factor`. A factor gives the size
/// floor(in * factor) and, unless recompute_scale_factor, the distance 1 / factor between pixels, which is not in / out
/// when that was rounded; only linear modes leave an axis that keeps its size as it is. Throws ShapeError, ValueError
/// (torch.nn.functional.interpolate; align_corners = true is PixelCoordinates::align_corners).
template <Real T, int R>
Tensor<T, R> interpolate(const Tensor<T, R>& x, const InterpolateOptions& options) {
    static_assert(R >= 3 && R <= 5, "interpolate: the input is [N, C, W], [N, C, H, W] or [N, C, D, H, W]");
    const auto axes = detail::interpolate_axes(x.shape(), options);
    Shape<R> shape = x.shape();
    for (int d = 2; d < R; ++d) shape[d] = axes.axis[5 - R + d - 2].out;
    const Index maps = shape[0] * shape[1];
    const auto input = contiguous(x);
    auto y = empty<T>(shape);
    if (maps) detail::interpolate_axes(axes, maps, false, input.data(), y.mutable_data(), false);
    if (auto* tape = autograd::recording(x))
        tape->record("interpolate", y, [axes, maps, x = x.grad_link()](const T* dy) {
            const auto dx = autograd::grad_target<T>(x);
            if (dx && maps) detail::interpolate_axes(axes, maps, true, dy, dx.data, dx.accumulate);
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
