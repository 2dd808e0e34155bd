#pragma once
// Pooling of signals [N, C, L]: planes of height 1.
#include <lamina/ops/pool.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of max_pool1d; a stride of 0 means the kernel's size.
struct MaxPool1dOptions {
    Index kernel = 0, stride = 0, padding = 0, dilation = 1;
    bool ceil_mode = false;  ///< round the output's size up, if the last window begins inside
};
/// Options of avg_pool1d; a stride of 0 means the kernel's size.
struct AvgPool1dOptions {
    Index kernel = 0, stride = 0, padding = 0;
    bool ceil_mode = false;
    bool count_include_pad = true;  ///< zeros of the padding count in the mean
};

namespace detail {

template <class T>
Tensor<T, 4> as_plane(const Tensor<T, 3>& x) {
    return reshape(x, Shape{x.dim(0), x.dim(1), 1, x.dim(2)});
}
template <class T>
Tensor<T, 3> as_signal(const Tensor<T, 4>& x) {
    return reshape(x, Shape{x.dim(0), x.dim(1), x.dim(3)});
}
inline Size2 along(Index size, Index across = 1) { return {across, size}; }
inline MaxPool2dOptions in_plane(const MaxPool1dOptions& o) {
    return {along(o.kernel), along(o.stride ? o.stride : o.kernel), along(o.padding, 0), along(o.dilation),
            o.ceil_mode};
}

}  // namespace detail

/// Largest element of each window of `x` [N, C, L]; NaN wins, the gradient goes to the first of equals. Throws
/// ShapeError and ValueError (torch.nn.functional.max_pool1d).
template <Real T>
Tensor<T, 3> max_pool1d(const Tensor<T, 3>& x, const MaxPool1dOptions& options) {
    return detail::as_signal(detail::max_pool2d("max_pool1d", detail::as_plane(x), detail::in_plane(options), false).y);
}
/// The same with the position of each in its signal.
template <Real T>
std::pair<Tensor<T, 3>, Tensor<std::int64_t, 3>> max_pool1d_with_indices(const Tensor<T, 3>& x,
                                                                         const MaxPool1dOptions& options) {
    const auto [y, indices] = detail::max_pool2d("max_pool1d", detail::as_plane(x), detail::in_plane(options), true);
    return {detail::as_signal(y), detail::as_signal(indices)};
}

/// Mean of each window of `x` [N, C, L]. Throws ShapeError and ValueError (torch.nn.functional.avg_pool1d).
template <Real T>
Tensor<T, 3> avg_pool1d(const Tensor<T, 3>& x, const AvgPool1dOptions& o) {
    return detail::as_signal(detail::avg_pool2d("avg_pool1d", detail::as_plane(x),
                                                {.kernel = detail::along(o.kernel),
                                                 .stride = detail::along(o.stride ? o.stride : o.kernel),
                                                 .padding = detail::along(o.padding, 0),
                                                 .ceil_mode = o.ceil_mode,
                                                 .count_include_pad = o.count_include_pad}));
}

/// Means over `output` windows that cover `x` [N, C, L] evenly. Throws ShapeError
/// (torch.nn.functional.adaptive_avg_pool1d).
template <Real T>
Tensor<T, 3> adaptive_avg_pool1d(const Tensor<T, 3>& x, Index output) {
    return detail::as_signal(
        detail::adaptive_avg_pool2d("adaptive_avg_pool1d", detail::as_plane(x), detail::along(output)));
}
/// Largest elements of `output` windows that cover `x` [N, C, L] evenly. Throws ShapeError
/// (torch.nn.functional.adaptive_max_pool1d).
template <Real T>
Tensor<T, 3> adaptive_max_pool1d(const Tensor<T, 3>& x, Index output) {
    return detail::as_signal(
        detail::adaptive_max_pool2d("adaptive_max_pool1d", detail::as_plane(x), detail::along(output), false).y);
}

}  // namespace lamina::inline LAMINA_ABI
