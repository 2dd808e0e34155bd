#pragma once
// Position-sensitive RoIPool: means over bins of whole cells, each bin in channels of its own (J. Dai et al., R-FCN,
// NeurIPS 2016).
#include <lamina/vision/roi_pool.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Features [K, C / (h w), h, w] of `regions` [K, 5] (image, x1, y1, x2, y2) of x [N, C, H, W]: channel c of bin (i, j)
/// is the mean of the bin's cells in channel (c h + i) w + j; bins without cells give 0. Corners are rounded to cells,
/// NaN counts as 0; as in torchvision, bins end before the last row and column of the map. Gradients go to x alone.
/// Throws ShapeError, and ValueError for an image that does not exist (torchvision.ops.ps_roi_pool).
template <Real T>
Tensor<T, 4> ps_roi_pool(const Tensor<T, 4>& x, const Tensor<T, 2>& regions, const RoiPoolOptions& o) {
    const auto g = detail::roi_geometry("ps_roi_pool", x, regions, o.output, o.scale);
    const Index channels = detail::position_sensitive_channels("ps_roi_pool", x, o.output);
    const auto input = detail::dense(x);
    const auto r = detail::dense(regions);
    auto y = empty<T>(Shape{g.regions, channels, g.out_h, g.out_w});
    kernels::ps_roi_pool_forward(g, r.data(), input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("ps_roi_pool", y, [g, r = autograd::saved(r), x = x.grad_link()](const T* dy) {
            if (T* const dx = autograd::grad_ptr<T>(x)) kernels::ps_roi_pool_grad_input(g, r.data(), dy, dx);
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::vision
