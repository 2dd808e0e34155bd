#pragma once
// Convolution (cross-correlation, as in PyTorch) of images [N, C, H, W] and of sequences [N, C, L].
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/padding2.hpp>
#include <lamina/kernels/channel_sum.hpp>
#include <lamina/kernels/conv/conv2d.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/pad.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of conv2d.
struct Conv2dOptions {
    Size2 stride = 1;
    Padding2 padding = 0;
    Size2 dilation = 1;
    Index groups = 1;
    PadMode padding_mode = PadMode::constant;  ///< what the margins hold; constant means zeros
    ConvAlgorithm algorithm = ConvAlgorithm::automatic;
};

/// Options of conv1d.
struct Conv1dOptions {
    Index stride = 1;
    Padding padding = 0;
    Index dilation = 1, groups = 1;
    PadMode padding_mode = PadMode::constant;  ///< what the margins hold; constant means zeros
};

/// The sizes of a convolution of `x` by `weight`. Throws ShapeError and ValueError with both shapes.
inline kernels::Conv2dGeometry conv2d_geometry(const Shape<4>& x, const Shape<4>& weight, const Conv2dOptions& o,
                                               const char* op = "conv2d") {
    require<ValueError>(o.stride.h > 0 && o.stride.w > 0 && o.dilation.h > 0 && o.dilation.w > 0 && o.groups > 0, op,
                        ": stride, dilation and groups must be positive (stride ", o.stride, ", dilation ", o.dilation,
                        ", groups ", o.groups, ")");
    require(weight[0] > 0 && weight[1] > 0 && weight[2] > 0 && weight[3] > 0, op, ": weight must not be empty (input ",
            x, ", weight ", weight, ")");
    require(x[1] == weight[1] * o.groups, op, ": weight fits inputs of ", weight[1] * o.groups,
            " channels but input has ", x[1], " (input ", x, ", weight ", weight, ", groups ", o.groups, ")");
    require(weight[0] % o.groups == 0, op, ": output channels must divide into groups but are ", weight[0], " in ",
            o.groups, " (input ", x, ", weight ", weight, ")");
    require<ValueError>((o.padding.h.rule != Padding::Rule::same || o.stride.h == 1) &&
                            (o.padding.w.rule != Padding::Rule::same || o.stride.w == 1),
                        op, ": padding to the same size needs stride 1 but stride is ", o.stride);
    const Padding h = o.padding.h.resolve(x[2], weight[2], o.stride.h, o.dilation.h);
    const Padding w = o.padding.w.resolve(x[3], weight[3], o.stride.w, o.dilation.w);
    require<ValueError>(h.before >= 0 && h.after >= 0 && w.before >= 0 && w.after >= 0, op,
                        ": padding must not be negative but is ", o.padding);
    const auto outputs = [](Index in, Index kernel, Index stride, Padding pad, Index dilation) {
        const Index room = in + pad.before + pad.after - dilation * (kernel - 1) - 1;
        return room < 0 ? 0 : room / stride + 1;
    };
    const Index out_h = outputs(x[2], weight[2], o.stride.h, h, o.dilation.h);
    const Index out_w = outputs(x[3], weight[3], o.stride.w, w, o.dilation.w);
    require(out_h > 0 && out_w > 0, op, ": padded input must be at least as large as the kernel (input ", x,
            ", weight ", weight, ", padding ", o.padding, ", dilation ", o.dilation, ")");
    return {x[0],       x[1],     x[2],     x[3],         weight[0],    weight[2], weight[3], o.stride.h,
            o.stride.w, h.before, w.before, o.dilation.h, o.dilation.w, o.groups,  out_h,     out_w};
}

namespace detail {

/// The convolution with an epilogue in its store; `weight` and `x` are dense.
template <Real T, class Epilogue>
Tensor<T, 4> conv2d_apply(const kernels::Conv2dGeometry& g, ConvAlgorithm algorithm, const Tensor<T, 4>& x,
                          const Tensor<T, 4>& weight, const Epilogue& epilogue) {
    auto y = empty<T>(Shape{g.batch, g.out_channels, g.out_h, g.out_w});
    kernels::conv2d_forward(g, algorithm, x.data(), weight.data(), y.mutable_data(), epilogue);
    return y;
}

/// `x` with its margins laid around it by `o.padding_mode`, which is not constant, and the options of what is left to
/// do. Throws as conv2d_geometry does.
template <Real T>
Tensor<T, 4> conv2d_margins(const Tensor<T, 4>& x, const Shape<4>& weight, Conv2dOptions& o,
                            const char* op = "conv2d") {
    conv2d_geometry(x.shape(), weight, o, op);
    const Padding h = o.padding.h.resolve(x.dim(2), weight[2], o.stride.h, o.dilation.h);
    const Padding w = o.padding.w.resolve(x.dim(3), weight[3], o.stride.w, o.dilation.w);
    const PadMode mode = std::exchange(o.padding_mode, PadMode::constant);
    o.padding = 0;
    const Index margins[] = {w.before, w.after, h.before, h.after};
    return pad_by_index(x, Margins<4>(x.shape(), margins, mode), mode);
}

template <Real T>
Tensor<T, 4> conv2d(const char* op, const Tensor<T, 4>& x, const Tensor<T, 4>& weight, const Optional<T, 1>& bias,
                    Conv2dOptions options) {
    if (options.padding_mode != PadMode::constant) {
        const auto padded = conv2d_margins(x, weight.shape(), options, op);
        return conv2d(op, padded, weight, bias, options);
    }
    const auto g = conv2d_geometry(x.shape(), weight.shape(), options, op);
    require(!bias || bias->dim(0) == g.out_channels, op, ": bias must have ", g.out_channels, " elements but has ",
            bias ? bias->dim(0) : 0, " (weight ", weight.shape(), ")");
    const auto input = contiguous(x), w = contiguous(weight);
    const auto b = bias ? contiguous(*bias) : Tensor<T, 1>();
    auto y = conv2d_apply(g, options.algorithm, input, w, kernels::BiasRows{b.data()});
    if (auto* tape = autograd::recording(x, weight, bias))
        tape->record(op, y,
                     [g, algorithm = options.algorithm, x = autograd::saved(input), w = autograd::saved(w),
                      b = b.grad_link()](const T* dy) {
                         if (const auto dx = autograd::grad_target(x))
                             kernels::conv2d_grad_input(g, algorithm, dy, w.data(), dx.data, dx.accumulate);
                         if (const auto dw = autograd::grad_target(w))
                             kernels::conv2d_grad_weight(g, algorithm, dy, x.data(), dw.data, dw.accumulate);
                         if (const auto db = autograd::grad_target<T>(b))
                             kernels::channel_sum(g.batch, g.out_channels, g.plane(), dy, db.data, db.accumulate);
                     });
    return y;
}

}  // namespace detail

/// Cross-correlates `x` [N, Ci, H, W] with `weight` [Co, Ci/groups, Kh, Kw] and adds `bias` [Co]. Throws ShapeError and
/// ValueError (torch.nn.functional.conv2d).
template <Real T>
Tensor<T, 4> conv2d(const Tensor<T, 4>& x, const Tensor<T, 4>& weight, const Optional<T, 1>& bias = {},
                    const Conv2dOptions& options = {}) {
    return detail::conv2d("conv2d", x, weight, bias, options);
}

/// Cross-correlates `x` [N, Ci, L] with `weight` [Co, Ci/groups, K] and adds `bias` [Co]: conv2d of images one row
/// high, which its errors show. Throws ShapeError and ValueError (torch.nn.functional.conv1d).
template <Real T>
Tensor<T, 3> conv1d(const Tensor<T, 3>& x, const Tensor<T, 3>& weight, const Optional<T, 1>& bias = {},
                    const Conv1dOptions& o = {}) {
    const auto flat = [](const Tensor<T, 3>& t) { return reshape(t, Shape{t.dim(0), t.dim(1), Index(1), t.dim(2)}); };
    const auto y = detail::conv2d("conv1d", flat(x), flat(weight), bias,
                                  {.stride = {1, o.stride},
                                   .padding = {0, o.padding},
                                   .dilation = {1, o.dilation},
                                   .groups = o.groups,
                                   .padding_mode = o.padding_mode});
    return reshape(y, Shape{y.dim(0), y.dim(1), y.dim(3)});
}

}  // namespace lamina::inline LAMINA_ABI
