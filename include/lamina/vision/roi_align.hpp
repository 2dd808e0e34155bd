#pragma once
// RoIAlign: features of regions of interest as means of bilinear samples (K. He et al., Mask R-CNN, ICCV 2017).
#include <lamina/kernels/roi_align.hpp>
#include <lamina/vision/regions.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Options of roi_align, in PyTorch's meaning.
struct RoiAlignOptions {
    Size2 output;              ///< bins of each region
    double scale = 1;          ///< from the coordinates of regions to those of the feature map: 1 / stride
    Index sampling_ratio = 0;  ///< points to a bin in each direction; not positive: ceil(size of the bin)
    bool aligned = false;      ///< centres of cells at half-integers; else regions are at least one cell large
};

/// Features [K, C, h, w] of `regions` [K, 5] (image, x1, y1, x2, y2) of x [N, C, H, W]: each bin is the mean of
/// bilinear samples, 0 where they lie more than a cell outside. A region that is not finite, or with no points in its
/// bins, gives 0. Gradients go to x alone. Throws ShapeError, and ValueError for an image that does not exist
/// (torchvision.ops.roi_align).
template <Real T>
Tensor<T, 4> roi_align(const Tensor<T, 4>& x, const Tensor<T, 2>& regions, const RoiAlignOptions& o) {
    auto g = detail::roi_geometry("roi_align", x, regions, o.output, o.scale);
    g.sampling_ratio = o.sampling_ratio;
    g.offset = o.aligned ? 0.5 : 0;
    g.least_size = o.aligned ? 0 : 1;
    const auto input = detail::dense(x);
    const auto r = detail::dense(regions);
    auto y = empty<T>(Shape{g.regions, g.channels, g.out_h, g.out_w});
    kernels::roi_align_forward(g, kernels::RoiTable<T>(g, r.data()), input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("roi_align", y, [g, r = autograd::saved(r), x = x.grad_link()](const T* dy) {
            if (T* const dx = autograd::grad_ptr<T>(x))
                kernels::roi_align_grad_input(g, kernels::RoiTable<T>(g, r.data()), dy, dx);
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::vision
