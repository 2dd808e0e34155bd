#pragma once
// Distances between all pairs of rows.
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/vector_norm.hpp>

namespace lamina::inline LAMINA_ABI {

/// The p-norm of a_i - b_j for rows `a` [..., n, d] and `b` [..., m, d]: [..., n, m]; the gradient of a distance of 0
/// is 0. Holds n m d differences. Throws ShapeError, ValueError for a negative p (torch.cdist).
template <Real T, int R>
    requires(R >= 2)
Tensor<T, R> cdist(const Tensor<T, R>& a, const Tensor<T, R>& b, double p = 2) {
    require(a.shape()[R - 1] == b.shape()[R - 1], "cdist: rows must have the same width (", a.shape(), " and ",
            b.shape(), ")");
    return norm(unsqueeze(a, R - 1) - unsqueeze(b, R - 2), axes<-1>, p);
}

}  // namespace lamina::inline LAMINA_ABI
