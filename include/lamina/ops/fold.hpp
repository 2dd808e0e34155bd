#pragma once
// Patches of images as columns, and columns added up to images: each is the gradient of the other.
#include <lamina/autograd/tape.hpp>
#include <lamina/core/size2.hpp>
#include <lamina/kernels/conv/patches.hpp>
#include <lamina/kernels/policy.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of unfold and fold, in the order of PyTorch's arguments; zeros are padded on both sides.
struct UnfoldOptions {
    Size2 dilation = 1, padding = 0, stride = 1;
};

namespace detail {

/// Sizes of the patches of images of shape `image`.
inline kernels::Conv2dGeometry unfold_geometry(const char* op, const Shape<4>& image, Size2 kernel,
                                               const UnfoldOptions& o) {
    require<ValueError>(
        kernel.h > 0 && kernel.w > 0 && o.stride.h > 0 && o.stride.w > 0 && o.dilation.h > 0 && o.dilation.w > 0, op,
        ": kernel, dilation and stride must be positive (kernel ", kernel, ", dilation ", o.dilation, ", stride ",
        o.stride, ")");
    require<ValueError>(o.padding.h >= 0 && o.padding.w >= 0, op, ": padding must not be negative but is ", o.padding);
    const auto places = [](Index in, Index k, Index stride, Index pad, Index dilation) {
        const Index room = in + 2 * pad - dilation * (k - 1) - 1;
        return room < 0 ? 0 : room / stride + 1;
    };
    const Index out_h = places(image[2], kernel.h, o.stride.h, o.padding.h, o.dilation.h);
    const Index out_w = places(image[3], kernel.w, o.stride.w, o.padding.w, o.dilation.w);
    require(out_h > 0 && out_w > 0, op, ": padded images must be at least as large as the kernel (images ", image,
            ", kernel ", kernel, ", padding ", o.padding, ", dilation ", o.dilation, ")");
    return {image[0],    image[1],    image[2],     image[3],     1, kernel.h, kernel.w, o.stride.h, o.stride.w,
            o.padding.h, o.padding.w, o.dilation.h, o.dilation.w, 1, out_h,    out_w};
}

/// Calls f(c) for each channel c of all images, on all threads.
template <class F>
void each_channel(const kernels::Conv2dGeometry& g, const F& f) {
    parallel::for_range(g.batch * g.in_channels, parallel::grain_for(g.taps() * g.plane()),
                        [&](Index begin, Index end) {
                            for (Index c = begin; c < end; ++c) f(c);
                        });
}

/// columns = patches of x.
template <class T>
void write_patches(const kernels::Conv2dGeometry& g, const T* x, T* columns) {
    const Index size = g.taps() * g.plane();
    each_channel(g, [&](Index c) {
        kernels::detail::gather_patches<simd::native>(g, x + c * g.in_plane(), {0, g.taps()}, {0, g.plane()},
                                                      columns + c * size, g.plane());
    });
}
/// y = sums of the columns' elements where they came from, or adds them.
template <class T>
void add_patches(const kernels::Conv2dGeometry& g, const T* columns, T* y, bool accumulate) {
    const Index size = g.taps() * g.plane();
    each_channel(g, [&](Index c) {
        T* plane = y + c * g.in_plane();
        if (!accumulate)
            for (Index i = 0; i < g.in_plane(); ++i) plane[i] = T(0);
        kernels::detail::scatter_patches<simd::native>(g, columns + c * size, g.plane(), {0, g.taps()}, {0, g.plane()},
                                                       plane);
    });
}

}  // namespace detail

/// The patches of `x` [N, C, H, W] that a convolution would see, as columns [N, C Kh Kw, places]. Throws ShapeError and
/// ValueError (torch.nn.functional.unfold).
template <Real T>
Tensor<T, 3> unfold(const Tensor<T, 4>& x, Size2 kernel, const UnfoldOptions& options = {}) {
    const auto g = detail::unfold_geometry("unfold", x.shape(), kernel, options);
    const auto input = contiguous(x);
    auto y = empty<T>(Shape{g.batch, g.in_channels * g.taps(), g.plane()});
    detail::write_patches(g, input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("unfold", y, [g, x = input.grad_link()](const T* dy) {
            if (const auto dx = autograd::grad_target<T>(x)) detail::add_patches(g, dy, dx.data, dx.accumulate);
        });
    return y;
}

/// Images [N, C, H, W] of `size`, where each element is the sum of those elements of the columns `x` [N, C Kh Kw,
/// places] that unfold would have taken from it. Throws ShapeError and ValueError (torch.nn.functional.fold).
template <Real T>
Tensor<T, 4> fold(const Tensor<T, 3>& x, Size2 size, Size2 kernel, const UnfoldOptions& options = {}) {
    const Index taps = kernel.h * kernel.w;
    require(taps > 0 && x.dim(1) % taps == 0, "fold: rows must be a multiple of the kernel's ", taps, " taps but are ",
            x.dim(1), " (input ", x.shape(), ", kernel ", kernel, ")");
    const auto g = detail::unfold_geometry("fold", Shape{x.dim(0), x.dim(1) / taps, size.h, size.w}, kernel, options);
    require(x.dim(2) == g.plane(), "fold: columns must be ", g.plane(), ", one for each place, but are ", x.dim(2),
            " (input ", x.shape(), ", size ", size, ", kernel ", kernel, ")");
    const auto columns = contiguous(x);
    auto y = empty<T>(Shape{g.batch, g.in_channels, g.in_h, g.in_w});
    detail::add_patches(g, columns.data(), y.mutable_data(), false);
    if (auto* tape = autograd::recording(x))
        tape->record("fold", y, [g, x = columns.grad_link(), shape = x.shape()](const T* dy) {
            const auto dx = autograd::grad_target<T>(x);
            if (!dx) return;
            if (!dx.accumulate) return detail::write_patches(g, dy, dx.data);
            auto part = empty<T>(shape);
            detail::write_patches(g, dy, part.mutable_data());
            const T* from = part.data();
            parallel::for_range(part.numel(), kernels::pointwise_grain, [&](Index begin, Index end) {
                simd::for_each_vec(
                    end - begin, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a + b; }, dx.data + begin,
                    (const T*)dx.data + begin, from + begin);
            });
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
