#pragma once
// Two-dimensional convolution (cross-correlation, as in PyTorch) of [N, C, H, W].
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/size2.hpp>
#include <lamina/kernels/channel_sum.hpp>
#include <lamina/kernels/conv/conv2d.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of conv2d; zeros are padded on both sides.
struct Conv2dOptions {
    Size2 stride = 1, padding = 0, dilation = 1;
    Index groups = 1;
};

/// The sizes of a convolution of `x` by `weight`. Throws ShapeError and ValueError with both shapes.
inline kernels::Conv2dGeometry conv2d_geometry(const Shape<4>& x, const Shape<4>& weight, const Conv2dOptions& o) {
    require<ValueError>(o.stride.h > 0 && o.stride.w > 0 && o.dilation.h > 0 && o.dilation.w > 0 && o.groups > 0,
                        "conv2d: stride, dilation and groups must be positive (stride ", o.stride, ", dilation ",
                        o.dilation, ", groups ", o.groups, ")");
    require<ValueError>(o.padding.h >= 0 && o.padding.w >= 0, "conv2d: padding must not be negative but is ",
                        o.padding);
    require(weight[0] > 0 && weight[1] > 0 && weight[2] > 0 && weight[3] > 0,
            "conv2d: weight must not be empty (input ", x, ", weight ", weight, ")");
    require(x[1] == weight[1] * o.groups, "conv2d: weight fits inputs of ", weight[1] * o.groups,
            " channels but input has ", x[1], " (input ", x, ", weight ", weight, ", groups ", o.groups, ")");
    require(weight[0] % o.groups == 0, "conv2d: output channels must divide into groups but are ", weight[0], " in ",
            o.groups, " (input ", x, ", weight ", weight, ")");
    const auto outputs = [](Index in, Index kernel, Index stride, Index pad, Index dilation) {
        const Index room = in + 2 * pad - dilation * (kernel - 1) - 1;
        return room < 0 ? 0 : room / stride + 1;
    };
    const Index out_h = outputs(x[2], weight[2], o.stride.h, o.padding.h, o.dilation.h);
    const Index out_w = outputs(x[3], weight[3], o.stride.w, o.padding.w, o.dilation.w);
    require(out_h > 0 && out_w > 0, "conv2d: padded input must be at least as large as the kernel (input ", x,
            ", weight ", weight, ", padding ", o.padding, ", dilation ", o.dilation, ")");
    return {x[0],       x[1],        x[2],        x[3],         weight[0],    weight[2], weight[3], o.stride.h,
            o.stride.w, o.padding.h, o.padding.w, o.dilation.h, o.dilation.w, o.groups,  out_h,     out_w};
}

namespace detail {

/// The convolution with an epilogue in its store; `weight` and `x` are dense.
template <Real T, class Epilogue>
Tensor<T, 4> conv2d_apply(const kernels::Conv2dGeometry& g, const Tensor<T, 4>& x, const Tensor<T, 4>& weight,
                          const Epilogue& epilogue) {
    auto y = empty<T>(Shape{g.batch, g.out_channels, g.out_h, g.out_w});
    kernels::conv2d_forward(g, x.data(), weight.data(), y.mutable_data(), epilogue);
    return y;
}

}  // namespace detail

/// Cross-correlates `x` [N, Ci, H, W] with `weight` [Co, Ci/groups, Kh, Kw] and adds `bias` [Co]. Throws ShapeError and
/// ValueError (torch.nn.functional.conv2d).
template <Real T>
Tensor<T, 4> conv2d(const Tensor<T, 4>& x, const Tensor<T, 4>& weight, const Optional<T, 1>& bias = {},
                    const Conv2dOptions& options = {}) {
    const auto g = conv2d_geometry(x.shape(), weight.shape(), options);
    require(!bias || bias->dim(0) == g.out_channels, "conv2d: bias must have ", g.out_channels, " elements but has ",
            bias ? bias->dim(0) : 0, " (weight ", weight.shape(), ")");
    const auto input = contiguous(x), w = contiguous(weight);
    const auto b = bias ? contiguous(*bias) : Tensor<T, 1>();
    auto y = detail::conv2d_apply(g, input, w, kernels::BiasRows{b.data()});
    if (auto* tape = autograd::recording(x, weight, bias))
        tape->record(
            "conv2d", y, [g, x = autograd::saved(input), w = autograd::saved(w), b = b.grad_link()](const T* dy) {
                if (const auto dx = autograd::grad_target(x))
                    kernels::conv2d_grad_input(g, dy, w.data(), dx.data, dx.accumulate);
                if (const auto dw = autograd::grad_target(w))
                    kernels::conv2d_grad_weight(g, dy, x.data(), dw.data, dw.accumulate);
                if (const auto db = autograd::grad_target<T>(b))
                    kernels::channel_sum(g.batch, g.out_channels, g.out_h * g.out_w, dy, db.data, db.accumulate);
            });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
