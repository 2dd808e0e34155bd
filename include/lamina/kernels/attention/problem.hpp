#pragma once
// How an attention is described: sizes, where the heads lie, which keys a query may see, and how the work is cut.
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/random/philox.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Sizes of softmax(Q K^T) V for [batch, heads]: Q [queries, width], K [keys, width], V [keys, value_width]. Each of
/// the `kv_heads` heads of K and V serves heads / kv_heads neighbouring heads of Q.
struct AttentionGeometry {
    Index batch, heads, kv_heads, queries, keys, width, value_width;
};

/// Rows of all heads wherever they lie; the elements of a row are dense.
template <class T>
struct HeadRows {
    T* data;
    Index batch_stride, head_stride, row_stride;

    T* at(Index b, Index h, Index row = 0) const {
        return data + b * batch_stride + h * head_stride + row * row_stride;
    }
};

/// A mask [batch, heads, queries, keys] of any strides; 0 where it repeats. Null data: none. Strides of -1 and 1 for
/// queries and keys let elements depend on their distance alone; `data` is then the element of distance 0.
template <class T>
struct MaskView {
    T* data = nullptr;
    Index batch_stride = 0, head_stride = 0, query_stride = 0, key_stride = 0;

    bool by_distance() const { return query_stride == -1 && key_stride == 1; }
    T* at(Index b, Index h, Index query, Index key) const {
        return data + b * batch_stride + h * head_stride + query * query_stride + key * key_stride;
    }
};

/// How scores become weights.
enum class Weighing {
    softmax,       ///< exp(s) / sum exp(s)
    relu_squared,  ///< max(0, s)²
    laplace        ///< the distribution function (1 + erf((s - sqrt(1/2)) / (sigma sqrt 2))) / 2, sigma² = 1 / (4 pi)
};

/// Which keys count, and how scores become weights.
template <class T>
struct AttentionRule {
    T scale;                           ///< of the products of queries and keys
    MaskView<const bool> keep = {};    ///< true: the query may see the key
    MaskView<const T> add = {};        ///< added to the scaled scores; -inf hides the key
    const std::int64_t* lengths = {};  ///< number of keys for each member of the batch; null: all
    bool causal = false;               ///< query i sees key j only for j <= i + diagonal
    Index diagonal = 0;
    double dropout = 0;  ///< probability of losing a weight
    random::Key key = {};
    Weighing weighing = Weighing::softmax;
    bool average = false;  ///< other than softmax: divide by the number of keys that the query sees

    /// What scores are multiplied by while they are worked on: softmax takes powers of two.
    T unit() const { return weighing == Weighing::softmax ? T(1.4426950408889634074) : T(1); }
};

/// An attention: sizes, operands, rule.
template <class T>
struct AttentionProblem {
    AttentionGeometry sizes;
    HeadRows<const T> q, k, v;
    AttentionRule<T> rule;

    Index kv_head(Index h) const { return h / (sizes.heads / sizes.kv_heads); }
    /// Keys that member b of the batch has.
    Index keys_of(Index b) const {
        return rule.lengths ? detail::larger(0, detail::smaller(rule.lengths[b], sizes.keys)) : sizes.keys;
    }
    /// Keys in front of the first that no query up to `query` sees.
    Index keys_up_to(Index b, Index query) const {
        const Index all = keys_of(b);
        return rule.causal ? detail::larger(0, detail::smaller(all, query + rule.diagonal + 1)) : all;
    }
    bool hides() const { return rule.keep.data || rule.add.data || rule.causal; }
    bool visible(Index b, Index h, Index query, Index key) const {
        return key < keys_up_to(b, query) && (!rule.keep.data || *rule.keep.at(b, h, query, key)) &&
               (!rule.add.data || *rule.add.at(b, h, query, key) != -__builtin_inf());
    }
};

namespace detail {

/// A hidden key's score is `hidden`; a row that saw nothing yet has the maximum `unseen`:
/// all differences stay finite, and the weight of a hidden key is exactly 0.
template <class T>
struct ScoreLimits {
    static constexpr T hidden = sizeof(T) == 4 ? T(-1e38f) : T(-1e307);
    static constexpr T unseen = sizeof(T) == 4 ? T(-1e37f) : T(-1e306);
};

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
