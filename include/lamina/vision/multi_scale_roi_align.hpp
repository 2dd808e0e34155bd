#pragma once
// RoIAlign on a feature pyramid: each region is read from the level that fits its size (T.-Y. Lin et al., Feature
// Pyramid Networks, CVPR 2017).
#include <lamina/vision/roi_align.hpp>

#include <algorithm>

namespace lamina::inline LAMINA_ABI::vision {

/// Options of multi_scale_roi_align.
struct MultiScaleRoiAlignOptions {
    Size2 output;                 ///< bins of each region
    std::vector<double> scales;   ///< of each level, finest first; powers of two: 1/4, 1/8, …
    Index sampling_ratio = 2;     ///< points to a bin in each direction; not positive: ceil(size of the bin)
    bool aligned = false;         ///< centres of cells at half-integers
    double canonical_size = 224;  ///< regions of this side (root of the area) belong to canonical_level
    Index canonical_level = 4;    ///< counted so that level k has scale 2^-k
};

/// Which of the levels each of `regions` [K, 5] is read from: floor(canonical_level + log2(side / canonical_size)),
/// held to the levels there are; [K]. Regions without area, or not finite, go to the first. Throws ValueError without
/// scales.
template <Real T>
Tensor<std::int64_t, 1> pyramid_levels(const Tensor<T, 2>& regions, const MultiScaleRoiAlignOptions& o) {
    detail::require_columns("pyramid_levels", "regions", regions, 5);
    require<ValueError>(!o.scales.empty(), "pyramid_levels: there must be at least one scale");
    const auto r = detail::dense(regions);
    const double first = -std::log2(o.scales.front()), last = -std::log2(o.scales.back());
    auto out = empty<std::int64_t>(Shape{r.shape()[0]});
    for (Index k = 0; k < r.shape()[0]; ++k) {
        const T* const box = r.data() + 5 * k;
        const double side = std::sqrt(double((box[3] - box[1]) * (box[4] - box[2])));
        const double level = std::floor(double(o.canonical_level) + std::log2(side / o.canonical_size) + 1e-6);
        out.mutable_data()[k] = level > first ? std::int64_t(std::min(level, last) - first) : 0;
    }
    return out;
}

/// Features [K, C, h, w] of `regions` [K, 5] (image, x1, y1, x2, y2), each read by roi_align from its level of
/// `levels`, tensors [N, C, H_l, W_l] with the scales of the options. Gradients go to the levels. Throws ShapeError,
/// and ValueError for an image that does not exist or another number of scales (torchvision.ops.MultiScaleRoIAlign).
template <Real T>
Tensor<T, 4> multi_scale_roi_align(const std::vector<Tensor<T, 4>>& levels, const Tensor<T, 2>& regions,
                                   const MultiScaleRoiAlignOptions& o) {
    require<ValueError>(!levels.empty() && levels.size() == o.scales.size(),
                        "multi_scale_roi_align: there must be one scale for each level (", levels.size(), " levels, ",
                        o.scales.size(), " scales)");
    struct Level {
        kernels::RoiGeometry g;
        std::vector<Index> chosen;
        GradLink x;
    };
    const auto r = detail::dense(regions);
    const auto level_of = pyramid_levels(regions, o);
    std::vector<Level> all;
    autograd::Tape* tape = nullptr;
    for (std::size_t l = 0; l < levels.size(); ++l) {
        const auto& x = levels[l];
        Level level{
            detail::roi_geometry("multi_scale_roi_align", x, regions, o.output, o.scales[l]), {}, x.grad_link()};
        require(x.dim(0) == levels[0].dim(0) && x.dim(1) == levels[0].dim(1),
                "multi_scale_roi_align: levels must have the same images and channels (", levels[0].shape(), " and ",
                x.shape(), ")");
        level.g.sampling_ratio = o.sampling_ratio;
        level.g.offset = o.aligned ? 0.5 : 0;
        level.g.least_size = o.aligned ? 0 : 1;
        for (Index k = 0; k < level.g.regions; ++k)
            if (level_of(k) == Index(l)) level.chosen.push_back(k);
        all.push_back(std::move(level));
        if (auto* t = autograd::recording(x)) tape = t;
    }
    const auto table_of = [](const Level& level, const T* rois) {
        return kernels::RoiTable<T>(level.g, rois, &level.chosen);
    };
    auto y = empty<T>(Shape{regions.dim(0), levels[0].dim(1), o.output.h, o.output.w});
    for (std::size_t l = 0; l < levels.size(); ++l)
        kernels::roi_align_forward(all[l].g, table_of(all[l], r.data()), detail::dense(levels[l]).data(),
                                   y.mutable_data());
    if (tape)
        tape->record("multi_scale_roi_align", y, [all, table_of, r = autograd::saved(r)](const T* dy) {
            for (const Level& level : all)
                if (T* const dx = autograd::grad_ptr<T>(level.x))
                    kernels::roi_align_grad_input(level.g, table_of(level, r.data()), dy, dx);
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::vision
