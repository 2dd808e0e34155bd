#pragma once
// Power-average pooling: the p-norm of each window.
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/pool_1d.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of lp_pool2d; a stride of 0 means the kernel's size.
struct LpPool2dOptions {
    double norm = 2;  ///< p; 1 sums, large ones approach the maximum
    Size2 kernel, stride = 0;
    bool ceil_mode = false;
};
/// Options of lp_pool1d.
struct LpPool1dOptions {
    double norm = 2;
    Index kernel = 0, stride = 0;
    bool ceil_mode = false;
};

namespace detail {

template <Real T>
Tensor<T, 4> lp_pool2d(const char* op, const Tensor<T, 4>& x, const LpPool2dOptions& o) {
    require<ValueError>(o.norm > 0, op, ": norm must be positive but is ", o.norm);
    const auto mean =
        avg_pool2d(op, pow(x, T(o.norm)), {.kernel = o.kernel, .stride = o.stride, .ceil_mode = o.ceil_mode});
    return pow(mean * T(o.kernel.h * o.kernel.w), T(1 / o.norm));
}

}  // namespace detail

/// (sum of x^p)^(1/p) of each window of `x` [N, C, H, W]; windows cut short by ceil_mode count as if whole. As in
/// PyTorch the sign is kept before the sum, so odd powers of negative sums are NaN, and the gradient at a sum of 0 is
/// not finite for p > 1. Throws ShapeError and ValueError (torch.nn.functional.lp_pool2d).
template <Real T>
Tensor<T, 4> lp_pool2d(const Tensor<T, 4>& x, const LpPool2dOptions& options) {
    return detail::lp_pool2d("lp_pool2d", x, options);
}
/// The same for `x` [N, C, L] (torch.nn.functional.lp_pool1d).
template <Real T>
Tensor<T, 3> lp_pool1d(const Tensor<T, 3>& x, const LpPool1dOptions& o) {
    return detail::as_signal(detail::lp_pool2d(
        "lp_pool1d", detail::as_plane(x),
        {o.norm, detail::along(o.kernel), detail::along(o.stride ? o.stride : o.kernel), o.ceil_mode}));
}

}  // namespace lamina::inline LAMINA_ABI
