#pragma once
// Softmax and its logarithm over the middle dimension of [outer, count, inner], and their gradients. A row is read once
// from memory: its exponentials wait in a cached buffer while the next row is fetched, and leave around the caches.
#include <lamina/kernels/policy.hpp>
#include <lamina/kernels/reduce.hpp>
#include <lamina/simd/math.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y = exp(x - max) / sum(exp(x - max)). A row of -inf, or with +inf or NaN in it, gives NaN.
template <class Arch = simd::native, class T>
void softmax_forward(const ReduceGeometry& g, const T* x, T* y);
/// y = x - max - log(sum(exp(x - max))).
template <class Arch = simd::native, class T>
void log_softmax_forward(const ReduceGeometry& g, const T* x, T* y);
/// dx (+)= y (dy - sum(y dy)), from the result y.
template <class Arch = simd::native, class T>
void softmax_grad_input(const ReduceGeometry& g, const T* y, const T* dy, T* dx, bool accumulate);
/// dx (+)= dy - exp(y) sum(dy), from the result y.
template <class Arch = simd::native, class T>
void log_softmax_grad_input(const ReduceGeometry& g, const T* y, const T* dy, T* dx, bool accumulate);

namespace detail {

inline constexpr int softmax_slot = 14;

template <class Arch, class T>
LAMINA_INLINE T row_max(Index n, const T* x) {
    using V = simd::Vec<T, Arch>;
    constexpr int K = 4;
    V m[K];
    simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { m[k] = V(-std::numeric_limits<T>::infinity()); });
    simd::row_unrolled<K, Arch, T>(n, [&](auto k, Index i, auto count) LAMINA_INLINE_LAMBDA {
        const V v = simd::load_count<Arch>(x + i, count);  // a NaN is left out here; the exponentials bring it back
        if (count == V::width) m[k] = max(v, m[k]);
        else m[k] = select(simd::first_lanes<T, Arch>(count), max(v, m[k]), m[k]);
    });
    return simd::reduce_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

/// to[i] = value(i, count) (+ to[i] when accumulating), whole vectors around the caches with `stream`.
template <class Arch, class T, class F>
LAMINA_INLINE void write_row(Index n, T* to, bool accumulate, bool stream, F&& value) {
    using V = simd::Vec<T, Arch>;
    if (stream) {
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const V v = value(i, count);
            if constexpr (std::is_same_v<decltype(count), Index>) simd::store_partial(to + i, v, count);
            else simd::stream(to + i, v);
        });
        return;
    }
    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        V v = value(i, count);
        if (accumulate) v += simd::load_count<Arch>(to + i, count);
        simd::store_count(to + i, v, count);
    });
}

/// Calls f(row) for all rows in parallel, with a fence after each task that streams.
template <class F>
void for_rows(Index rows, Index n, bool stream, F&& f) {
    parallel::for_range(rows, parallel::grain_for(2 * n), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) f(r);
        if (stream) simd::stream_fence();
    });
}

/// Calls f(K, offset, count) for groups of K vectors of columns (4, or 1 at the end of a row): `offset` is that of the
/// group's first element.
template <class Arch, class T, class F>
void for_columns(const ReduceGeometry& g, F&& f) {
    constexpr Index width = simd::Vec<T, Arch>::width, group = 4 * width;
    const Index groups = (g.inner + group - 1) / group;
    parallel::for_range(g.outer * groups, parallel::grain_for(2 * g.count * group), [&](Index begin, Index end) {
        for (Index task = begin; task < end; ++task) {
            const Index at = task % groups * group, offset = task / groups * g.count * g.inner + at;
            if (g.inner - at >= group) f(std::integral_constant<int, 4>{}, offset, simd::FullTag<int(width)>{});
            else
                simd::row<Arch, T>(g.inner - at, [&](Index i, auto count) {
                    f(std::integral_constant<int, 1>{}, offset + i, count);
                });
        }
    });
}

/// Sums term(row, k) over the rows into total[0 … K): blocks of 64 rows, then the blocks, so that errors stay small.
template <int K, class V, class Term>
LAMINA_INLINE void sum_columns(Index rows, V (&total)[K], Term&& term) {
    simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { total[k] = V(typename V::value_type(0)); });
    for (Index r = 0; r < rows;) {
        V part[K];
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { part[k] = V(typename V::value_type(0)); });
        for (const Index end = rows - r < 64 ? rows : r + 64; r < end; ++r)
            simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { part[k] += term(r, k); });
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { total[k] += part[k]; });
    }
}
/// Largest of each column, NaN left out.
template <class Arch, int K, class T, class Count>
LAMINA_INLINE void max_columns(const ReduceGeometry& g, const T* x, Count count, simd::Vec<T, Arch> (&m)[K]) {
    using V = simd::Vec<T, Arch>;
    simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { m[k] = V(-std::numeric_limits<T>::infinity()); });
    for (Index r = 0; r < g.count; ++r)
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
            m[k] = max(simd::load_count<Arch>(x + r * g.inner + k * V::width, count), m[k]);
        });
}

template <class T>
bool streams(const ReduceGeometry& g, bool accumulate) {
    return !accumulate && g.inputs() * Index(sizeof(T)) >= stream_threshold_bytes;
}

}  // namespace detail

template <class Arch, class T>
void softmax_forward(const ReduceGeometry& g, const T* x, T* y) {
    using V = simd::Vec<T, Arch>;
    if (g.inputs() == 0) return;
    if (g.inner == 1) {
        const Index n = g.count, rows = g.outer;
        const bool stream = detail::streams<T>(g, false);
        detail::for_rows(rows, n, stream, [&](Index r) {
            const T *in = x + r * n, *next = r + 1 < rows ? in + n : in;
            T *out = y + r * n, *held = stream ? parallel::scratch<T>(n, detail::softmax_slot) : out;
            const V m = detail::row_max<Arch>(n, in);
            const T sum = detail::tree_reduce<Sum, Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                simd::prefetch_l2(next + i);
                const V e = exp(simd::load_count<Arch>(in + i, count) - m);
                simd::store_count(held + i, e, count);
                return e;
            });
            const V scale = T(1) / sum;
            detail::write_row<Arch>(n, out, false, stream, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                return simd::load_count<Arch>(held + i, count) * scale;
            });
        });
        return;
    }
    detail::for_columns<Arch, T>(g, [&](auto groups, Index offset, auto count) {
        constexpr int K = groups;
        V m[K], sum[K];
        detail::max_columns<Arch, K>(g, x + offset, count, m);
        detail::sum_columns<K>(g.count, sum, [&](Index r, auto k) LAMINA_INLINE_LAMBDA {
            const Index i = offset + r * g.inner + k * V::width;
            const V e = exp(simd::load_count<Arch>(x + i, count) - m[k]);
            simd::store_count(y + i, e, count);
            return e;
        });
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { sum[k] = V(T(1)) / sum[k]; });
        for (Index r = 0; r < g.count; ++r)
            simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
                const Index i = offset + r * g.inner + k * V::width;
                simd::store_count(y + i, simd::load_count<Arch>(y + i, count) * sum[k], count);
            });
    });
}

template <class Arch, class T>
void log_softmax_forward(const ReduceGeometry& g, const T* x, T* y) {
    using V = simd::Vec<T, Arch>;
    if (g.inputs() == 0) return;
    if (g.inner == 1) {
        const Index n = g.count, rows = g.outer;
        const bool stream = detail::streams<T>(g, false);
        detail::for_rows(rows, n, stream, [&](Index r) {
            const T *in = x + r * n, *next = r + 1 < rows ? in + n : in;
            const V m = detail::row_max<Arch>(n, in);
            const V sum = detail::tree_reduce<Sum, Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                simd::prefetch_l2(next + i);
                return exp(simd::load_count<Arch>(in + i, count) - m);
            });
            const V log_sum = log(sum);
            detail::write_row<Arch>(n, y + r * n, false, stream, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                return (simd::load_count<Arch>(in + i, count) - m) - log_sum;
            });
        });
        return;
    }
    detail::for_columns<Arch, T>(g, [&](auto groups, Index offset, auto count) {
        constexpr int K = groups;
        V m[K], sum[K];
        detail::max_columns<Arch, K>(g, x + offset, count, m);
        detail::sum_columns<K>(g.count, sum, [&](Index r, auto k) LAMINA_INLINE_LAMBDA {
            return exp(simd::load_count<Arch>(x + offset + r * g.inner + k * V::width, count) - m[k]);
        });
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { sum[k] = log(sum[k]); });
        for (Index r = 0; r < g.count; ++r)
            simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
                const Index i = offset + r * g.inner + k * V::width;
                simd::store_count(y + i, (simd::load_count<Arch>(x + i, count) - m[k]) - sum[k], count);
            });
    });
}

namespace detail {

/// Both gradients: s = sum of term(y, dy), then dx (+)= share(y, dy, s).
template <class Arch, class T, class Term, class Share>
void softmax_gradient(const ReduceGeometry& g, const T* y, const T* dy, T* dx, bool accumulate, const Term& term,
                      const Share& share) {
    using V = simd::Vec<T, Arch>;
    if (g.inputs() == 0) return;
    if (g.inner == 1) {
        const Index n = g.count;
        const bool stream = streams<T>(g, accumulate);
        for_rows(g.outer, n, stream, [&](Index row) {
            const T *out = y + row * n, *up = dy + row * n;
            const V s = tree_reduce<Sum, Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                return term(simd::load_count<Arch>(out + i, count), simd::load_count<Arch>(up + i, count));
            });
            write_row<Arch>(n, dx + row * n, accumulate, stream, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                return share(simd::load_count<Arch>(out + i, count), simd::load_count<Arch>(up + i, count), s);
            });
        });
        return;
    }
    for_columns<Arch, T>(g, [&](auto groups, Index offset, auto count) {
        constexpr int K = groups;
        V s[K];
        sum_columns<K>(g.count, s, [&](Index r, auto k) LAMINA_INLINE_LAMBDA {
            const Index i = offset + r * g.inner + k * V::width;
            return term(simd::load_count<Arch>(y + i, count), simd::load_count<Arch>(dy + i, count));
        });
        for (Index r = 0; r < g.count; ++r)
            simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
                const Index i = offset + r * g.inner + k * V::width;
                V v = share(simd::load_count<Arch>(y + i, count), simd::load_count<Arch>(dy + i, count), s[k]);
                if (accumulate) v += simd::load_count<Arch>(dx + i, count);
                simd::store_count(dx + i, v, count);
            });
    });
}

}  // namespace detail

template <class Arch, class T>
void softmax_grad_input(const ReduceGeometry& g, const T* y, const T* dy, T* dx, bool accumulate) {
    detail::softmax_gradient<Arch>(
        g, y, dy, dx, accumulate, [](auto out, auto up) LAMINA_INLINE_LAMBDA { return out * up; },
        [](auto out, auto up, auto s) LAMINA_INLINE_LAMBDA { return out * (up - s); });
}

template <class Arch, class T>
void log_softmax_grad_input(const ReduceGeometry& g, const T* y, const T* dy, T* dx, bool accumulate) {
    detail::softmax_gradient<Arch>(
        g, y, dy, dx, accumulate, [](auto, auto up) LAMINA_INLINE_LAMBDA { return up; },
        [](auto out, auto up, auto s) LAMINA_INLINE_LAMBDA { return fnma(exp(out), s, up); });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
