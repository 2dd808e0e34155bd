#pragma once
// Pooling over windows of [N, C, H, W]: largest element and mean, of windows given by size or by number.
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
        const Index room = in + 2 * p - d * (k - 1) - 1 + (ceil_mode ? s - 1 : 0);
        Index out = room < 0 ? 0 : room / s + 1;
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
kernels::PoolGeometry max_pool_geometry(const char* op, const Tensor<T, 4>& x, const MaxPool2dOptions& o) {
    const auto g = pool_geometry(op, x, o.kernel, o.stride, o.padding, o.dilation, o.ceil_mode);
    // A wide dilation may step over a small input.
    bool meets = true;
    for (Index i = 0; i < g.out_h; ++i) meets = meets && kernels::detail::row_taps(g, i).first < g.in_h;
    for (Index i = 0; i < g.out_w; ++i) meets = meets && kernels::detail::column_taps(g, i).first < g.in_w;
    require(meets, op, ": every window must meet the input (input ", x.shape(), ", kernel ", o.kernel, ", padding ",
            o.padding, ", dilation ", o.dilation, ")");
    return g;
}
inline Shape<4> pooled_shape(const Shape<4>& x, const kernels::PoolGeometry& g) {
    return {x[0], x[1], g.out_h, g.out_w};
}
/// Windows in any number that cover the planes of `x` evenly.
template <Real T>
kernels::PoolGeometry adaptive_geometry(const char* op, const Tensor<T, 4>& x, Size2 output) {
    require(output.h > 0 && output.w > 0 && x.dim(2) > 0 && x.dim(3) > 0, op,
            ": output and input must not be empty (input ", x.shape(), ", output ", output, ")");
    kernels::PoolGeometry g{};
    g.planes = x.dim(0) * x.dim(1);
    g.in_h = x.dim(2), g.in_w = x.dim(3);
    g.out_h = output.h, g.out_w = output.w;
    g.kernel_h = g.in_h / g.out_h + 1, g.kernel_w = g.in_w / g.out_w + 1;
    return g;
}

template <Real T>
struct Pooled {
    Tensor<T, 4> y;
    Tensor<std::int64_t, 4> indices;  ///< undefined unless asked for
};

template <Real T>
Pooled<T> max_pool2d(const char* op, const Tensor<T, 4>& x, const MaxPool2dOptions& o, bool with_indices) {
    const auto g = max_pool_geometry(op, x, o);
    require(g.in_h * g.in_w <= std::numeric_limits<kernels::detail::PoolPosition<T>>::max(), op,
            ": a plane must have less than 2^31 elements (input ", x.shape(), ")");
    const auto input = contiguous(x);
    Pooled<T> out{empty<T>(pooled_shape(x.shape(), g)), {}};
    if (with_indices) out.indices = empty<std::int64_t>(out.y.shape());
    kernels::max_pool2d_forward(g, input.data(), out.y.mutable_data(),
                                with_indices ? out.indices.mutable_data() : nullptr);
    if (auto* tape = autograd::recording(x))
        tape->record(op, out.y, [g, x = autograd::saved(input)](const T* dy) {
            if (const auto dx = autograd::grad_target(x))
                kernels::max_pool2d_grad_input(g, x.data(), dy, dx.data, dx.accumulate);
        });
    return out;
}
template <Real T>
Pooled<T> adaptive_max_pool2d(const char* op, const Tensor<T, 4>& x, Size2 output, bool with_indices) {
    const auto g = adaptive_geometry(op, x, output);
    const auto input = contiguous(x);
    Pooled<T> out{empty<T>(pooled_shape(x.shape(), g)), {}};
    if (with_indices) out.indices = empty<std::int64_t>(out.y.shape());
    kernels::adaptive_max_pool2d_forward(g, input.data(), out.y.mutable_data(),
                                         with_indices ? out.indices.mutable_data() : nullptr);
    if (auto* tape = autograd::recording(x))
        tape->record(op, out.y, [g, x = autograd::saved(input)](const T* dy) {
            if (const auto dx = autograd::grad_target(x))
                kernels::adaptive_max_pool2d_grad_input(g, x.data(), dy, dx.data, dx.accumulate);
        });
    return out;
}
template <Real T>
Tensor<T, 4> avg_pool2d(const char* op, const Tensor<T, 4>& x, const AvgPool2dOptions& o) {
    const auto g = pool_geometry(op, x, o.kernel, o.stride, o.padding, 1, o.ceil_mode);
    const kernels::AverageDivisor divisor{o.count_include_pad, o.divisor_override};
    const auto input = contiguous(x);
    auto y = empty<T>(pooled_shape(x.shape(), g));
    kernels::avg_pool2d_forward(g, divisor, input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record(op, y, [g, divisor, x = x.grad_link()](const T* dy) {
            if (T* dx = autograd::grad_ptr<T>(x)) kernels::avg_pool2d_grad_input(g, divisor, dy, dx);
        });
    return y;
}
template <Real T>
Tensor<T, 4> adaptive_avg_pool2d(const char* op, const Tensor<T, 4>& x, Size2 output) {
    const auto g = adaptive_geometry(op, x, output);
    const auto input = contiguous(x);
    auto y = empty<T>(pooled_shape(x.shape(), g));
    kernels::adaptive_avg_pool2d_forward(g, input.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record(op, y, [g, x = x.grad_link()](const T* dy) {
            if (T* dx = autograd::grad_ptr<T>(x)) kernels::adaptive_avg_pool2d_grad_input(g, dy, dx);
        });
    return y;
}

}  // namespace detail

/// Largest element of each window of `x` [N, C, H, W]; NaN wins. The gradient goes to the first of equals. Throws
/// ShapeError and ValueError (torch.nn.functional.max_pool2d).
template <Real T>
Tensor<T, 4> max_pool2d(const Tensor<T, 4>& x, const MaxPool2dOptions& options) {
    return detail::max_pool2d("max_pool2d", x, options, false).y;
}
/// The same with the position of each in its plane, y * W + x.
template <Real T>
std::pair<Tensor<T, 4>, Tensor<std::int64_t, 4>> max_pool2d_with_indices(const Tensor<T, 4>& x,
                                                                         const MaxPool2dOptions& options) {
    auto [y, indices] = detail::max_pool2d("max_pool2d", x, options, true);
    return {std::move(y), std::move(indices)};
}

/// Mean of each window of `x` [N, C, H, W]. Throws ShapeError and ValueError (torch.nn.functional.avg_pool2d).
template <Real T>
Tensor<T, 4> avg_pool2d(const Tensor<T, 4>& x, const AvgPool2dOptions& options) {
    return detail::avg_pool2d("avg_pool2d", x, options);
}

/// Means over `output` windows that cover `x` [N, C, H, W] evenly; {1, 1} is global average pooling. Throws ShapeError
/// (torch.nn.functional.adaptive_avg_pool2d).
template <Real T>
Tensor<T, 4> adaptive_avg_pool2d(const Tensor<T, 4>& x, Size2 output) {
    return detail::adaptive_avg_pool2d("adaptive_avg_pool2d", x, output);
}

/// Largest elements of `output` windows that cover `x` [N, C, H, W] evenly. Throws ShapeError
/// (torch.nn.functional.adaptive_max_pool2d).
template <Real T>
Tensor<T, 4> adaptive_max_pool2d(const Tensor<T, 4>& x, Size2 output) {
    return detail::adaptive_max_pool2d("adaptive_max_pool2d", x, output, false).y;
}
/// The same with the position of each in its plane, y * W + x.
template <Real T>
std::pair<Tensor<T, 4>, Tensor<std::int64_t, 4>> adaptive_max_pool2d_with_indices(const Tensor<T, 4>& x, Size2 output) {
    auto [y, indices] = detail::adaptive_max_pool2d("adaptive_max_pool2d", x, output, true);
    return {std::move(y), std::move(indices)};
}

}  // namespace lamina::inline LAMINA_ABI
