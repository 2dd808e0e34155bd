#pragma once
// The weights of an attention as a tensor, for those who want to look at them: the plain form, with its matrix.
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/attention.hpp>
#include <lamina/ops/comparison.hpp>
#include <lamina/ops/mask.hpp>
#include <lamina/ops/matmul.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/softmax.hpp>

namespace lamina::inline LAMINA_ABI {

/// softmax(scale Q K^T + mask) [B, h, n, m] of `q` [B, h, n, d] and `k` [B, h, m, d], for a mask as
/// scaled_dot_product_attention takes it; 0 for hidden keys, also in rows that see none. Throws ShapeError.
template <Real T>
Tensor<T, 4> attention_weights(const Tensor<T, 4>& q, const Tensor<T, 4>& k,
                               const std::type_identity_t<AttentionMask<T>>& mask = {}, double scale = 0) {
    const T factor = T(scale != 0 ? scale : 1 / std::sqrt(double(q.dim(3))));
    auto scores = matmul(q, transpose(k, 2, 3)) * factor;
    const T hidden = std::numeric_limits<T>::lowest() / 4;
    if (mask.add) scores = scores + masked_fill(*mask.add, lt(*mask.add, hidden), hidden);
    if (mask.keep) scores = masked_fill(scores, logical_not(*mask.keep), hidden);
    const auto out = lt(scores, hidden / 2);  // rows of such scores alone would share the weight
    return masked_fill(softmax(masked_fill(scores, out, hidden), 3), out, T(0));
}

/// The same of heads that lie side by side in features: `q` [B, n, heads * d], `k` [B, m, heads * d].
template <Real T>
Tensor<T, 4> attention_weights(const Tensor<T, 3>& q, const Tensor<T, 3>& k, Index heads,
                               const std::type_identity_t<AttentionMask<T>>& mask = {}, double scale = 0) {
    require(heads > 0 && q.dim(2) % heads == 0 && q.dim(2) == k.dim(2),
            "attention_weights: the number of heads must divide equal widths (", heads, ", query ", q.shape(), ", key ",
            k.shape(), ")");
    const auto apart = [&](const Tensor<T, 3>& x) {
        return permute(reshape(x, Shape{x.dim(0), x.dim(1), heads, x.dim(2) / heads}), {0, 2, 1, 3});
    };
    return attention_weights(apart(q), apart(k), mask, scale);
}

}  // namespace lamina::inline LAMINA_ABI
