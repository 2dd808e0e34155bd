#pragma once
// Pooling of everything that lies behind [N, C], for any number of dimensions.
#include <lamina/ops/pool.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <class T, int R>
Tensor<T, 4> as_one_row(const Tensor<T, R>& x) {
    static_assert(R >= 3, "global pooling: the input has at least the dimensions [N, C, L]");
    return reshape(x, Shape{x.dim(0), x.dim(1), 1, x.shape().product(2, R)});
}
template <class T, int R>
Tensor<T, R> as_single(const Tensor<T, 4>& y, const Shape<R>& x) {
    Shape<R> shape = x;
    for (int d = 2; d < R; ++d) shape[d] = 1;
    return reshape(y, shape);
}

}  // namespace detail

/// Mean over all positions of `x` [N, C, ...], as [N, C, 1, ...]. Throws ShapeError for an empty plane.
template <Real T, int R>
Tensor<T, R> global_avg_pool(const Tensor<T, R>& x) {
    return detail::as_single(detail::adaptive_avg_pool2d("global_avg_pool", detail::as_one_row(x), 1), x.shape());
}
/// Largest element over all positions of `x` [N, C, ...], as [N, C, 1, ...]. Throws ShapeError for an empty plane.
template <Real T, int R>
Tensor<T, R> global_max_pool(const Tensor<T, R>& x) {
    return detail::as_single(detail::adaptive_max_pool2d("global_max_pool", detail::as_one_row(x), 1, false).y,
                             x.shape());
}

}  // namespace lamina::inline LAMINA_ABI
