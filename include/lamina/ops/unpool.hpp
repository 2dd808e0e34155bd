#pragma once
// Un-pooling: values back to the positions max pooling took them from, to the top left of each block, or to all of it.
#include <lamina/kernels/unpool.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/pool_1d.hpp>

namespace lamina::inline LAMINA_ABI {

/// Options of max_unpool2d: those of the pooling, and the size it had where several are possible.
struct MaxUnpool2dOptions {
    Size2 kernel, stride = 0, padding = 0;
    Size2 output_size = 0;  ///< 0: (in - 1) * stride - 2 * padding + kernel
};
/// Options of max_unpool1d.
struct MaxUnpool1dOptions {
    Index kernel = 0, stride = 0, padding = 0;
    Index output_size = 0;
};

namespace detail {

template <Real T>
Tensor<T, 4> max_unpool2d(const char* op, const Tensor<T, 4>& x, const Tensor<std::int64_t, 4>& indices,
                          const MaxUnpool2dOptions& o) {
    require(x.shape() == indices.shape(), op, ": indices must have the shape of the input (", x.shape(), " and ",
            indices.shape(), ")");
    const Size2 stride = o.stride == Size2(0) ? o.kernel : o.stride;
    require<ValueError>(
        o.kernel.h > 0 && o.kernel.w > 0 && stride.h > 0 && stride.w > 0 && o.padding.h >= 0 && o.padding.w >= 0, op,
        ": kernel and stride must be positive and padding not negative (kernel ", o.kernel, ", stride ", stride,
        ", padding ", o.padding, ")");
    const Size2 usual{(x.dim(2) - 1) * stride.h - 2 * o.padding.h + o.kernel.h,
                      (x.dim(3) - 1) * stride.w - 2 * o.padding.w + o.kernel.w};
    const Size2 size = o.output_size == Size2(0) ? usual : o.output_size;
    require(size.h > usual.h - stride.h && size.h < usual.h + stride.h && size.w > usual.w - stride.w &&
                size.w < usual.w + stride.w && size.h > 0 && size.w > 0,
            op, ": output_size must be within a stride of ", usual, " but is ", size, " (input ", x.shape(),
            ", stride ", stride, ")");
    const auto input = contiguous(x);
    const auto positions = contiguous(indices);
    const Index planes = x.dim(0) * x.dim(1), count = x.dim(2) * x.dim(3), area = size.h * size.w;
    for (Index i = 0; i < positions.numel(); ++i) {
        const Index at = positions.data()[i];
        require<ValueError>(at >= 0 && at < area, op, ": index ", at, " is outside a plane of ", size);
    }
    auto y = empty<T>(Shape{x.dim(0), x.dim(1), size.h, size.w});
    kernels::unpool_forward(planes, count, area, input.data(), positions.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record(
            op, y, [planes, count, area, x = x.grad_link(), indices = autograd::saved(positions)](const T* dy) {
                if (const auto dx = autograd::grad_target<T>(x))
                    kernels::unpool_grad_input(planes, count, area, indices.data(), dy, dx.data, dx.accumulate);
            });
    return y;
}

}  // namespace detail

/// Zeros but for each value of `x` [N, C, H, W] at its position in `indices`, as max_pool2d_with_indices gave them. Of
/// repeated positions the last value in row-major order stays; gradients are read at all of them. Throws ShapeError,
/// and ValueError for a position outside (torch.nn.functional.max_unpool2d; Zeiler, Fergus 2014).
template <Real T>
Tensor<T, 4> max_unpool2d(const Tensor<T, 4>& x, const Tensor<std::int64_t, 4>& indices,
                          const MaxUnpool2dOptions& options) {
    return detail::max_unpool2d("max_unpool2d", x, indices, options);
}
/// The same for `x` [N, C, L] (torch.nn.functional.max_unpool1d).
template <Real T>
Tensor<T, 3> max_unpool1d(const Tensor<T, 3>& x, const Tensor<std::int64_t, 3>& indices, const MaxUnpool1dOptions& o) {
    return detail::as_signal(
        detail::max_unpool2d("max_unpool1d", detail::as_plane(x), detail::as_plane(indices),
                             {detail::along(o.kernel), detail::along(o.stride ? o.stride : o.kernel),
                              detail::along(o.padding, 0), o.output_size ? detail::along(o.output_size) : Size2(0)}));
}

/// Each pixel of `x` [N, C, H, W] at the top left of a block of `factor` zeros, [N, C, H fh, W fw] ("bed of nails").
/// Throws ValueError.
template <Real T>
Tensor<T, 4> bed_of_nails_unpool2d(const Tensor<T, 4>& x, Size2 factor) {
    require<ValueError>(factor.h > 0 && factor.w > 0, "bed_of_nails_unpool2d: factor must be positive but is ", factor);
    const auto& s = x.shape();
    auto y = zeros<T>(Shape{s[0], s[1], s[2] * factor.h, s[3] * factor.w});
    Strides<4> nails = contiguous_strides(y.shape());
    nails[2] *= factor.h;
    nails[3] *= factor.w;
    auto layout = kernels::to_dense(s, x.strides());
    for (int d = 0; d < 4; ++d) layout.to[d] = nails[std::size_t(d)];
    kernels::copy(layout, x.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x))
        tape->record("bed_of_nails_unpool2d", y, [s, nails, x = x.grad_link()](const T* dy) {
            const auto dx = autograd::grad_target<T>(x);
            const auto back = kernels::to_dense(s, nails);
            if (dx && dx.accumulate) kernels::copy<kernels::Write::add>(back, dy, dx.data);
            else if (dx) kernels::copy(back, dy, dx.data);
        });
    return y;
}

/// Each pixel of `x` [N, C, H, W] repeated over a block of `factor`, [N, C, H fh, W fw]. Throws ValueError.
template <Real T>
Tensor<T, 4> nearest_unpool2d(const Tensor<T, 4>& x, Size2 factor) {
    require<ValueError>(factor.h > 0 && factor.w > 0, "nearest_unpool2d: factor must be positive but is ", factor);
    return interpolate(x, {.size = {x.dim(2) * factor.h, x.dim(3) * factor.w}});
}

}  // namespace lamina::inline LAMINA_ABI
