#pragma once
// Gradients of linear attention. With G_i = dO_i / den_i and g_i = -(dO_i O_i) / den_i: dphi(q_i) = S_i G_i + g_i z_i,
// and with R_j = sum phi(q_i) G_i^T, r_j = sum g_i phi(q_i) over the queries that see key j: dphi(k_j) = R_j v_j + r_j,
// dv_j = R_j^T phi(k_j). Causal sums are made again chunk by chunk; no state is stored for each row.
#include <lamina/kernels/attention/linear.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Where the gradients of an attention's operands go; null data: not wanted. Those with `accumulate` are added to.
template <class T>
struct LinearAttentionGradients {
    HeadRows<T> q, k, v;
    bool accumulate_q = false, accumulate_k = false, accumulate_v = false;
};

namespace detail {

template <class Arch, class T>
class LinearAttentionGrad {
    using V = simd::Vec<T, Arch>;
    using Chunk = LinearChunk<Arch, T>;

public:
    LinearAttentionGrad(const LinearAttentionProblem<T>& p, HeadRows<const T> o, const T* denominators,
                        HeadRows<const T> d_o, const LinearAttentionGradients<T>& grads)
        : p_(p),
          g_(p.sizes),
          o_(o),
          d_o_(d_o),
          denominators_(denominators),
          grads_(grads),
          parts_(linear_attention_parts(larger(g_.keys, g_.queries),
                                        !g_.causal || g_.batch * g_.heads < linear_attention_heads)),
          before_(g_, parts_),
          behind_(g_, parts_) {}

    void run() const {
        const bool whole = !g_.causal || parts_ > 1;  // otherwise the sums begin at zero
        for_head_parts(g_, g_.keys, parts_, [&](Index b, Index h, Index part, Piece rows) {
            before_.clear(b * g_.heads + h, part);
            if (whole) sum_keys(b, h, part, {rows.begin, smaller(rows.end, p_.keys_of(b))});
        });
        for_head_parts(g_, g_.queries, parts_, [&](Index b, Index h, Index part, Piece rows) {
            behind_.clear(b * g_.heads + h, part);
            if (whole) sum_queries(b, h, part, rows);
        });
        if (g_.causal) {
            before_.sum_before(false);
            behind_.sum_before(true);
        } else {
            before_.sum_all();
            behind_.sum_all();
        }
        // Queries first: where one tensor is queries and keys, its gradient is written here and added to there.
        for_head_parts(g_, g_.queries, parts_, [&](Index b, Index h, Index part, Piece rows) {
            if (grads_.q.data) query_gradients(b, h, g_.causal ? part : 0, rows);
        });
        for_head_parts(g_, g_.keys, parts_, [&](Index b, Index h, Index part, Piece rows) {
            if (grads_.k.data || grads_.v.data) key_gradients(b, h, g_.causal ? part : 0, rows);
        });
    }

private:
    /// Rows of a chunk, of which `seen` have keys that count.
    struct Rows {
        Index b, h, first, n, seen;
    };
    Rows rows_at(const Chunk& c, Index b, Index h, Index first, Index end) const {
        const Index n = smaller(c.most, end - first);
        return {b, h, first, n, larger(0, smaller(n, p_.keys_of(b) - first))};
    }
    void fetch(Chunk& c, Index b, Index h, Piece next, bool queries, bool keys) const {
        c.ahead.clear();
        if (next.size() <= 0) return;
        if (queries) {
            c.fetch(d_o_, b, h, next, g_.value_width);
            c.fetch(o_, b, h, next, g_.value_width);
            c.fetch(p_.q, b, h, next, g_.features);
        }
        if (keys) {
            c.fetch(p_.k, b, h, next, g_.features);
            c.fetch(p_.v, b, h, next, g_.value_width);
        }
    }

    // States are the transposes S^T, R^T [value_width, features].
    void sum_keys(Index b, Index h, Index part, Piece rows) const {
        Chunk c(p_, true);
        for (Index first = rows.begin; first < rows.end; first += c.most) {
            const Rows r = rows_at(c, b, h, first, rows.end);
            fetch(c, b, h, {first + r.n, smaller(rows.end, first + r.n + c.most)}, false, true);
            add_keys(c, part, r);
        }
    }
    void add_keys(Chunk& c, Index part, const Rows& r) const {
        const MatrixView<T> k = c.features(p_.k, r.b, r.h, r.first, r.seen, 1);
        add(c, before_, r, part, r.seen, Chunk::rows_of(p_.v, r.b, r.h, r.first), k, nullptr);
    }
    void sum_queries(Index b, Index h, Index part, Piece rows) const {
        Chunk c(p_, true);
        for (Index first = rows.begin; first < rows.end; first += c.most) {
            const Rows r = rows_at(c, b, h, first, rows.end);
            fetch(c, b, h, {first + r.n, smaller(rows.end, first + r.n + c.most)}, true, false);
            make_upstream(c, r);
            add(c, behind_, r, part, r.n, upstream(c), c.features(p_.q, b, h, first, r.n, 0), c.weight);
        }
    }
    /// state += values^T features, and the sums of features, each row `weight` times.
    void add(Chunk& c, const LinearStates<T>& to, const Rows& r, Index part, Index n, MatrixView<T> values,
             MatrixView<T> features, const T* weight) const {
        if (n == 0) return;
        const Index head = r.b * g_.heads + r.h;
        c.multiply(values.transposed(), g_.value_width, n, c.right_side(features, n, g_.features, 0),
                   to.products(head, part), g_.features, true);
        if (g_.normalize) c.add_features(features, n, weight, to.sums(head, part));
    }

    /// G and g of the rows.
    void make_upstream(Chunk& c, const Rows& r) const {
        const Index width = g_.value_width;
        const T* den = denominators_ + (r.b * g_.heads + r.h) * g_.queries + r.first;
        for (Index i = 0; i < r.n; ++i) {
            const T *dy = d_o_.at(r.b, r.h, r.first + i), *y = o_.at(r.b, r.h, r.first + i);
            T* const to = c.upstream + i * width;
            const bool divided = g_.normalize, bound = divided && den[i] == 0;
            const V inverse = divided ? 1 / (bound ? T(g_.least) : den[i]) : T(1);
            V dot = T(0);
            simd::row<Arch, T>(width, [&](Index f, auto count) LAMINA_INLINE_LAMBDA {
                const V up = simd::load_count<Arch>(dy + f, count) * inverse;
                if (divided) dot = fma(up, simd::load_count<Arch>(y + f, count), dot);
                simd::store_count(to + f, up, count);
            });
            c.weight[i] = divided && !bound ? -simd::reduce_add(dot) : T(0);
        }
    }
    MatrixView<T> upstream(const Chunk& c) const { return row_major<T>(c.upstream, g_.value_width); }
    /// Gradients of the scores within the chunk: the lower triangle of G V^T + g.
    void make_scores_grad(Chunk& c, const Rows& r, MatrixView<T> v) const {
        c.multiply_lower(upstream(c), r.n, g_.value_width, c.transposed_side(v, r.seen, g_.value_width), r.seen,
                         c.scores_grad);
        if (!g_.normalize) return;
        for (Index i = 0; i < r.n; ++i) {
            const V w = c.weight[i];
            T* const row = c.scores_grad + i * c.score_stride;
            simd::for_each_vec<Arch>(
                smaller(i + 1, r.seen), [=](V x) LAMINA_INLINE_LAMBDA { return x + w; }, row, row);
        }
    }

    /// Where products of the features' gradients go: at once to the user's, or to the buffer of a map's slope.
    struct Target {
        T* data;
        Index stride;
        bool accumulate;
    };
    Target target(const Chunk& c, const HeadRows<T>& to, const Rows& r, bool accumulate) const {
        if (p_.map.apply) return {c.feature_grad, g_.features, false};
        return {to.at(r.b, r.h, r.first), to.row_stride, accumulate};
    }
    void pull_back(const Chunk& c, const HeadRows<const T>& x, const HeadRows<T>& to, const Rows& r, Index n,
                   bool accumulate) const {
        if (p_.map.apply)
            p_.map.pull_back(x.at(r.b, r.h, r.first), x.row_stride, n, g_.features, c.feature_grad,
                             to.at(r.b, r.h, r.first), to.row_stride, accumulate);
    }
    /// rows += factor[i] * z, for i in [0, n); all factors 1 when null.
    void add_sums(const Target& to, Index n, const T* factor, const T* z) const {
        for (Index i = 0; i < n; ++i) {
            const V w = factor ? factor[i] : T(1);
            T* const row = to.data + i * to.stride;
            simd::for_each_vec<Arch>(
                g_.features, [=](V x, V s) LAMINA_INLINE_LAMBDA { return fma(s, w, x); }, row, row, z);
        }
    }

    void query_gradients(Index b, Index h, Index part, Piece rows) const {
        const Index head = b * g_.heads + h;
        const MatrixView<T> state = row_major<T>(before_.products(head, part), g_.features);
        Chunk c(p_, true);
        for (Index first = rows.begin; first < rows.end; first += c.most) {
            const Rows r = rows_at(c, b, h, first, rows.end);
            const Piece next{first + r.n, smaller(rows.end, first + r.n + c.most)};
            fetch(c, b, h, next, true, g_.causal);
            c.fetch(grads_.q, b, h, next, g_.features);
            make_upstream(c, r);
            const Target to = target(c, grads_.q, r, grads_.accumulate_q);
            c.multiply(upstream(c), r.n, g_.value_width, c.right_side(state, g_.value_width, g_.features, 1), to.data,
                       to.stride, to.accumulate);
            if (g_.normalize) add_sums(to, r.n, c.weight, before_.sums(head, part));
            if (g_.causal && r.seen > 0) {
                const MatrixView<T> v = Chunk::rows_of(p_.v, b, h, first);
                if (g_.own_chunk) make_scores_grad(c, r, v);
                const MatrixView<T> k = c.features(p_.k, b, h, first, r.seen, 1);
                const RightSide<T> right = c.right_side(k, r.seen, g_.features, 0);
                for (Index i = 0; g_.own_chunk && i < r.n; i += Chunk::panel)
                    c.multiply(row_major<T>(c.scores_grad + i * c.score_stride, c.score_stride),
                               smaller(Chunk::panel, r.n - i), Chunk::keys_up_to(i, r.seen), right,
                               to.data + i * to.stride, to.stride, true);
                add(c, before_, r, part, r.seen, v, k, nullptr);
            }
            pull_back(c, p_.q, grads_.q, r, r.n, grads_.accumulate_q);
        }
    }

    void key_gradients(Index b, Index h, Index part, Piece rows) const {
        Chunk c(p_, true);
        const Index chunks = ceil_div(rows.size(), c.most);
        for (Index i = chunks; i-- > 0;) {  // from the last: the state sums over the queries behind
            const Rows r = rows_at(c, b, h, rows.begin + i * c.most, rows.end);
            const Piece next{larger(rows.begin, r.first - c.most), r.first};
            fetch(c, b, h, next, g_.causal, true);
            c.fetch(grads_.k, b, h, next, g_.features);
            c.fetch(grads_.v, b, h, next, g_.value_width);
            if (g_.causal) make_upstream(c, r);
            const MatrixView<T> q = g_.causal ? c.features(p_.q, b, h, r.first, r.n, 0) : MatrixView<T>{};
            if (r.seen > 0) {
                const MatrixView<T> k = c.features(p_.k, b, h, r.first, r.seen, 1);
                if (grads_.k.data) key_gradient(c, r, part, q);
                if (grads_.v.data) value_gradient(c, r, part, q, k);
            }
            clear_unseen(grads_.k, r, g_.features, grads_.accumulate_k);
            clear_unseen(grads_.v, r, g_.value_width, grads_.accumulate_v);
            if (g_.causal) add(c, behind_, r, part, r.n, upstream(c), q, c.weight);
        }
    }
    void key_gradient(Chunk& c, const Rows& r, Index part, MatrixView<T> q) const {
        const Index head = r.b * g_.heads + r.h;
        const MatrixView<T> v = Chunk::rows_of(p_.v, r.b, r.h, r.first);
        const Target to = target(c, grads_.k, r, grads_.accumulate_k);
        const MatrixView<T> state = row_major<T>(behind_.products(head, part), g_.features);
        c.multiply(v, r.seen, g_.value_width, c.right_side(state, g_.value_width, g_.features, 1), to.data, to.stride,
                   to.accumulate);
        if (g_.normalize) add_sums(to, r.seen, nullptr, behind_.sums(head, part));
        if (g_.causal && g_.own_chunk) {
            make_scores_grad(c, r, v);
            add_own_chunk(c, r, c.scores_grad, c.right_side(q, r.n, g_.features, 0), to);
        }
        pull_back(c, p_.k, grads_.k, r, r.seen, grads_.accumulate_k);
    }
    void value_gradient(Chunk& c, const Rows& r, Index part, MatrixView<T> q, MatrixView<T> k) const {
        const MatrixView<T> state = row_major<T>(behind_.products(r.b * g_.heads + r.h, part), g_.features);
        const Target to{grads_.v.at(r.b, r.h, r.first), grads_.v.row_stride, grads_.accumulate_v};
        c.multiply(k, r.seen, g_.features, c.transposed_side(state, g_.value_width, g_.features), to.data, to.stride,
                   to.accumulate);
        if (!g_.causal || !g_.own_chunk) return;
        c.multiply_lower(q, r.n, g_.features, c.transposed_side(k, r.seen, g_.features), r.seen, c.scores);
        add_own_chunk(c, r, c.scores, c.right_side(upstream(c), r.n, g_.value_width, 0), to);
    }
    /// to += triangle^T right: key j meets the queries from j on.
    void add_own_chunk(Chunk& c, const Rows& r, const T* triangle, const RightSide<T>& right, const Target& to) const {
        for (Index j = 0; j < r.seen; j += Chunk::panel) {
            const MatrixView<T> keys{triangle + j * c.score_stride + j, 1, c.score_stride};
            c.multiply(keys, smaller(Chunk::panel, r.seen - j), r.n - j, right, j, {0, right.width},
                       to.data + j * to.stride, to.stride, true);
        }
    }
    void clear_unseen(const HeadRows<T>& x, const Rows& r, Index width, bool accumulate) const {
        for (Index i = r.seen; x.data && !accumulate && i < r.n; ++i)
            for (Index f = 0; f < width; ++f) x.at(r.b, r.h, r.first + i)[f] = 0;
    }

    const LinearAttentionProblem<T>& p_;
    const LinearAttentionGeometry& g_;
    HeadRows<const T> o_, d_o_;
    const T* denominators_;
    const LinearAttentionGradients<T>& grads_;
    Index parts_;
    LinearStates<T> before_, behind_;
};

}  // namespace detail

/// Gradients for the result `o`, its `denominators` and its gradient `d_o`.
template <class Arch = simd::native, class T>
void linear_attention_grad(const LinearAttentionProblem<T>& p, HeadRows<const T> o, const T* denominators,
                           HeadRows<const T> d_o, const LinearAttentionGradients<T>& grads) {
    detail::LinearAttentionGrad<Arch, T>(p, o, denominators, d_o, grads).run();
}

}  // namespace lamina::inline LAMINA_ABI::kernels
