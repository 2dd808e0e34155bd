#pragma once
// Gradients of linear attention. With G_i = dO_i / den_i and g_i = -(dO_i O_i) / den_i: dphi(q_i) = S_i G_i + g_i z_i,
// and with R_j = sum phi(q_i) G_i^T, r_j = sum g_i phi(q_i) over the queries that see key j: dphi(k_j) = R_j v_j + r_j,
// dv_j = R_j^T phi(k_j). Causal sums are made again chunk by chunk; no state is stored for each row.
#include <lamina/kernels/attention/linear.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Where the gradients go; null data: not wanted. Always added to.
template <class T>
struct LinearAttentionGradients {
    HeadRows<T> q, k, v;
};

namespace detail {

template <class Arch, class T>
class LinearAttentionGrad {
    using V = simd::Vec<T, Arch>;

public:
    LinearAttentionGrad(const LinearAttentionProblem<T>& p, HeadRows<const T> o, const T* denominators,
                        HeadRows<const T> d_o, const LinearAttentionGradients<T>& grads)
        : p_(p),
          g_(p.sizes),
          o_(o),
          d_o_(d_o),
          denominators_(denominators),
          grads_(grads),
          heads_(g_.batch * g_.heads),
          size_(LinearState<T>::size(g_.features, g_.value_width)),
          parts_(linear_attention_parts(larger(g_.keys, g_.queries), !g_.causal || heads_ < linear_attention_heads)) {}

    void run() const {
        const Workspace<T> before(heads_ * parts_ * size_), behind(heads_ * parts_ * size_);
        sum_parts(before.data(), behind.data());
        for_head_parts(g_, g_.queries, parts_, [&](Index b, Index h, Index part, Piece rows) {
            query_gradients(b, h, rows, state(before.data(), b, h, g_.causal ? part : 0));
        });
        for_head_parts(g_, g_.keys, parts_, [&](Index b, Index h, Index part, Piece rows) {
            key_gradients(b, h, rows, state(behind.data(), b, h, g_.causal ? part : 0));
        });
    }

private:
    LinearState<T> state(T* states, Index b, Index h, Index part) const {
        return {states + ((b * g_.heads + h) * parts_ + part) * size_, g_.features, g_.value_width};
    }
    static MatrixView<T> rows_of(const HeadRows<const T>& x, Index b, Index h, Index row) {
        return row_major(x.at(b, h, row), x.row_stride);
    }

    /// States of phi(K), V and of phi(Q), G: over everything, or causal in front of and behind each part.
    void sum_parts(T* before, T* behind) const {
        for_head_parts(g_, g_.keys, parts_, [&](Index b, Index h, Index part, Piece rows) {
            const auto s = state(before, b, h, part);
            s.clear();
            const Index end = smaller(rows.end, p_.keys_of(b));
            if (end > rows.begin && (!g_.causal || parts_ > 1))
                s.template accumulate<Arch>(end - rows.begin, rows_of(p_.k, b, h, rows.begin),
                                            rows_of(p_.v, b, h, rows.begin), nullptr);
        });
        for_head_parts(g_, g_.queries, parts_, [&](Index b, Index h, Index part, Piece rows) {
            const auto s = state(behind, b, h, part);
            s.clear();
            if (!g_.causal || parts_ > 1)
                for (Index first = rows.begin; first < rows.end; first += g_.chunk) {
                    const Chunk c(*this, b, h, first, smaller(g_.chunk, rows.end - first));
                    s.template accumulate<Arch>(c.n, c.q, c.upstream(), c.weight);
                }
        });
        if (g_.causal) {
            exclusive_sums(before, heads_, parts_, size_, false);
            exclusive_sums(behind, heads_, parts_, size_, true);
        } else {
            total_sums(before, heads_, parts_, size_);
            total_sums(behind, heads_, parts_, size_);
        }
    }

    /// Operands of a chunk of rows with G and g, made here.
    struct Chunk {
        Chunk(const LinearAttentionGrad& of, Index b, Index h, Index first, Index rows)
            : n(rows),
              seen(larger(0, smaller(rows, of.p_.keys_of(b) - first))),
              width(of.g_.value_width),
              q(rows_of(of.p_.q, b, h, first)),
              k(rows_of(of.p_.k, b, h, first)),
              v(rows_of(of.p_.v, b, h, first)) {
            const Index most = of.g_.chunk;
            upstream_ = parallel::scratch<T>(most * (width + 1 + 2 * most) + 64, linear_attention_slot);
            weight = upstream_ + most * width;
            scores = weight + most;
            scores_grad = scores + most * most;
            const T* den = of.denominators_ + (b * of.g_.heads + h) * of.g_.queries + first;
            for (Index i = 0; i < n && first + i < of.g_.queries; ++i) {
                const T *dy = of.d_o_.at(b, h, first + i), *y = of.o_.at(b, h, first + i);
                const bool divided = of.g_.normalize, bound = divided && den[i] == 0;
                const V inverse = divided ? 1 / (bound ? T(of.g_.least) : den[i]) : T(1);
                V dot = T(0);
                simd::row<Arch, T>(width, [&](Index f, auto count) LAMINA_INLINE_LAMBDA {
                    const V up = simd::load_count<Arch>(dy + f, count) * inverse;
                    dot = fma(up, simd::load_count<Arch>(y + f, count), dot);
                    simd::store_count(upstream_ + i * width + f, up, count);
                });
                weight[i] = divided && !bound ? -simd::reduce_add(dot) : T(0);
            }
        }
        MatrixView<T> upstream() const { return row_major<T>(upstream_, width); }
        /// Scores within the chunk and their gradients, lower triangles [n, seen].
        void make_scores(Index features, bool both) {
            if (both) gemm<Arch>({n, seen, features}, q, k.transposed(), scores, seen);
            gemm<Arch>({n, seen, width}, upstream(), v.transposed(), scores_grad, seen);
            for (Index i = 0; i < n; ++i)
                for (Index j = 0; j < seen; ++j) {
                    T &s = scores[i * seen + j], &d = scores_grad[i * seen + j];
                    if (both && j > i) s = 0;
                    d = j > i ? T(0) : d + weight[i];
                }
        }
        Index n, seen, width;
        MatrixView<T> q, k, v;
        T *weight, *scores, *scores_grad;

    private:
        T* upstream_;
    };

    /// rows += factor[i] * z, for i in [0, n); all factors 1 when null.
    void add_sums(T* rows, Index stride, Index n, const T* factor, const T* z) const {
        for (Index i = 0; i < n; ++i) {
            const V w = factor ? factor[i] : T(1);
            T* const row = rows + i * stride;
            simd::for_each_vec<Arch>(
                g_.features, [=](V x, V s) LAMINA_INLINE_LAMBDA { return fma(s, w, x); }, row, row, z);
        }
    }

    void query_gradients(Index b, Index h, Piece rows, LinearState<T> s) const {
        if (!grads_.q.data) return;
        for (Index first = rows.begin; first < rows.end; first += g_.chunk) {
            Chunk c(*this, b, h, first, smaller(g_.chunk, rows.end - first));
            T* const to = grads_.q.at(b, h, first);
            const Index stride = grads_.q.row_stride;
            gemm<Arch>({c.n, g_.features, g_.value_width}, c.upstream(), s.view().transposed(), to, stride, true);
            if (g_.normalize) add_sums(to, stride, c.n, c.weight, s.sums());
            if (!g_.causal || c.seen == 0) continue;
            if (g_.own_chunk) {
                c.make_scores(g_.features, false);
                gemm<Arch>({c.n, g_.features, c.seen}, row_major<T>(c.scores_grad, c.seen), c.k, to, stride, true);
            }
            s.template accumulate<Arch>(c.seen, c.k, c.v, nullptr);
        }
    }

    void key_gradients(Index b, Index h, Piece rows, LinearState<T> r) const {
        if (!grads_.k.data && !grads_.v.data) return;
        const Index chunks = ceil_div(rows.size(), g_.chunk);
        for (Index i = chunks; i-- > 0;) {  // from the last: r sums over the queries behind
            const Index first = rows.begin + i * g_.chunk, n = smaller(g_.chunk, rows.end - first);
            const Index seen = larger(0, smaller(n, p_.keys_of(b) - first));
            const auto k = rows_of(p_.k, b, h, first), v = rows_of(p_.v, b, h, first);
            if (seen > 0) {
                if (grads_.k.data) {
                    T* const to = grads_.k.at(b, h, first);
                    gemm<Arch>({seen, g_.features, g_.value_width}, v, r.view().transposed(), to, grads_.k.row_stride,
                               true);
                    if (g_.normalize) add_sums(to, grads_.k.row_stride, seen, nullptr, r.sums());
                }
                if (grads_.v.data)
                    gemm<Arch>({seen, g_.value_width, g_.features}, k, r.view(), grads_.v.at(b, h, first),
                               grads_.v.row_stride, true);
            }
            if (!g_.causal) continue;
            Chunk c(*this, b, h, first, n);
            if (g_.own_chunk && seen > 0) {
                c.make_scores(g_.features, true);
                if (grads_.k.data)
                    gemm<Arch>({seen, g_.features, n}, row_major<T>(c.scores_grad, seen).transposed(), c.q,
                               grads_.k.at(b, h, first), grads_.k.row_stride, true);
                if (grads_.v.data)
                    gemm<Arch>({seen, g_.value_width, n}, row_major<T>(c.scores, seen).transposed(), c.upstream(),
                               grads_.v.at(b, h, first), grads_.v.row_stride, true);
            }
            r.template accumulate<Arch>(n, c.q, c.upstream(), c.weight);
        }
    }

    const LinearAttentionProblem<T>& p_;
    const LinearAttentionGeometry& g_;
    HeadRows<const T> o_, d_o_;
    const T* denominators_;
    const LinearAttentionGradients<T>& grads_;
    Index heads_, size_, parts_;
};

}  // namespace detail

/// Adds the gradients for the result `o`, its `denominators` and its gradient `d_o`.
template <class Arch = simd::native, class T>
void linear_attention_grad(const LinearAttentionProblem<T>& p, HeadRows<const T> o, const T* denominators,
                           HeadRows<const T> d_o, const LinearAttentionGradients<T>& grads) {
    detail::LinearAttentionGrad<Arch, T>(p, o, denominators, d_o, grads).run();
}

}  // namespace lamina::inline LAMINA_ABI::kernels
