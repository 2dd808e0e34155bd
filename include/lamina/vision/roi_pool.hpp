#pragma once
// RoIPool: the largest cell of each bin of regions of interest (R. Girshick, Fast R-CNN, ICCV 2015).
#include <lamina/kernels/roi_pool.hpp>
#include <lamina/vision/regions.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Options of roi_pool and ps_roi_pool.
struct RoiPoolOptions {
    Size2 output;      ///< bins of each region
    double scale = 1;  ///< from the coordinates of regions to those of the feature map: 1 / stride
};

/// Features [K, C, h, w] of `regions` [K, 5] (image, x1, y1, x2, y2) of x [N, C, H, W]: the largest cell of each bin,
/// NaN above all; bins without cells give 0. Corners are rounded to cells, away from zero at halves, and NaN counts as
/// 0. The gradient goes to the first of equals in x. Throws ShapeError, and ValueError for an image that does not exist
/// (torchvision.ops.roi_pool).
template <Real T>
Tensor<T, 4> roi_pool(const Tensor<T, 4>& x, const Tensor<T, 2>& regions, const RoiPoolOptions& o) {
    const auto g = detail::roi_geometry("roi_pool", x, regions, o.output, o.scale);
    const auto input = detail::dense(x);
    const auto r = detail::dense(regions);
    auto y = empty<T>(Shape{g.regions, g.channels, g.out_h, g.out_w});
    kernels::roi_pool_forward(g, r.data(), input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("roi_pool", y,
                     [g, r = autograd::saved(r), input = autograd::saved(input), x = x.grad_link()](const T* dy) {
                         if (T* const dx = autograd::grad_ptr<T>(x))
                             kernels::roi_pool_grad_input(g, r.data(), input.data(), dy, dx);
                     });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::vision
