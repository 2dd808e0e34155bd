#pragma once
// Softmax attention, exact and tiled, without the matrix of scores: on heads that lie anywhere, and on the heads inside
// the features of [B, n, h * d], which are read and written in place.
#include <lamina/ops/attention_record.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <Real T, int R>
void check_attention(const char* op, const Tensor<T, R>& q, const Tensor<T, R>& k, const Tensor<T, R>& v) {
    const auto fits = [&](bool holds, const char* what) {
        require(holds, op, ": ", what, " (query ", q.shape(), ", key ", k.shape(), ", value ", v.shape(), ")");
    };
    fits(q.shape()[R - 1] == k.shape()[R - 1], "query and key must have the same width");
    fits(k.shape()[R - 2] == v.shape()[R - 2], "key and value must have the same number of rows");
    for (int d = 0; d < R - 2; ++d) {
        fits(k.shape()[d] == v.shape()[d], "key and value must have the same batch and heads");
        const bool heads = R == 4 && d == 1 && k.shape()[d] > 0;  // of which a key may serve several
        fits(heads ? q.shape()[d] % k.shape()[d] == 0 : q.shape()[d] == k.shape()[d],
             heads ? "heads of the query must be a multiple of those of the key"
                   : "query and key must have the same batch");
    }
}

/// [n, d] and [B, n, d] as [B, heads, n, d].
template <Real T, int R>
Tensor<T, 4> with_heads(const Tensor<T, R>& x) {
    if constexpr (R == 4) return x;
    else if constexpr (R == 3) return unsqueeze(x, 1);
    else return with_heads(unsqueeze(x, 0));
}

/// [B, n, heads * width] as [B, heads, n, width], from column `first` on.
template <Real T>
AttentionOperand<T> heads_inside(const Tensor<T, 3>& x, Index heads, Index width, Index first = 0) {
    const Strides<3>& s = x.strides();
    const Index rows = x.dim(1), features = x.dim(2);
    Tensor<T, 4> view(x.storage(), const_cast<T*>(x.data()) + first * s[2], Shape{x.dim(0), heads, rows, width},
                      Strides<4>{s[0], width * s[2], s[1], s[2]});
    view.set_grad_link(x.grad_link());
    return {view, x.grad_link(), Strides<4>{rows * features, width, features, 1}, first};
}

}  // namespace detail

/// softmax(scale Q K^T + mask) V of `q` [..., n, d], `k` [..., m, d] and `v` [..., m, e] as [..., n, e], each of rank
/// 2, 3 [B, …] or 4 [B, h, …], of any strides; with rank 4, h may be a multiple of the heads of `k` and `v`, which then
/// serve neighbouring heads. A boolean `mask` says which keys a query may see (true: may); another is added to the
/// scores, and -inf hides. It broadcasts to [B, h, n, m]. A query that sees no key gives 0, and hidden keys may hold
/// NaN. Throws ShapeError, and ValueError for `causal` together with a mask
/// (torch.nn.functional.scaled_dot_product_attention).
template <Real T, int R>
    requires(R >= 2 && R <= 4)
Tensor<T, R> scaled_dot_product_attention(const Tensor<T, R>& q, const Tensor<T, R>& k, const Tensor<T, R>& v,
                                          const std::type_identity_t<AttentionMask<T>>& mask,
                                          const AttentionOptions& options = {}) {
    constexpr const char* op = "scaled_dot_product_attention";
    detail::check_attention(op, q, k, v);
    require<ValueError>(options.causal == Causal::none || !(mask.keep || mask.add || mask.distance), op,
                        ": causal and a mask exclude each other");
    Shape<R> shape = q.shape();
    shape[R - 1] = v.shape()[R - 1];
    const auto operand = [](const Tensor<T, R>& x) {
        const Tensor<T, 4> rows = detail::with_heads(x);
        return detail::AttentionOperand<T>{rows, x.grad_link(), contiguous_strides(rows.shape()), 0};
    };
    const auto query = operand(q);
    Shape<4> o = query.rows.shape();
    o[3] = shape[R - 1];
    return detail::attention(op, {query, operand(k), operand(v)}, false, mask, options, shape, contiguous_strides(o));
}
template <Real T, int R>
    requires(R >= 2 && R <= 4)
Tensor<T, R> scaled_dot_product_attention(const Tensor<T, R>& q, const Tensor<T, R>& k, const Tensor<T, R>& v,
                                          const AttentionOptions& options = {}) {
    return scaled_dot_product_attention(q, k, v, AttentionMask<T>(), options);
}

/// Attention of `heads` heads that lie side by side in the features: `q` [B, n, heads * d], `k` [B, m, g * d] and `v`
/// [B, m, g * e] to [B, n, heads * e], where g divides `heads`; feature head * d + i is number i of a head. Nothing is
/// copied together. Throws as scaled_dot_product_attention; `causal` and a mask may be combined.
template <Real T>
Tensor<T, 3> multi_head_attention(const Tensor<T, 3>& q, const Tensor<T, 3>& k, const Tensor<T, 3>& v, Index heads,
                                  const std::type_identity_t<AttentionMask<T>>& mask = {},
                                  const AttentionOptions& options = {}) {
    constexpr const char* op = "multi_head_attention";
    const Index width = heads > 0 ? q.dim(2) / heads : 0;
    require(heads > 0 && q.dim(2) % heads == 0 && width > 0, op, ": the number of heads must divide the width (", heads,
            " and ", q.dim(2), ")");
    const Index kv = k.dim(2) / width;
    require(k.dim(2) % width == 0 && kv > 0 && heads % kv == 0 && v.dim(2) % kv == 0, op,
            ": heads of key and value must divide ", heads, " (head width ", width, ", key ", k.shape(), ", value ",
            v.shape(), ")");
    require(k.dim(0) == q.dim(0) && v.dim(0) == q.dim(0) && k.dim(1) == v.dim(1), op,
            ": batch and rows must be equal (query ", q.shape(), ", key ", k.shape(), ", value ", v.shape(), ")");
    const Index value_width = v.dim(2) / kv, features = heads * value_width, rows = q.dim(1);
    return detail::attention(op,
                             {detail::heads_inside(q, heads, width), detail::heads_inside(k, kv, width),
                              detail::heads_inside(v, kv, value_width)},
                             false, mask, options, Shape{q.dim(0), rows, features},
                             Strides<4>{rows * features, value_width, features, 1});
}

/// The same for queries, keys and values side by side in one tensor [B, n, 3 * heads * d], as one product makes them.
template <Real T>
Tensor<T, 3> multi_head_attention(const Tensor<T, 3>& qkv, Index heads,
                                  const std::type_identity_t<AttentionMask<T>>& mask = {},
                                  const AttentionOptions& options = {}) {
    constexpr const char* op = "multi_head_attention";
    const Index all = qkv.dim(2), features = all / 3, rows = qkv.dim(1);
    require(heads > 0 && all > 0 && all % (3 * heads) == 0, op, ": 3 times the number of heads must divide the width (",
            heads, " and ", all, ")");
    const auto part = [&](Index i) { return detail::heads_inside(qkv, heads, features / heads, i * features); };
    return detail::attention(op, {part(0), part(1), part(2)}, true, mask, options, Shape{qkv.dim(0), rows, features},
                             Strides<4>{rows * features, features / heads, features, 1});
}

}  // namespace lamina::inline LAMINA_ABI
