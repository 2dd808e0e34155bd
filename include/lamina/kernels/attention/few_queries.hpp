#pragma once
// Attention of a few queries over many keys, as in decoding token by token: reading K and V once is all the work, so
// that keys are the lanes, and rows are taken in the order in which they lie.
#include <lamina/kernels/attention/exp2.hpp>
#include <lamina/kernels/attention/mask.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Most queries for which panels would lose more lanes than one row after another costs.
inline constexpr Index few_queries = 4;

template <class T>
bool takes_few_queries(const AttentionProblem<T>& p) {
    return p.sizes.queries <= few_queries && p.rule.dropout == 0 && p.rule.weighing == Weighing::softmax;
}

/// How far ahead of its use a row is fetched.
inline constexpr Index rows_ahead = 32;

/// The sums of as many vectors as there are lanes, in their order: pairs meet in one vector, halved and side by side.
template <int Count, class T, class Arch>
LAMINA_INLINE simd::Vec<T, Arch> sums_of(const simd::Vec<T, Arch>* x) {
    if constexpr (Count == 1) return x[0];
    else {
        simd::Vec<T, Arch> half[Count / 2];
        simd::unroll<Count / 2>([&](auto i) LAMINA_INLINE_LAMBDA {
            const auto both = simd::interleave(x[i], x[i + Count / 2]);
            half[i] = both.first + both.second;
        });
        return sums_of<Count / 2>(half);
    }
}

/// out[j] = x times row j of n rows.
template <class Arch, class T>
void row_products(const T* rows, Index stride, Index n, const T* x, Index width, T* out) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width, together = W < 4 ? W : 4;
    simd::row<Arch, T>(n, [&](Index j, auto count) {
        V sum[W];
        for (int r = 0; r < W; r += together) {
            const T* row[together];
            V part[together];
            simd::unroll<together>([&](auto u) LAMINA_INLINE_LAMBDA {
                row[u] = rows + (j + smaller(r + u, Index(count) - 1)) * stride;
                part[u] = V(T(0));
            });
            simd::row<Arch, T>(width, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
                const V q = simd::load_count<Arch>(x + i, lanes);
                simd::unroll<together>([&](auto u) LAMINA_INLINE_LAMBDA {
                    part[u] = fma(simd::load_count<Arch>(row[u] + i, lanes), q, part[u]);
                });
            });
            simd::unroll<together>([&](auto u) LAMINA_INLINE_LAMBDA { sum[r + u] = part[u]; });
        }
        simd::store_count(out + j, sums_of<W>(sum), count);
    });
}

/// o += the sum of n rows, each times its weight; `Vectors` vectors of them, of which the last has `lanes` lanes.
template <class Arch, int Vectors, class T, class Lanes>
void add_weighted_rows(const T* rows, Index stride, Index n, const T* weight, T* o, Lanes lanes) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width;
    const auto load = [=](const T* p, auto i) LAMINA_INLINE_LAMBDA {
        if constexpr (i + 1 < Vectors) return simd::load<Arch>(p + i * W);
        else return simd::load_count<Arch>(p + i * W, lanes);
    };
    V sum[Vectors], other[Vectors];  // two rows at a time: more sums under way than an addition takes cycles
    simd::unroll<Vectors>([&](auto i) LAMINA_INLINE_LAMBDA {
        sum[i] = load(o, i);
        other[i] = V(T(0));
    });
    const auto add = [&](V(&to)[Vectors], Index j) LAMINA_INLINE_LAMBDA {
        const V w = simd::broadcast<Arch>(weight + j);
        simd::unroll<Vectors>([&](auto i)
                                  LAMINA_INLINE_LAMBDA { simd::prefetch(rows + (j + rows_ahead) * stride + i * W); });
        simd::unroll<Vectors>([&](auto i) LAMINA_INLINE_LAMBDA { to[i] = fma(load(rows + j * stride, i), w, to[i]); });
    };
    for (Index j = 0; j + 1 < n; j += 2) {
        add(sum, j);
        add(other, j + 1);
    }
    if (n % 2) add(sum, n - 1);
    simd::unroll<Vectors>([&](auto i) LAMINA_INLINE_LAMBDA {
        if constexpr (i + 1 < Vectors) simd::store(o + i * W, sum[i] + other[i]);
        else simd::store_count(o + i * W, sum[i] + other[i], lanes);
    });
}
template <class Arch, class T>
void add_weighted_rows(const T* rows, Index stride, Index n, const T* weight, T* o, Index width) {
    constexpr int W = simd::Vec<T, Arch>::width, most = 4;
    for (; width >= most * W; width -= most * W, rows += most * W, o += most * W)
        add_weighted_rows<Arch, most>(rows, stride, n, weight, o, simd::FullTag<W>{});
    simd::row<Arch, T>(width, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
        add_weighted_rows<Arch, 1>(rows + i, stride, n, weight, o + i, lanes);
    });
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
    row_products<Arch>(p.k.at(b, kv), p.k.row_stride, n, p.q.at(b, h, query), p.sizes.width, scores);
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
        add_weighted_rows<Arch>(p.v.at(b, kv, from), p.v.row_stride, to - from, scores + from, o, p.sizes.value_width);
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
