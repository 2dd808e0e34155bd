#pragma once
// Deformable convolution of images [N, C, H, W]: a convolution that reads its input at places moved by offsets.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/size2.hpp>
#include <lamina/kernels/channel_sum.hpp>
#include <lamina/kernels/conv/deformable.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of deform_conv2d. Groups follow from the shapes: channels of the input over those of the weight, and
/// channels of the offset over 2 Kh Kw.
struct DeformConv2dOptions {
    Size2 stride = 1, padding = 0, dilation = 1;
};

/// The sizes of a deformable convolution; `mask` is null without one. Throws ShapeError and ValueError with the shapes.
inline kernels::DeformGeometry deform_conv2d_geometry(const Shape<4>& x, const Shape<4>& offset, const Shape<4>& weight,
                                                      const DeformConv2dOptions& o, const Shape<4>* mask = nullptr) {
    require<ValueError>(o.stride.h > 0 && o.stride.w > 0 && o.dilation.h > 0 && o.dilation.w > 0,
                        "deform_conv2d: stride and dilation must be positive (stride ", o.stride, ", dilation ",
                        o.dilation, ")");
    require<ValueError>(o.padding.h >= 0 && o.padding.w >= 0, "deform_conv2d: padding must not be negative but is ",
                        o.padding);
    require(weight[0] > 0 && weight[1] > 0 && weight[2] > 0 && weight[3] > 0,
            "deform_conv2d: weight must not be empty (input ", x, ", weight ", weight, ")");
    const Index groups = x[1] / weight[1];
    require(groups > 0 && x[1] % weight[1] == 0 && weight[0] % groups == 0,
            "deform_conv2d: channels must divide into groups of the weight's (input ", x, ", weight ", weight, ")");
    const auto outputs = [](Index in, Index kernel, Index stride, Index pad, Index dilation) {
        const Index room = in + 2 * pad - dilation * (kernel - 1) - 1;
        return room < 0 ? 0 : room / stride + 1;
    };
    const Index out_h = outputs(x[2], weight[2], o.stride.h, o.padding.h, o.dilation.h);
    const Index out_w = outputs(x[3], weight[3], o.stride.w, o.padding.w, o.dilation.w);
    require(x[2] > 0 && x[3] > 0 && out_h > 0 && out_w > 0,
            "deform_conv2d: padded input must be at least as large as the kernel (input ", x, ", weight ", weight,
            ", padding ", o.padding, ", dilation ", o.dilation, ")");
    const Index taps = weight[2] * weight[3], offset_groups = offset[1] / (2 * taps);
    require(offset_groups > 0 && offset[1] % (2 * taps) == 0 && x[1] % offset_groups == 0,
            "deform_conv2d: offset must have 2 channels for each of ", taps,
            " taps and each of the groups that the input's channels divide into (input ", x, ", offset ", offset, ")");
    const Shape offsets{x[0], offset[1], out_h, out_w}, masks{x[0], offset_groups * taps, out_h, out_w};
    require(offset == offsets, "deform_conv2d: offset must have shape ", offsets, " but has ", offset, " (input ", x,
            ", weight ", weight, ")");
    require(!mask || *mask == masks, "deform_conv2d: mask must have shape ", masks, " but has ", mask ? *mask : masks,
            " (input ", x, ", offset ", offset, ", weight ", weight, ")");
    return {{x[0], x[1], x[2], x[3], weight[0], weight[2], weight[3], o.stride.h, o.stride.w, o.padding.h, o.padding.w,
             o.dilation.h, o.dilation.w, groups, out_h, out_w},
            offset_groups};
}

/// Convolves `x` [N, Ci, H, W] by `weight` [Co, Ci/groups, Kh, Kw], tap (i, j) reading between the elements of x around
/// row oy stride - padding + i dilation + dy; zeros are outside. `offset` [N, 2 G Kh Kw, Ho, Wo] holds dy, dx of each
/// tap, for each of G parts of the channels; `mask` [N, G Kh Kw, Ho, Wo] multiplies what was read (version 2). Adds
/// `bias` [Co]. Throws ShapeError and ValueError (torchvision.ops.deform_conv2d).
template <Real T>
Tensor<T, 4> deform_conv2d(const Tensor<T, 4>& x, const Tensor<T, 4>& offset, const Tensor<T, 4>& weight,
                           const Optional<T, 1>& bias = {}, const DeformConv2dOptions& options = {},
                           const Optional<T, 4>& mask = {}) {
    const auto mask_shape = mask ? mask->shape() : Shape<4>();
    const auto g =
        deform_conv2d_geometry(x.shape(), offset.shape(), weight.shape(), options, mask ? &mask_shape : nullptr);
    require(!bias || bias->dim(0) == g.out_channels, "deform_conv2d: bias must have ", g.out_channels,
            " elements but has ", bias ? bias->dim(0) : 0, " (weight ", weight.shape(), ")");
    const auto input = contiguous(x), shifts = contiguous(offset), w = contiguous(weight);
    const auto factors = mask ? contiguous(*mask) : Tensor<T, 4>();
    const auto b = bias ? contiguous(*bias) : Tensor<T, 1>();
    auto y = empty<T>(Shape{g.batch, g.out_channels, g.out_h, g.out_w});
    kernels::deform_conv2d_forward(g, input.data(), shifts.data(), factors.data(), w.data(), y.mutable_data(),
                                   kernels::BiasRows{b.data()});
    if (auto* tape = autograd::recording(x, offset, weight, bias, mask))
        tape->record("deform_conv2d", y,
                     [g, x = autograd::saved(input), offset = autograd::saved(shifts), mask = autograd::saved(factors),
                      w = autograd::saved(w), b = b.grad_link()](const T* dy) {
                         const auto target = [](const auto& of) {
                             const auto to = autograd::grad_target(of);
                             return kernels::DeformGradient<T>{to.data, to.accumulate};
                         };
                         const kernels::DeformGradients<T> grads{target(x), target(offset), target(mask), target(w)};
                         if (grads.x.data || grads.offset.data || grads.mask.data || grads.weight.data)
                             kernels::deform_conv2d_backward(g, dy, x.data(), offset.data(), mask.data(), w.data(),
                                                             grads);
                         if (const auto db = autograd::grad_target<T>(b))
                             kernels::channel_sum(g.batch, g.out_channels, g.plane(), dy, db.data, db.accumulate);
                     });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
