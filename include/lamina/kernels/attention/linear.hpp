#pragma once
// Linear attention on features of queries and keys: O_i = phi(q_i) S / (phi(q_i) z + eps) with S = sum phi(k_j) v_j^T
// and z = sum phi(k_j), over all keys or, causal, over those up to i. Causal sums go chunk by chunk: a small masked
// product within the chunk, the state for what lies before. A. Katharopoulos et al., "Transformers are RNNs", ICML
// 2020.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/attention/problem.hpp>
#include <lamina/kernels/column_sum.hpp>
#include <lamina/kernels/gemm/gemm.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Sizes and rule: phi(Q) [queries, features], phi(K) [keys, features], V [keys, value_width] for [batch, heads].
struct LinearAttentionGeometry {
    Index batch, heads, queries, keys, features, value_width;
    bool causal;        ///< wants queries == keys
    bool own_chunk;     ///< causal: false: query i sees only the chunks before its own
    bool normalize;     ///< divide by phi(q) z
    double eps, least;  ///< added to the denominator; its least value
    Index chunk;        ///< rows whose products are made at once
};

template <class T>
struct LinearAttentionProblem {
    LinearAttentionGeometry sizes;
    HeadRows<const T> q, k, v;
    const std::int64_t* lengths = nullptr;  ///< keys of each member of the batch; null: all

    Index keys_of(Index b) const {
        return lengths ? detail::larger(0, detail::smaller(lengths[b], sizes.keys)) : sizes.keys;
    }
};

namespace detail {

/// Fewer heads than this share the sequence out in parts; a part's rows.
inline constexpr Index linear_attention_heads = 8, linear_attention_part = 1024;
inline constexpr int linear_attention_slot = 12;  // of parallel::scratch; the products inside use 8 and 9

/// A sum of outer products [features, value_width] and, behind it, of features [features].
template <class T>
struct LinearState {
    T* data;
    Index features, value_width;

    static constexpr Index size(Index features, Index value_width) { return features * (value_width + 1); }
    Index size() const { return size(features, value_width); }
    T* sums() const { return data + features * value_width; }
    MatrixView<T> view() const { return row_major<T>(data, value_width); }
    void clear() const {
        for (Index i = 0; i < size(); ++i) data[i] = 0;
    }
    void add(const T* other) const {
        for (Index i = 0; i < size(); ++i) data[i] += other[i];
    }
    /// Adds the outer products of n rows of a and b, and the rows of a, each `weight` times if there are weights.
    template <class Arch>
    void accumulate(Index n, MatrixView<T> a, MatrixView<T> b, const T* weight) const {
        if (n == 0) return;
        gemm<Arch>({features, value_width, n}, a.transposed(), b, data, value_width, true);
        T* const z = sums();
        for (Index i = 0; i < n; ++i) {
            const simd::Vec<T, Arch> w = weight ? weight[i] : T(1);
            simd::for_each_vec<Arch>(
                features, [=](auto x, auto s) LAMINA_INLINE_LAMBDA { return fma(x, w, s); }, z, a.at(i, 0), z);
        }
    }
};

/// Calls f(b, h, part, rows) in parallel for all heads and `parts` parts of n rows, cut at whole chunks.
template <class F>
void for_head_parts(const LinearAttentionGeometry& g, Index n, Index parts, F&& f) {
    const Index chunks = ceil_div(n, g.chunk), heads = g.batch * g.heads;
    const Index work = n / larger(1, parts) * g.features * g.value_width / 16;
    parallel::for_range(heads * parts, parallel::grain_for(work), [&](Index begin, Index end) {
        for (Index task = begin; task < end; ++task) {
            const Piece c = piece(chunks, parts, task % parts);
            const Piece rows{smaller(n, c.begin * g.chunk), smaller(n, c.end * g.chunk)};
            f(task / parts / g.heads, task / parts % g.heads, task % parts, rows);
        }
    });
}
inline Index linear_attention_parts(Index n, bool always) { return always ? larger(1, n / linear_attention_part) : 1; }

/// States before each part: [heads, parts] sums over the parts in front of it, or behind it when `backwards`.
template <class T>
void exclusive_sums(T* states, Index heads, Index parts, Index size, bool backwards) {
    for (Index h = 0; h < heads; ++h)
        for (Index i = 0; i < size; ++i) {
            T sum = 0;
            for (Index p = 0; p < parts; ++p) {
                T& at = states[(h * parts + (backwards ? parts - 1 - p : p)) * size + i];
                const T own = at;
                at = sum;
                sum += own;
            }
        }
}
/// Sum over all parts, into the first.
template <class T>
void total_sums(T* states, Index heads, Index parts, Index size) {
    for (Index h = 0; h < heads; ++h)
        for (Index p = 1; p < parts; ++p)
            for (Index i = 0; i < size; ++i) states[h * parts * size + i] += states[(h * parts + p) * size + i];
}

/// a [n, n] becomes its lower triangle.
template <class T>
void keep_lower(Index n, T* a) {
    for (Index i = 0; i < n; ++i)
        for (Index j = i + 1; j < n; ++j) a[i * n + j] = 0;
}

/// Storage of `count` elements that goes with the scope.
template <class T>
class Workspace {
public:
    explicit Workspace(Index count) : storage_(Storage::allocate(std::size_t(count) * sizeof(T))) {}
    T* data() const { return reinterpret_cast<T*>(storage_->data()); }

private:
    Ref<Storage> storage_;
};

}  // namespace detail

/// o [batch, heads, queries, value_width]; `denominators` [batch, heads, queries], if not null, gets what the rows were
/// divided by, 0 where a bound held it.
template <class Arch = simd::native, class T>
void linear_attention_forward(const LinearAttentionProblem<T>& p, HeadRows<T> o, T* denominators) {
    using namespace detail;
    using V = simd::Vec<T, Arch>;
    const LinearAttentionGeometry& g = p.sizes;
    const Index heads = g.batch * g.heads, size = LinearState<T>::size(g.features, g.value_width);
    const Index parts = linear_attention_parts(g.keys, !g.causal || heads < linear_attention_heads);
    const Workspace<T> states(heads * parts * size);
    const auto state = [&](Index b, Index h, Index part) {
        return LinearState<T>{states.data() + ((b * g.heads + h) * parts + part) * size, g.features, g.value_width};
    };
    const auto rows_of = [](const HeadRows<const T>& x, Index b, Index h, Index row) {
        return row_major(x.at(b, h, row), x.row_stride);
    };
    if (g.causal && parts == 1)
        for_head_parts(g, 1, 1, [&](Index b, Index h, Index, Piece) { state(b, h, 0).clear(); });
    else {
        for_head_parts(g, g.keys, parts, [&](Index b, Index h, Index part, Piece rows) {
            state(b, h, part).clear();
            const Index end = smaller(rows.end, p.keys_of(b));
            if (end > rows.begin)
                state(b, h, part)
                    .template accumulate<Arch>(end - rows.begin, rows_of(p.k, b, h, rows.begin),
                                               rows_of(p.v, b, h, rows.begin), nullptr);
        });
        if (g.causal) exclusive_sums(states.data(), heads, parts, size, false);
        else total_sums(states.data(), heads, parts, size);
    }
    const Index query_parts = g.causal ? parts : larger(1, g.queries / 256);
    for_head_parts(g, g.queries, query_parts, [&](Index b, Index h, Index part, Piece rows) {
        const LinearState<T> s = state(b, h, g.causal ? part : 0);
        T* const scores = parallel::scratch<T>(g.chunk * (g.chunk + 1), linear_attention_slot);
        T* const den = scores + g.chunk * g.chunk;
        const Index keys = p.keys_of(b);
        for (Index first = rows.begin; first < rows.end; first += g.chunk) {
            const Index n = smaller(g.chunk, rows.end - first), seen = larger(0, smaller(n, keys - first));
            const auto q = rows_of(p.q, b, h, first), k = rows_of(p.k, b, h, first), v = rows_of(p.v, b, h, first);
            T* const to = o.at(b, h, first);
            gemm<Arch>({n, g.value_width, g.features}, q, s.view(), to, o.row_stride);
            for (Index i = 0; g.normalize && i < n; ++i) den[i] = 0;
            if (g.causal && g.own_chunk && seen > 0) {
                gemm<Arch>({n, seen, g.features}, q, k.transposed(), scores, seen);
                for (Index i = 0; i < n; ++i) {
                    for (Index j = i + 1; j < seen; ++j) scores[i * seen + j] = 0;
                    for (Index j = 0; g.normalize && j < seen && j <= i; ++j) den[i] += scores[i * seen + j];
                }
                gemm<Arch>({n, g.value_width, seen}, row_major<T>(scores, seen), v, to, o.row_stride, true);
            }
            for (Index i = 0; g.normalize && i < n; ++i) {
                V sum = T(0);
                const T *row = q.at(i, 0), *z = s.sums();
                simd::row<Arch, T>(g.features, [&](Index f, auto count) LAMINA_INLINE_LAMBDA {
                    sum = fma(simd::load_count<Arch>(row + f, count), simd::load_count<Arch>(z + f, count), sum);
                });
                const T d = den[i] + simd::reduce_add(sum) + T(g.eps);
                const bool bound = d < T(g.least);
                if (denominators) denominators[(b * g.heads + h) * g.queries + first + i] = bound ? T(0) : d;
                const V inverse = 1 / (bound ? T(g.least) : d);
                T* const out = to + i * o.row_stride;
                simd::for_each_vec<Arch>(
                    g.value_width, [=](V x) LAMINA_INLINE_LAMBDA { return x * inverse; }, out, out);
            }
            if (g.causal && seen > 0) s.template accumulate<Arch>(seen, k, v, nullptr);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
