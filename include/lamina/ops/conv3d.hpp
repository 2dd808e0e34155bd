#pragma once
// Convolution of volumes [N, C, D, H, W]: the slices that an output slice depends on are laid side by side as channels,
// and conv2d does the rest.
#include <lamina/core/size3.hpp>
#include <lamina/ops/conv.hpp>
#include <lamina/ops/permute.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of conv3d; zeros are padded on both sides.
struct Conv3dOptions {
    Size3 stride = 1, padding = 0, dilation = 1;
    Index groups = 1;
};

/// Cross-correlates `x` [N, Ci, D, H, W] with `weight` [Co, Ci/groups, Kd, Kh, Kw] and adds `bias` [Co]. Holds Kd /
/// stride copies of `x`. Throws ShapeError and ValueError (torch.nn.functional.conv3d).
template <Real T>
Tensor<T, 5> conv3d(const Tensor<T, 5>& x, const Tensor<T, 5>& weight, const Optional<T, 1>& bias = {},
                    const Conv3dOptions& o = {}) {
    require<ValueError>(o.stride.d > 0 && o.dilation.d > 0, "conv3d: stride and dilation must be positive (stride ",
                        o.stride, ", dilation ", o.dilation, ")");
    require<ValueError>(o.padding.d >= 0, "conv3d: padding must not be negative but is ", o.padding);
    const Index n = x.dim(0), channels = x.dim(1), taps = weight.dim(2);
    const Index room = x.dim(2) + 2 * o.padding.d - o.dilation.d * (taps - 1) - 1;
    require(room >= 0 && taps > 0, "conv3d: padded input must be at least as deep as the kernel (input ", x.shape(),
            ", weight ", weight.shape(), ", padding ", o.padding, ", dilation ", o.dilation, ")");
    const Index depth = room / o.stride.d + 1;
    auto slices = empty<std::int64_t>(Shape{depth * taps});
    for (Index i = 0; i < depth; ++i)
        for (Index k = 0; k < taps; ++k) slices.mutable_data()[i * taps + k] = i * o.stride.d + k * o.dilation.d;
    const auto deep = o.padding.d ? pad(x, {0, 0, 0, 0, o.padding.d, o.padding.d}) : x;
    const auto apart = reshape(index_select(deep, 2, slices), Shape{n, channels, depth, taps, x.dim(3), x.dim(4)});
    const auto images =
        reshape(permute(apart, {0, 2, 1, 3, 4, 5}), Shape{n * depth, channels * taps, x.dim(3), x.dim(4)});
    const auto w = reshape(weight, Shape{weight.dim(0), weight.dim(1) * taps, weight.dim(3), weight.dim(4)});
    const auto y = detail::conv2d("conv3d", images, w, bias,
                                  {.stride = {o.stride.h, o.stride.w},
                                   .padding = {Padding(o.padding.h), Padding(o.padding.w)},
                                   .dilation = {o.dilation.h, o.dilation.w},
                                   .groups = o.groups});
    return contiguous(permute(reshape(y, Shape{n, depth, y.dim(1), y.dim(2), y.dim(3)}), {0, 2, 1, 3, 4}));
}

}  // namespace lamina::inline LAMINA_ABI
