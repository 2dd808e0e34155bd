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

template <class T>
bool streams(const ReduceGeometry& g, bool accumulate) {
    return !accumulate && g.inputs() * Index(sizeof(T)) >= dense_stream_threshold_bytes;
}

/// Calls f(row) for all rows in parallel, with a fence after each task that streams.
template <class F>
void for_rows(Index rows, Index n, bool stream, F&& f) {
    parallel::for_range(rows, parallel::grain_for(2 * n), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) f(r);
        if (stream) simd::stream_fence();
    });
}

/// Calls f(offset, width, work) for tiles of `width` columns, narrow enough for all their rows to stay in the
/// second-level cache. `offset` is that of the tile's first element, `work` has room for the tile and `spare` rows
/// more.
template <class T, class F>
void for_columns(const ReduceGeometry& g, Index spare, F&& f) {
    constexpr Index narrowest = 64, widest = 1024, cached = 32768;
    Index tile = cached / g.count / narrowest * narrowest;
    tile = tile < narrowest ? narrowest : tile > widest ? widest : tile;
    const Index tiles = (g.inner + tile - 1) / tile;
    const Index width = g.inner < tile ? g.inner : tile;
    parallel::for_range(g.outer * tiles, parallel::grain_for(2 * g.count * width), [&](Index begin, Index end) {
        T* work = parallel::scratch<T>((g.count + spare) * width, softmax_slot);
        for (Index task = begin; task < end; ++task) {
            const Index at = task % tiles * tile;
            f(task / tiles * g.count * g.inner + at, g.inner - at < tile ? g.inner - at : tile, work);
        }
    });
}

/// total[i] = sum of term(row, i, count) over the rows: blocks of 64 rows, then the blocks, so that errors stay small.
/// `part` is room for another row.
template <class Arch, class T, class Term>
LAMINA_INLINE void sum_columns(Index rows, Index width, T* total, T* part, Term&& term) {
    constexpr Index block = 64;
    for (Index first = 0; first < rows; first += block) {
        T* to = first == 0 ? total : part;
        for (Index r = first; r < rows && r < first + block; ++r)
            simd::row<Arch, T>(width, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const auto v = term(r, i, count);
                simd::store_count(to + i, r == first ? v : simd::load_count<Arch>(to + i, count) + v, count);
            });
        if (first > 0)
            simd::for_each_vec<Arch>(
                width, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a + b; }, total, total, part);
    }
}

/// Softmax of the columns of a tile, or with `logarithm` its logarithm. The tile is copied together first: rows a power
/// of two apart would drive each other out of the cache.
template <bool Logarithm, class Arch, class T>
void softmax_columns(const ReduceGeometry& g, const T* x, T* y) {
    using V = simd::Vec<T, Arch>;
    const bool stream = streams<T>(g, false);
    for_columns<T>(g, 3, [&](Index offset, Index width, T* tile) {
        T *top = tile + g.count * width, *sum = top + width, *part = sum + width;
        for (Index r = 0; r < g.count; ++r)
            simd::row<Arch, T>(width, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V v = simd::load_count<Arch>(x + offset + r * g.inner + i, count);
                const V m = r == 0 ? V(-std::numeric_limits<T>::infinity()) : simd::load_count<Arch>(top + i, count);
                simd::store_count(tile + r * width + i, v, count);
                simd::store_count(top + i, max(v, m), count);
            });
        sum_columns<Arch>(g.count, width, sum, part, [&](Index r, Index i, auto count) LAMINA_INLINE_LAMBDA {
            const V v = simd::load_count<Arch>(tile + r * width + i, count) - simd::load_count<Arch>(top + i, count);
            const V e = exp(v);
            simd::store_count(tile + r * width + i, Logarithm ? v : e, count);
            return e;
        });
        simd::for_each_vec<Arch>(
            width,
            [](V s) LAMINA_INLINE_LAMBDA {
                if constexpr (Logarithm) return log(s);
                else return V(T(1)) / s;
            },
            sum, sum);
        for (Index r = 0; r < g.count; ++r)
            simd::row<Arch, T>(width, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V v = simd::load_count<Arch>(tile + r * width + i, count),
                        s = simd::load_count<Arch>(sum + i, count);
                const V out = Logarithm ? v - s : v * s;
                if (stream && count == V::width) simd::stream(y + offset + r * g.inner + i, out);
                else simd::store_count(y + offset + r * g.inner + i, out, count);
            });
        if (stream) simd::stream_fence();
    });
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
    detail::softmax_columns<false, Arch>(g, x, y);
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
    detail::softmax_columns<true, Arch>(g, x, y);
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
    for_columns<T>(g, 2, [&](Index offset, Index width, T* work) {
        T *sum = work, *part = work + width;
        sum_columns<Arch>(g.count, width, sum, part, [&](Index r, Index i, auto count) LAMINA_INLINE_LAMBDA {
            const Index at = offset + r * g.inner + i;
            return term(simd::load_count<Arch>(y + at, count), simd::load_count<Arch>(dy + at, count));
        });
        for (Index r = 0; r < g.count; ++r)
            simd::row<Arch, T>(width, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const Index at = offset + r * g.inner + i;
                V v = share(simd::load_count<Arch>(y + at, count), simd::load_count<Arch>(dy + at, count),
                            simd::load_count<Arch>(sum + i, count));
                if (accumulate) v += simd::load_count<Arch>(dx + at, count);
                simd::store_count(dx + at, v, count);
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
