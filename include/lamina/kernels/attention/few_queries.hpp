#pragma once
// Attention of a few queries over many keys, as in decoding token by token: reading K and V once is all the work, so
// that keys are the lanes and the products are those of a matrix and a vector.
#include <lamina/kernels/attention/exp2.hpp>
#include <lamina/kernels/attention/mask.hpp>
#include <lamina/kernels/gemm/gemv.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Most queries for which panels would lose more lanes than one row after another costs.
inline constexpr Index few_queries = 4;

template <class T>
bool takes_few_queries(const AttentionProblem<T>& p) {
    return p.sizes.queries <= few_queries && p.rule.dropout == 0 && p.rule.weighing == Weighing::softmax;
}

/// One query of one head. `scores` has room for two rows of keys.
template <class Arch, class T>
void attend_one(const AttentionProblem<T>& p, Index b, Index h, Index query, T* o, T* stats, T* scores) {
    using V = simd::Vec<T, Arch>;
    using L = ScoreLimits<T>;
    const Index n = p.keys_up_to(b, query), kv = p.kv_head(h);
    for (Index i = 0; i < p.sizes.value_width; ++i) o[i] = 0;
    if (stats) *stats = -L::unseen;
    if (n == 0) return;
    gemv_part<Arch>(GemvProblem<T>{n, p.sizes.width, row_major(p.k.at(b, kv), p.k.row_stride), p.q.at(b, h, query), 1,
                                   scores, 1, false},
                    {0, n});
    const bool masked = p.rule.keep.data || p.rule.add.data;
    T* const bias = scores + n;
    if (masked) mask_row(p.rule, ScoreBlock<T>{nullptr, 0, b, h, {query, query + 1}, {0, n}, 1}, query, bias);
    const V scale = p.rule.scale * p.rule.unit(), hidden = L::hidden;
    V top = L::unseen;
    simd::row<Arch, T>(n, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
        V s = simd::load_count<Arch>(scores + j, count) * scale;
        if (masked) {
            const V add = simd::load_count<Arch>(bias + j, count);
            s = select(add <= hidden, hidden, s + add);
        }
        simd::store_count(scores + j, s, count);
        const V seen = count == V::width ? s : select(simd::first_lanes<T, Arch>(count), s, hidden);
        top = max(seen, top);
    });
    const V highest = simd::reduce_max(top);
    V total = T(0);
    simd::row<Arch, T>(n, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
        const V w = weight_exp2(simd::load_count<Arch>(scores + j, count) - highest);
        simd::store_count(scores + j, w, count);
        total += count == V::width ? w : select(simd::first_lanes<T, Arch>(count), w, V(T(0)));
    });
    const T sum = simd::reduce_add(total);
    if (sum == 0) return;
    if (stats) *stats = highest[0] + simd::log2(sum);
    const auto add_values = [&](Index from, Index to) {  // keys [from, to)
        gemv_part<Arch>(GemvProblem<T>{p.sizes.value_width, to - from, transposed(p.v.at(b, kv, from), p.v.row_stride),
                                       scores + from, 1, o, 1, true},
                        {0, p.sizes.value_width});
    };
    if (!masked) add_values(0, n);
    else  // run by run, since a hidden key may hold NaN
        for (Index j = 0; j < n;) {
            const Index from = j;
            while (j < n && bias[j] > L::hidden) ++j;
            if (j > from) add_values(from, j);
            while (j < n && !(bias[j] > L::hidden)) ++j;
        }
    const V inverse = 1 / sum;
    simd::for_each_vec<Arch>(
        p.sizes.value_width, [=](V x) LAMINA_INLINE_LAMBDA { return x * inverse; }, o, o);
}

template <class Arch, class T>
void attention_few_queries(const AttentionProblem<T>& p, HeadRows<T> o, T* stats) {
    const AttentionGeometry& g = p.sizes;
    constexpr int slot = 12;
    const Index work = g.keys * (g.width + g.value_width) / 4;
    parallel::for_range(g.batch * g.heads * g.queries, parallel::grain_for(work), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const Index query = i % g.queries, h = i / g.queries % g.heads, b = i / g.queries / g.heads;
            T* scores = parallel::scratch<T>(2 * g.keys + 64, slot);
            attend_one<Arch>(p, b, h, query, o.at(b, h, query), stats ? stats + i : nullptr, scores);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
