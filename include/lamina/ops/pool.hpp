#pragma once
// Pooling over windows of [N, C, H, W]: largest element, mean, and means over a fixed number of windows.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/size2.hpp>
#include <lamina/kernels/pool.hpp>
#include <lamina/ops/contiguous.hpp>

#include <utility>

namespace lamina::inline LAMINA_ABI {

/// Options of max_pool2d; a stride of 0 means the kernel's size.
struct MaxPool2dOptions {
    Size2 kernel, stride = 0, padding = 0, dilation = 1;
    bool ceil_mode = false;  ///< round the output's size up, if the last window begins inside
};
/// Options of avg_pool2d; a stride of 0 means the kernel's size.
struct AvgPool2dOptions {
    Size2 kernel, stride = 0, padding = 0;
    bool ceil_mode = false;
    bool count_include_pad = true;  ///< zeros of the padding count in the mean
    Index divisor_override = 0;     ///< divide by this, if it is not 0
};

namespace detail {

template <Real T>
kernels::PoolGeometry pool_geometry(const char* op, const Tensor<T, 4>& x, Size2 kernel, Size2 stride, Size2 pad,
                                    Size2 dilation, bool ceil_mode) {
    if (stride == Size2(0)) stride = kernel;
    require<ValueError>(
        kernel.h > 0 && kernel.w > 0 && stride.h > 0 && stride.w > 0 && dilation.h > 0 && dilation.w > 0, op,
        ": kernel, stride and dilation must be positive (kernel ", kernel, ", stride ", stride, ", dilation ", dilation,
        ")");
    require<ValueError>(pad.h >= 0 && pad.w >= 0 && pad.h <= kernel.h / 2 && pad.w <= kernel.w / 2, op,
                        ": padding must be at most half the kernel (padding ", pad, ", kernel ", kernel, ")");
    const auto outputs = [&](Index in, Index k, Index s, Index p, Index d) {
        const Index room = in + 2 * p - d * (k - 1) - 1;
        Index out = (room + (ceil_mode ? s - 1 : 0)) / s + 1;
        if (room < 0) out = 0;
        if (ceil_mode && (out - 1) * s >= in + p) --out;  // the last window must begin inside
        return out;
    };
    const auto& s = x.shape();
    const Size2 out{outputs(s[2], kernel.h, stride.h, pad.h, dilation.h),
                    outputs(s[3], kernel.w, stride.w, pad.w, dilation.w)};
    require(out.h > 0 && out.w > 0, op, ": output must not be empty (input ", s, ", kernel ", kernel, ", stride ",
            stride, ", padding ", pad, ", dilation ", dilation, ")");
    return {s[0] * s[1], s[2],     s[3],  out.h, out.w,      kernel.h,  kernel.w,
            stride.h,    stride.w, pad.h, pad.w, dilation.h, dilation.w};
}

template <Real T>
kernels::PoolGeometry max_pool_geometry(const Tensor<T, 4>& x, const MaxPool2dOptions& o) {
    return pool_geometry("max_pool2d", x, o.kernel, o.stride, o.padding, o.dilation, o.ceil_mode);
}
inline Shape<4> pooled_shape(const Shape<4>& x, const kernels::PoolGeometry& g) {
    return {x[0], x[1], g.out_h, g.out_w};
}
template <Real T>
Tensor<T, 4> max_pool2d(const Tensor<T, 4>& x, const kernels::PoolGeometry& g, std::int64_t* indices) {
    const auto input = contiguous(x);
    auto y = empty<T>(pooled_shape(x.shape(), g));
    kernels::max_pool2d_forward(g, input.data(), y.mutable_data(), indices);
    if (auto* tape = autograd::recording(x))
        tape->record("max_pool2d", y, [g, x = autograd::saved(input)](const T* dy) {
            if (const auto dx = autograd::grad_target(x))
                kernels::max_pool2d_grad_input(g, x.data(), dy, dx.data, dx.accumulate);
        });
    return y;
}

}  // namespace detail

/// Largest element of each window of `x` [N, C, H, W]; NaN wins. The gradient goes to the first of equals. Throws
/// ShapeError and ValueError (torch.nn.functional.max_pool2d).
template <Real T>
Tensor<T, 4> max_pool2d(const Tensor<T, 4>& x, const MaxPool2dOptions& options) {
    return detail::max_pool2d(x, detail::max_pool_geometry(x, options), nullptr);
}
/// The same with the position of each in its plane, y * W + x.
template <Real T>
std::pair<Tensor<T, 4>, Tensor<std::int64_t, 4>> max_pool2d_with_indices(const Tensor<T, 4>& x,
                                                                         const MaxPool2dOptions& options) {
    const auto g = detail::max_pool_geometry(x, options);
    auto indices = empty<std::int64_t>(detail::pooled_shape(x.shape(), g));
    auto y = detail::max_pool2d(x, g, indices.mutable_data());
    return {std::move(y), std::move(indices)};
}

/// Mean of each window of `x` [N, C, H, W]. Throws ShapeError and ValueError (torch.nn.functional.avg_pool2d).
template <Real T>
Tensor<T, 4> avg_pool2d(const Tensor<T, 4>& x, const AvgPool2dOptions& o) {
    const auto g = detail::pool_geometry("avg_pool2d", x, o.kernel, o.stride, o.padding, 1, o.ceil_mode);
    const kernels::AverageDivisor divisor{o.count_include_pad, o.divisor_override};
    const auto input = contiguous(x);
    auto y = empty<T>(detail::pooled_shape(x.shape(), g));
    kernels::avg_pool2d_forward(g, divisor, input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("avg_pool2d", y, [g, divisor, x = x.grad_link()](const T* dy) {
            kernels::avg_pool2d_grad_input(g, divisor, dy, autograd::grad_ptr<T>(x));
        });
    return y;
}

/// Means over `output` windows that cover `x` [N, C, H, W] evenly; {1, 1} is global average pooling. Throws ShapeError
/// (torch.nn.functional.adaptive_avg_pool2d).
template <Real T>
Tensor<T, 4> adaptive_avg_pool2d(const Tensor<T, 4>& x, Size2 output) {
    require(output.h > 0 && output.w > 0 && x.dim(2) > 0 && x.dim(3) > 0,
            "adaptive_avg_pool2d: output and input must not be empty (input ", x.shape(), ", output ", output, ")");
    const kernels::PoolGeometry g{x.dim(0) * x.dim(1),
                                  x.dim(2),
                                  x.dim(3),
                                  output.h,
                                  output.w,
                                  x.dim(2) / output.h + 1,
                                  x.dim(3) / output.w + 1,
                                  1,
                                  1,
                                  0,
                                  0,
                                  1,
                                  1};
    const auto input = contiguous(x);
    auto y = empty<T>(detail::pooled_shape(x.shape(), g));
    kernels::adaptive_avg_pool2d_forward(g, input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("adaptive_avg_pool2d", y, [g, x = x.grad_link()](const T* dy) {
            kernels::adaptive_avg_pool2d_grad_input(g, dy, autograd::grad_ptr<T>(x));
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
