#pragma once
// Transposed convolution of images [N, C, H, W] and of sequences [N, C, L]: the gradient of a convolution as a layer
// that makes images larger.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/padding2.hpp>
#include <lamina/kernels/channel_sum.hpp>
#include <lamina/kernels/conv/conv2d.hpp>
#include <lamina/kernels/conv/transposed.hpp>
#include <lamina/kernels/policy.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of conv_transpose2d, in the order of PyTorch's arguments: output_padding and groups before dilation.
struct ConvTranspose2dOptions {
    Size2 stride = 1;
    Padding2 padding = 0;      ///< rows and columns taken off the result
    Size2 output_padding = 0;  ///< rows and columns more behind, less than stride or dilation
    Index groups = 1;
    Size2 dilation = 1;
    Size2 output_size = 0;  ///< instead of output_padding; 0 leaves it to that
    ConvAlgorithm algorithm = ConvAlgorithm::automatic;
};

/// Options of conv_transpose1d, likewise.
struct ConvTranspose1dOptions {
    Index stride = 1;
    Padding padding = 0;
    Index output_padding = 0, groups = 1, dilation = 1, output_size = 0;
};

/// The sizes of the convolution that the transposed convolution of `x` by `weight` is the gradient of. Throws
/// ShapeError and ValueError with both shapes.
inline kernels::Conv2dGeometry conv_transpose2d_geometry(const Shape<4>& x, const Shape<4>& weight,
                                                         const ConvTranspose2dOptions& o,
                                                         const char* op = "conv_transpose2d") {
    require<ValueError>(o.stride.h > 0 && o.stride.w > 0 && o.dilation.h > 0 && o.dilation.w > 0 && o.groups > 0, op,
                        ": stride, dilation and groups must be positive (stride ", o.stride, ", dilation ", o.dilation,
                        ", groups ", o.groups, ")");
    const auto given = [](const Padding& p) { return p.rule == Padding::Rule::given && p.before >= 0 && p.after >= 0; };
    require<ValueError>(given(o.padding.h) && given(o.padding.w), op,
                        ": padding must be numbers that are not negative but is ", o.padding);
    require(weight[0] > 0 && weight[1] > 0 && weight[2] > 0 && weight[3] > 0, op, ": weight must not be empty (input ",
            x, ", weight ", weight, ")");
    require(x[1] == weight[0], op, ": weight fits inputs of ", weight[0], " channels but input has ", x[1], " (input ",
            x, ", weight ", weight, ")");
    require(x[1] % o.groups == 0, op, ": input channels must divide into groups but are ", x[1], " in ", o.groups,
            " (input ", x, ", weight ", weight, ")");
    require(x[2] > 0 && x[3] > 0, op, ": input must not be empty (input ", x, ", weight ", weight, ")");
    Size2 more = o.output_padding;
    const auto least = [](Index in, Index kernel, Index stride, const Padding& pad, Index dilation) {
        return (in - 1) * stride - pad.before - pad.after + dilation * (kernel - 1) + 1;
    };
    const Size2 size{least(x[2], weight[2], o.stride.h, o.padding.h, o.dilation.h),
                     least(x[3], weight[3], o.stride.w, o.padding.w, o.dilation.w)};
    if (!(o.output_size == Size2(0))) {
        more = {o.output_size.h - size.h, o.output_size.w - size.w};
        require<ValueError>(more.h >= 0 && more.w >= 0 && more.h < o.stride.h && more.w < o.stride.w, op,
                            ": output size must be from ", size, " to ",
                            Size2(size.h + o.stride.h - 1, size.w + o.stride.w - 1), " but is ", o.output_size,
                            " (input ", x, ", weight ", weight, ", stride ", o.stride, ")");
    }
    const auto small = [](Index n, Index stride, Index dilation) { return n >= 0 && (n < stride || n < dilation); };
    require<ValueError>(small(more.h, o.stride.h, o.dilation.h) && small(more.w, o.stride.w, o.dilation.w), op,
                        ": output padding must be less than stride or dilation but is ", more, " (stride ", o.stride,
                        ", dilation ", o.dilation, ")");
    const Size2 out{size.h + more.h, size.w + more.w};
    require(out.h > 0 && out.w > 0, op, ": output must not be empty but would be ", out, " (input ", x, ", weight ",
            weight, ", stride ", o.stride, ", padding ", o.padding, ")");
    return {x[0],
            weight[1] * o.groups,
            out.h,
            out.w,
            x[1],
            weight[2],
            weight[3],
            o.stride.h,
            o.stride.w,
            o.padding.h.before,
            o.padding.w.before,
            o.dilation.h,
            o.dilation.w,
            o.groups,
            x[2],
            x[3]};
}

namespace detail {

/// dx = dL/dx of a transposed convolution, an ordinary convolution of dy, or is added to.
template <Real T>
void conv_transpose_grad_input(const kernels::Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const T* w,
                               const autograd::GradTarget<T>& dx) {
    if (!dx.accumulate) return kernels::conv2d_forward(g, algorithm, dy, w, dx.data);
    auto part = empty<T>(Shape{g.batch, g.out_channels, g.out_h, g.out_w});
    kernels::conv2d_forward(g, algorithm, dy, w, part.mutable_data());
    const T* from = part.data();
    parallel::for_range(part.numel(), kernels::pointwise_grain, [&](Index begin, Index end) {
        simd::for_each_vec(
            end - begin, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a + b; }, dx.data + begin,
            (const T*)dx.data + begin, from + begin);
    });
}

template <Real T>
Tensor<T, 4> conv_transpose2d(const char* op, const Tensor<T, 4>& x, const Tensor<T, 4>& weight,
                              const Optional<T, 1>& bias, const ConvTranspose2dOptions& options) {
    const auto g = conv_transpose2d_geometry(x.shape(), weight.shape(), options, op);
    require(!bias || bias->dim(0) == g.in_channels, op, ": bias must have ", g.in_channels, " elements but has ",
            bias ? bias->dim(0) : 0, " (weight ", weight.shape(), ", groups ", g.groups, ")");
    const auto input = contiguous(x), w = contiguous(weight);
    const auto b = bias ? contiguous(*bias) : Tensor<T, 1>();
    auto y = empty<T>(Shape{g.batch, g.in_channels, g.in_h, g.in_w});
    kernels::conv_transpose2d_forward(g, options.algorithm, input.data(), w.data(), y.mutable_data(),
                                      kernels::BiasRows{b.data()});
    if (auto* tape = autograd::recording(x, weight, bias))
        tape->record(op, y,
                     [g, algorithm = options.algorithm, x = autograd::saved(input), w = autograd::saved(w),
                      b = b.grad_link()](const T* dy) {
                         if (const auto dx = autograd::grad_target(x))
                             conv_transpose_grad_input(g, algorithm, dy, w.data(), dx);
                         if (const auto dw = autograd::grad_target(w))
                             kernels::conv2d_grad_weight(g, algorithm, x.data(), dy, dw.data, dw.accumulate);
                         if (const auto db = autograd::grad_target<T>(b))
                             kernels::channel_sum(g.batch, g.in_channels, g.in_plane(), dy, db.data, db.accumulate);
                     });
    return y;
}

}  // namespace detail

/// Transposed convolution of `x` [N, Ci, H, W] by `weight` [Ci, Co/groups, Kh, Kw], plus `bias` [Co]:
/// y[stride i - padding + dilation k] += x[i] w[k], of (H - 1) stride - 2 padding + dilation (Kh - 1) + output_padding
/// + 1 rows. Throws ShapeError and ValueError (torch.nn.functional.conv_transpose2d).
template <Real T>
Tensor<T, 4> conv_transpose2d(const Tensor<T, 4>& x, const Tensor<T, 4>& weight, const Optional<T, 1>& bias = {},
                              const ConvTranspose2dOptions& options = {}) {
    return detail::conv_transpose2d("conv_transpose2d", x, weight, bias, options);
}

/// Transposed convolution of `x` [N, Ci, L] by `weight` [Ci, Co/groups, K]: conv_transpose2d of images one row high,
/// which its errors show. Throws ShapeError and ValueError (torch.nn.functional.conv_transpose1d).
template <Real T>
Tensor<T, 3> conv_transpose1d(const Tensor<T, 3>& x, const Tensor<T, 3>& weight, const Optional<T, 1>& bias = {},
                              const ConvTranspose1dOptions& o = {}) {
    const auto flat = [](const Tensor<T, 3>& t) { return reshape(t, Shape{t.dim(0), t.dim(1), Index(1), t.dim(2)}); };
    const auto y = detail::conv_transpose2d("conv_transpose1d", flat(x), flat(weight), bias,
                                            {.stride = {1, o.stride},
                                             .padding = {0, o.padding},
                                             .output_padding = {0, o.output_padding},
                                             .groups = o.groups,
                                             .dilation = {1, o.dilation},
                                             .output_size = o.output_size > 0 ? Size2(1, o.output_size) : Size2(0)});
    return reshape(y, Shape{y.dim(0), y.dim(1), y.dim(3)});
}

}  // namespace lamina::inline LAMINA_ABI
