#pragma once
// Position-sensitive RoIAlign: each bin of a region looks at channels of its own (J. Dai et al., R-FCN, NeurIPS 2016;
// Z. Li et al., Light-Head R-CNN, 2017).
#include <lamina/kernels/ps_roi_align.hpp>
#include <lamina/vision/regions.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// What ps_roi_align makes of the samples of a bin. `max` is ThunderNet's form (Z. Qin et al., ICCV 2019): the largest
/// sample, coordinates taken without the half cell, regions at least a tenth of a cell large.
enum class RoiSamples { mean, max };

/// Options of ps_roi_align.
struct PsRoiAlignOptions {
    Size2 output;                           ///< bins of each region
    double scale = 1;                       ///< from the coordinates of regions to those of the feature map: 1 / stride
    Index sampling_ratio = 0;               ///< points to a bin in each direction; not positive: ceil(size of the bin)
    RoiSamples samples = RoiSamples::mean;  ///< how they are combined
};

/// Features [K, C / (h w), h, w] of `regions` [K, 5] (image, x1, y1, x2, y2) of x [N, C, H, W]: channel c of bin (i, j)
/// comes from channel (c h + i) w + j. A region without points (not finite, or no larger than a point and no
/// sampling_ratio) gives 0. Gradients go to x alone. Throws ShapeError, and ValueError for an image that does not exist
/// (torchvision.ops.ps_roi_align).
template <Real T>
Tensor<T, 4> ps_roi_align(const Tensor<T, 4>& x, const Tensor<T, 2>& regions, const PsRoiAlignOptions& o) {
    auto g = detail::roi_geometry("ps_roi_align", x, regions, o.output, o.scale);
    const Index channels = detail::position_sensitive_channels("ps_roi_align", x, o.output);
    const bool mean = o.samples == RoiSamples::mean;
    g.sampling_ratio = o.sampling_ratio;
    g.offset = mean ? 0.5 : 0;
    g.least_size = mean ? 0 : 0.1;
    const auto input = detail::dense(x);
    const auto r = detail::dense(regions);
    auto y = empty<T>(Shape{g.regions, channels, g.out_h, g.out_w});
    if (mean) kernels::ps_roi_align_forward(g, kernels::RoiTable<T>(g, r.data()), input.data(), y.mutable_data());
    else kernels::ps_roi_align_max_forward(g, r.data(), input.data(), y.mutable_data());
    auto* const tape = autograd::recording(x);
    if (tape && mean)
        tape->record("ps_roi_align", y, [g, r = autograd::saved(r), x = x.grad_link()](const T* dy) {
            if (T* const dx = autograd::grad_ptr<T>(x))
                kernels::ps_roi_align_grad_input(g, kernels::RoiTable<T>(g, r.data()), dy, dx);
        });
    if (tape && !mean)
        tape->record("ps_roi_align", y,
                     [g, r = autograd::saved(r), input = autograd::saved(input), x = x.grad_link()](const T* dy) {
                         if (T* const dx = autograd::grad_ptr<T>(x))
                             kernels::ps_roi_align_max_grad_input(g, r.data(), input.data(), dy, dx);
                     });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::vision
