#pragma once
// Linear attention on features of queries and keys: O_i = phi(q_i) S / (phi(q_i) z + eps) with S = sum phi(k_j) v_j^T
// and z = sum phi(k_j), over all keys or, causal, over those up to i. Causal sums go chunk by chunk: a small masked
// product within the chunk, the state for what lies before. A. Katharopoulos et al., "Transformers are RNNs", ICML
// 2020.
#include <lamina/kernels/attention/linear_chunk.hpp>

namespace lamina::inline LAMINA_ABI::kernels {
namespace detail {

template <class Arch, class T>
class LinearAttention {
    using Chunk = LinearChunk<Arch, T>;
    using V = simd::Vec<T, Arch>;

public:
    LinearAttention(const LinearAttentionProblem<T>& p, HeadRows<T> o, T* denominators)
        : p_(p),
          g_(p.sizes),
          o_(o),
          denominators_(denominators),
          parts_(linear_attention_parts(g_.keys, !g_.causal || g_.batch * g_.heads < linear_attention_heads)),
          states_(g_, parts_) {}

    void run() const {
        for_head_parts(g_, g_.keys, parts_, [&](Index b, Index h, Index part, Piece rows) {
            states_.clear(b * g_.heads + h, part);
            if (!g_.causal || parts_ > 1) sum_keys(b, h, part, {rows.begin, smaller(rows.end, p_.keys_of(b))});
        });
        if (g_.causal) states_.sum_before(false);
        else states_.sum_all();
        const Index query_parts = g_.causal ? parts_ : larger(1, g_.queries / linear_attention_part);
        for_head_parts(g_, g_.queries, query_parts,
                       [&](Index b, Index h, Index part, Piece rows) { attend(b, h, part, rows); });
    }

private:
    void sum_keys(Index b, Index h, Index part, Piece rows) const {
        Chunk c(p_, false);
        for (Index first = rows.begin; first < rows.end; first += c.most) {
            const Index n = smaller(c.most, rows.end - first);
            const Piece next{first + n, smaller(rows.end, first + n + c.most)};
            c.ahead.clear();
            c.fetch(p_.k, b, h, next, g_.features);
            c.fetch(p_.v, b, h, next, g_.value_width);
            add(c, b * g_.heads + h, part, n, c.features(p_.k, b, h, first, n, 1),
                c.right_side(Chunk::rows_of(p_.v, b, h, first), n, g_.value_width, 0));
        }
    }
    void add(Chunk& c, Index head, Index part, Index n, MatrixView<T> k, const RightSide<T>& v) const {
        c.multiply(k.transposed(), g_.features, n, v, states_.products(head, part), g_.value_width, true);
        if (g_.normalize) c.add_features(k, n, nullptr, states_.sums(head, part));
    }

    void attend(Index b, Index h, Index part, Piece rows) const {
        const Index head = b * g_.heads + h, state = g_.causal ? part : 0, keys = p_.keys_of(b);
        const MatrixView<T> sums = row_major<T>(states_.products(head, state), g_.value_width);
        Chunk c(p_, false);
        RightSide<T> s = c.right_side(sums, g_.features, g_.value_width, 1);
        for (Index first = rows.begin; first < rows.end; first += c.most) {
            const Index n = smaller(c.most, rows.end - first), seen = larger(0, smaller(n, keys - first));
            fetch_next(c, b, h, {first + n, smaller(rows.end, first + n + c.most)});
            if (g_.causal && s.packed) s = c.right_side(sums, g_.features, g_.value_width, 1);
            const MatrixView<T> q = c.features(p_.q, b, h, first, n, 0);
            T* const to = o_.at(b, h, first);
            c.multiply(q, n, g_.features, s, to, o_.row_stride, false);
            if (g_.normalize)
                row_products<Arch>(q.data, q.row_stride, n, states_.sums(head, state), g_.features, c.den);
            if (g_.causal && seen > 0) {
                const MatrixView<T> k = c.features(p_.k, b, h, first, seen, 1);
                const RightSide<T> v = c.right_side(Chunk::rows_of(p_.v, b, h, first), seen, g_.value_width, 0);
                if (g_.own_chunk) add_own_chunk(c, n, seen, q, k, v, to);
                add(c, head, state, seen, k, v);
            }
            if (g_.normalize) divide(n, c.den, to, denominators_ ? denominators_ + head * g_.queries + first : nullptr);
        }
    }
    void fetch_next(Chunk& c, Index b, Index h, Piece next) const {
        c.ahead.clear();
        c.fetch(p_.q, b, h, next, g_.features);
        if (g_.causal) {
            c.fetch(p_.k, b, h, next, g_.features);
            c.fetch(p_.v, b, h, next, g_.value_width);
        }
        c.fetch(o_, b, h, next, g_.value_width);
    }
    void add_own_chunk(Chunk& c, Index n, Index seen, MatrixView<T> q, MatrixView<T> k, const RightSide<T>& v,
                       T* to) const {
        c.multiply_lower(q, n, g_.features, c.transposed_side(k, seen, g_.features), seen, c.scores);
        for (Index i = 0; i < n; i += Chunk::panel) {
            const Index count = smaller(Chunk::panel, n - i), keys = Chunk::keys_up_to(i, seen);
            const T* weights = c.scores + i * c.score_stride;
            c.multiply(row_major(weights, c.score_stride), count, keys, v, to + i * o_.row_stride, o_.row_stride, true);
            if (g_.normalize) c.add_row_sums(weights, count, keys, c.den + i);
        }
    }
    /// Rows divided by their sums of similarities.
    void divide(Index n, const T* sums, T* rows, T* denominators) const {
        for (Index i = 0; i < n; ++i) {
            const T d = sums[i] + T(g_.eps);
            const bool bound = d < T(g_.least);
            if (denominators) denominators[i] = bound ? T(0) : d;
            const V inverse = 1 / (bound ? T(g_.least) : d);
            T* const out = rows + i * o_.row_stride;
            simd::for_each_vec<Arch>(
                g_.value_width, [=](V x) LAMINA_INLINE_LAMBDA { return x * inverse; }, out, out);
        }
    }

    const LinearAttentionProblem<T>& p_;
    const LinearAttentionGeometry& g_;
    HeadRows<T> o_;
    T* denominators_;
    Index parts_;
    LinearStates<T> states_;
};

}  // namespace detail

/// o [batch, heads, queries, value_width]; `denominators` [batch, heads, queries], if not null, gets what the rows were
/// divided by, 0 where a bound held it.
template <class Arch = simd::native, class T>
void linear_attention_forward(const LinearAttentionProblem<T>& p, HeadRows<T> o, T* denominators) {
    detail::LinearAttention<Arch, T>(p, o, denominators).run();
}

}  // namespace lamina::inline LAMINA_ABI::kernels
