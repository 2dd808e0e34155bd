#pragma once
// A weight in polar form: its direction and its length apart (Salimans and Kingma, 2016).
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/vector_norm.hpp>

namespace lamina::inline LAMINA_ABI {

/// g v / |v|, the norm taken over all dimensions but the first: `v` of any shape, `g` [n, 1, …]. Throws ShapeError.
template <Real T, int R>
    requires(R > 1)
Tensor<T, R> weight_norm(const Tensor<T, R>& v, const Tensor<T, R>& g) {
    const Index n = v.shape()[0];
    require(g.numel() == n, "weight_norm: g must have an element for each of ", n, " rows but has ", g.numel(), " (v ",
            v.shape(), ", g ", g.shape(), ")");
    const auto rows = reshape(v, Shape{n, v.shape().product(1, R)});
    const auto scale = reshape(g, Shape{n, Index(1)}) / norm(rows, axes<1>, keepdim);
    return reshape(rows * scale, v.shape());
}

}  // namespace lamina::inline LAMINA_ABI
