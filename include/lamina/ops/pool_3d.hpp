#pragma once
// Pooling of volumes [N, C, D, H, W]: first each slice, then across the slices. Largest elements and means separate so,
// and the first of equals stays the first.
#include <lamina/core/size3.hpp>
#include <lamina/ops/pool.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of max_pool3d; a stride of 0 means the kernel's size.
struct MaxPool3dOptions {
    Size3 kernel, stride = 0, padding = 0, dilation = 1;
    bool ceil_mode = false;  ///< round the output's size up, if the last window begins inside
};
/// Options of avg_pool3d; a stride of 0 means the kernel's size.
struct AvgPool3dOptions {
    Size3 kernel, stride = 0, padding = 0;
    bool ceil_mode = false;
    bool count_include_pad = true;  ///< zeros of the padding count in the mean
    Index divisor_override = 0;     ///< divide by this, if it is not 0
};

namespace detail {

constexpr Size2 within_slice(Size3 s) { return {s.h, s.w}; }
constexpr Size3 stride_or_kernel(Size3 stride, Size3 kernel) { return stride == Size3(0) ? kernel : stride; }

/// Slices as planes of their own.
template <class T>
Tensor<T, 4> as_slices(const Tensor<T, 5>& x) {
    return reshape(x, Shape{x.dim(0), x.dim(1) * x.dim(2), x.dim(3), x.dim(4)});
}
/// Pooled slices [N, C D, h, w] as the rows of planes [N, C, D, h w].
template <class T>
Tensor<T, 4> as_columns(const Tensor<T, 4>& y, const Shape<5>& x) {
    return reshape(y, Shape{x[0], x[1], x[2], y.dim(2) * y.dim(3)});
}
/// Pooled columns [N, C, d, h w] as volumes.
template <class T, class Slices>
Tensor<T, 5> as_volume(const Tensor<T, 4>& y, const Slices& slices) {
    return reshape(y, Shape{y.dim(0), y.dim(1), y.dim(2), slices.dim(2), slices.dim(3)});
}

template <Real T>
std::pair<Tensor<T, 5>, Tensor<std::int64_t, 5>> max_pool3d(const Tensor<T, 5>& x, const MaxPool3dOptions& o,
                                                            bool with_indices) {
    const Size3 stride = stride_or_kernel(o.stride, o.kernel);
    const auto slices = max_pool2d(
        "max_pool3d", as_slices(x),
        {within_slice(o.kernel), within_slice(stride), within_slice(o.padding), within_slice(o.dilation), o.ceil_mode},
        with_indices);
    const auto columns =
        max_pool2d("max_pool3d", as_columns(slices.y, x.shape()),
                   {{o.kernel.d, 1}, {stride.d, 1}, {o.padding.d, 0}, {o.dilation.d, 1}, o.ceil_mode}, with_indices);
    if (!with_indices) return {as_volume(columns.y, slices.y), {}};
    auto indices = empty<std::int64_t>(columns.indices.shape());
    const Index area = slices.y.dim(2) * slices.y.dim(3), depth = x.dim(2), plane = x.dim(3) * x.dim(4);
    std::int64_t* to = indices.mutable_data();
    const std::int64_t *in_slice = slices.indices.data(), *in_column = columns.indices.data();
    const Index outputs = columns.y.dim(2) * area;
    for (Index i = 0; i < indices.numel(); ++i)
        to[i] = in_column[i] / area * plane + in_slice[i / outputs * depth * area + in_column[i]];
    return {as_volume(columns.y, slices.y), as_volume(indices, slices.y)};
}

}  // namespace detail

/// Largest element of each window of `x` [N, C, D, H, W]; NaN wins, the gradient goes to the first of equals. Throws
/// ShapeError and ValueError (torch.nn.functional.max_pool3d).
template <Real T>
Tensor<T, 5> max_pool3d(const Tensor<T, 5>& x, const MaxPool3dOptions& options) {
    return detail::max_pool3d(x, options, false).first;
}
/// The same with the position of each in its volume, (z * H + y) * W + x.
template <Real T>
std::pair<Tensor<T, 5>, Tensor<std::int64_t, 5>> max_pool3d_with_indices(const Tensor<T, 5>& x,
                                                                         const MaxPool3dOptions& options) {
    return detail::max_pool3d(x, options, true);
}

/// Mean of each window of `x` [N, C, D, H, W]. Throws ShapeError and ValueError (torch.nn.functional.avg_pool3d).
template <Real T>
Tensor<T, 5> avg_pool3d(const Tensor<T, 5>& x, const AvgPool3dOptions& o) {
    const Size3 stride = detail::stride_or_kernel(o.stride, o.kernel);
    const auto slices = detail::avg_pool2d(
        "avg_pool3d", detail::as_slices(x),
        {detail::within_slice(o.kernel), detail::within_slice(stride), detail::within_slice(o.padding), o.ceil_mode,
         o.count_include_pad, o.divisor_override ? 1 : 0});
    return detail::as_volume(
        detail::avg_pool2d(
            "avg_pool3d", detail::as_columns(slices, x.shape()),
            {{o.kernel.d, 1}, {stride.d, 1}, {o.padding.d, 0}, o.ceil_mode, o.count_include_pad, o.divisor_override}),
        slices);
}

/// Means over `output` windows that cover `x` [N, C, D, H, W] evenly. Throws ShapeError
/// (torch.nn.functional.adaptive_avg_pool3d).
template <Real T>
Tensor<T, 5> adaptive_avg_pool3d(const Tensor<T, 5>& x, Size3 output) {
    const auto slices =
        detail::adaptive_avg_pool2d("adaptive_avg_pool3d", detail::as_slices(x), detail::within_slice(output));
    return detail::as_volume(detail::adaptive_avg_pool2d("adaptive_avg_pool3d", detail::as_columns(slices, x.shape()),
                                                         {output.d, output.h * output.w}),
                             slices);
}
/// Largest elements of `output` windows that cover `x` [N, C, D, H, W] evenly. Throws ShapeError
/// (torch.nn.functional.adaptive_max_pool3d).
template <Real T>
Tensor<T, 5> adaptive_max_pool3d(const Tensor<T, 5>& x, Size3 output) {
    const auto slices =
        detail::adaptive_max_pool2d("adaptive_max_pool3d", detail::as_slices(x), detail::within_slice(output), false).y;
    return detail::as_volume(detail::adaptive_max_pool2d("adaptive_max_pool3d", detail::as_columns(slices, x.shape()),
                                                         {output.d, output.h * output.w}, false)
                                 .y,
                             slices);
}

}  // namespace lamina::inline LAMINA_ABI
