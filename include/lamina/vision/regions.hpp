#pragma once
// Regions of interest as rows (image, x1, y1, x2, y2): how they are made of boxes, and the checks that all operators on
// them share.
#include <lamina/core/size2.hpp>
#include <lamina/kernels/roi_taps.hpp>
#include <lamina/vision/boxes_columns.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Regions [K, 5] (image, x1, y1, x2, y2) of boxes [N, 4] (x1, y1, x2, y2), the boxes of one image after those of
/// another. Throws ShapeError.
template <Real T>
Tensor<T, 2> regions_of(const std::vector<Tensor<T, 2>>& boxes) {
    Index count = 0;
    for (const auto& b : boxes) {
        detail::require_columns("regions_of", "boxes", b, 4);
        count += b.shape()[0];
    }
    auto out = empty<T>(Shape{count, 5});
    T* to = out.mutable_data();
    for (std::size_t image = 0; image < boxes.size(); ++image) {
        const auto b = detail::dense(boxes[image]);
        for (Index i = 0; i < b.shape()[0]; ++i, to += 5) {
            to[0] = T(image);
            for (int k = 0; k < 4; ++k) to[k + 1] = b.data()[4 * i + k];
        }
    }
    return out;
}

namespace detail {

/// Checks and sizes of an operator on `regions` [K, 5] of x [N, C, H, W].
template <class T>
kernels::RoiGeometry roi_geometry(const char* op, const Tensor<T, 4>& x, const Tensor<T, 2>& regions, Size2 output,
                                  double scale) {
    require_columns(op, "regions", regions, 5);
    require<ValueError>(output.h > 0 && output.w > 0, op, ": output must not be empty but is ", output);
    // Written to hold for NaN too.
    require<ValueError>(scale > 0 && scale < __builtin_inf(), op, ": scale must be positive but is ", scale);
    const auto& s = x.shape();
    const T* const image = regions.data();
    for (Index k = 0; k < regions.shape()[0]; ++k) {
        const double at = double(image[k * regions.strides()[0]]);
        require<ValueError>(at >= 0 && at < double(s[0]) && at == double(Index(at)), op,
                            ": image must be a whole number in [0, ", s[0], ") but is ", at, " in region ", k);
    }
    return {s[0], s[1], s[2], s[3], regions.shape()[0], output.h, output.w, scale};
}

/// The same where each bin has channels of its own: output channels C / (h w).
template <class T>
Index position_sensitive_channels(const char* op, const Tensor<T, 4>& x, Size2 output) {
    require(x.shape()[1] % (output.h * output.w) == 0, op, ": channels must be a multiple of the bins (input ",
            x.shape(), ", output ", output, ")");
    return x.shape()[1] / (output.h * output.w);
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::vision
