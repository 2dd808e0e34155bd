#pragma once
// Cross entropy of logits with class indices or class probabilities: one pass over the logits forward, which keeps each
// row's largest logit and the logarithm of its sum of exponentials relative to that, and one pass backward. The two
// stay apart: their sum would round away the digits of a small loss of large logits.
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/simd/math.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/row.hpp>

#include <cstring>
#include <limits>

namespace lamina::inline LAMINA_ABI::kernels {

/// Logits [batch, classes, inner]; a row is the classes at one (batch, inner).
struct CrossEntropyGeometry {
    Index batch, classes, inner;
    Index rows() const { return batch * inner; }
};

/// What a row is compared with. Its dense part is q_c = weight_c ((1 - smoothing) probability_c + smoothing / classes);
/// a class index adds weight_t (1 - smoothing) to q_t.
template <class T>
struct CrossEntropyTarget {
    const std::int64_t* index;  ///< [batch, inner]; null when there are probabilities
    const T* probability;       ///< [batch, classes, inner], or null
    const T* weight;            ///< [classes]; null for ones
    std::int64_t ignore_index;  ///< rows with this index have no loss
    T smoothing;

    bool has_dense() const { return probability || smoothing != T(0); }
    bool ignored(Index row) const { return index && index[row] == ignore_index; }
    T weight_of(std::int64_t c) const { return weight ? weight[c] : T(1); }
    /// The share of q that the index adds.
    T hard(Index row) const { return index ? (T(1) - smoothing) * weight_of(index[row]) : T(0); }
};

/// What the backward pass needs of each row [batch, inner]: the largest logit, log sum_c exp(x_c - top), sum_c q_c.
template <class T>
struct CrossEntropyRows {
    T *top, *log_sum, *mass;
};

/// loss[r] = sum_c q_c (top - x_c + log_sum) [batch, inner], and the rows' numbers. The indices are valid.
template <class Arch = simd::native, class T>
void cross_entropy_forward(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& target, const T* x, T* loss,
                           const CrossEntropyRows<T>& rows);

/// dx (+)= dy[r * dy_step] * scale * (mass exp(x - top - log_sum) - q).
template <class Arch = simd::native, class T>
void cross_entropy_grad_input(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& target, const T* x,
                              const CrossEntropyRows<T>& rows, const T* dy, Index dy_step, T scale, T* dx,
                              bool accumulate);

namespace detail {

template <class T>
inline constexpr T minus_infinity = -std::numeric_limits<T>::infinity();

/// Lanes of x with `fill` past the end of the row.
template <class Arch, class T, class Count>
LAMINA_INLINE simd::Vec<T, Arch> load_filled(const T* x, Count count, T fill) {
    const auto v = simd::load_count<Arch>(x, count);
    if constexpr (std::is_same_v<Count, Index>)
        return select(simd::first_lanes<T, Arch>(count), v, simd::Vec<T, Arch>(fill));
    else return v;
}

/// Lanes of q's dense part at classes c, c + 1, … of one row, or at one class of neighbouring rows.
template <class Arch, class T, class Count>
LAMINA_INLINE simd::Vec<T, Arch> dense_target(const CrossEntropyTarget<T>& t, Index classes, const T* probability,
                                              simd::Vec<T, Arch> weight, Count count) {
    using V = simd::Vec<T, Arch>;
    const V floor(t.smoothing / T(classes));
    return weight *
           (probability ? fma(V(T(1) - t.smoothing), simd::load_count<Arch>(probability, count), floor) : floor);
}

/// A running log sum exp: fed in chunks that stay in the first-level cache between their maximum and their
/// exponentials, so that the row is read from memory once. `extra` sees each chunk and the largest logit so far.
template <class Arch, class T, class Extra>
void row_log_sum_exp(Index n, const T* x, T& row_top, T& log_sum, Extra&& extra) {
    using V = simd::Vec<T, Arch>;
    constexpr Index chunk = 4096 / Index(sizeof(T)) * 2;
    T top = minus_infinity<T>, sum = 0;
    for (Index c = 0; c < n; c += chunk) {
        const Index count = n - c < chunk ? n - c : chunk;
        const T* const p = x + c;
        V m[4] = {minus_infinity<T>, minus_infinity<T>, minus_infinity<T>, minus_infinity<T>};
        simd::row_unrolled<4, Arch, T>(count, [&](auto k, Index i, auto lanes) LAMINA_INLINE_LAMBDA {
            m[k] = max(load_filled<Arch>(p + i, lanes, minus_infinity<T>), m[k]);
        });
        const T highest = simd::reduce_max(max(max(m[0], m[1]), max(m[2], m[3])));
        if (highest > top) {
            sum *= simd::exp(top - highest);
            top = highest;
        }
        const V offset(top == minus_infinity<T> ? T(0) : top);
        V s[4] = {T(0), T(0), T(0), T(0)};
        simd::row_unrolled<4, Arch, T>(count, [&](auto k, Index i, auto lanes) LAMINA_INLINE_LAMBDA {
            simd::prefetch(p + i + chunk);
            s[k] += exp(load_filled<Arch>(p + i, lanes, minus_infinity<T>) - offset);
        });
        sum += simd::reduce_add((s[0] + s[1]) + (s[2] + s[3]));
        extra(c, count, top);
    }
    row_top = top;
    log_sum = simd::log(sum);
}

/// Class index share of a row's loss; also where the row is ignored. The dense part is sum_c q_c and sum_c q_c (top -
/// x_c).
template <class T>
LAMINA_INLINE void finish_row(const CrossEntropyTarget<T>& t, const CrossEntropyRows<T>& rows, Index row, const T* x,
                              Index stride, T dense_mass, T dense_gap, T& loss) {
    if (t.ignored(row)) {
        loss = rows.mass[row] = T(0);
        return;
    }
    const T hard = t.hard(row), log_sum = rows.log_sum[row];
    rows.mass[row] = dense_mass + hard;
    loss = t.has_dense() ? dense_mass * log_sum + dense_gap : T(0);
    if (t.index) loss += hard * ((rows.top[row] - x[t.index[row] * stride]) + log_sum);
}

template <class Arch, class T>
void cross_entropy_row(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& t, Index row, const T* x,
                       const CrossEntropyRows<T>& rows, T& loss) {
    using V = simd::Vec<T, Arch>;
    const T* const probability = t.probability ? t.probability + row * g.classes : nullptr;
    // Logits are measured from the first chunk's largest until the row's is known.
    T origin(0);
    V q_sum(T(0)), gap(T(0));
    row_log_sum_exp<Arch>(g.classes, x, rows.top[row], rows.log_sum[row], [&](Index c, Index count, T top) {
        if (!t.has_dense()) return;
        if (c == 0 && top != minus_infinity<T>) origin = top;
        const V from(origin);
        simd::row<Arch, T>(count, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
            const V w = t.weight ? simd::load_count<Arch>(t.weight + c + i, lanes) : V(T(1));
            V q = dense_target<Arch>(t, g.classes, probability ? probability + c + i : nullptr, w, lanes);
            if constexpr (std::is_same_v<decltype(lanes), Index>)
                q = select(simd::first_lanes<T, Arch>(lanes), q, V(T(0)));
            q_sum += q;
            gap = fnma(q, simd::load_count<Arch>(x + c + i, lanes) - from, gap);
        });
    });
    const T mass = simd::reduce_add(q_sum);
    const T rise = rows.top[row] == origin ? T(0) : mass * (rows.top[row] - origin);
    finish_row(t, rows, row, x, 1, mass, simd::reduce_add(gap) + rise, loss);
}

/// Columns that are handled together where classes are not neighbours in memory.
inline constexpr Index cross_entropy_tile = 128;

template <class Arch, class T>
void cross_entropy_columns(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& t, Index n, Index column,
                           Index count, const T* x, const CrossEntropyRows<T>& rows, T* loss) {
    using V = simd::Vec<T, Arch>;
    alignas(64) T top[cross_entropy_tile], sum[cross_entropy_tile], q_sum[cross_entropy_tile], gap[cross_entropy_tile];
    const Index start = n * g.classes * g.inner + column, first = n * g.inner + column;
    const auto per_class = [&](auto&& body) LAMINA_INLINE_LAMBDA {
        for (Index c = 0; c < g.classes; ++c)
            simd::row<Arch, T>(count, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
                body(c, i, simd::load_count<Arch>(x + start + c * g.inner + i, lanes), lanes);
            });
    };
    for (Index i = 0; i < cross_entropy_tile; ++i) top[i] = minus_infinity<T>, sum[i] = q_sum[i] = gap[i] = T(0);
    const auto at = [](const T* p, Index i) LAMINA_INLINE_LAMBDA { return simd::load<Arch>(p + i); };
    per_class([&](Index, Index i, V v, auto) LAMINA_INLINE_LAMBDA { simd::store(top + i, max(v, at(top, i))); });
    for (Index i = 0; i < cross_entropy_tile; ++i) top[i] = top[i] == minus_infinity<T> ? T(0) : top[i];
    const bool dense = t.has_dense();
    per_class([&](Index c, Index i, V v, auto lanes) LAMINA_INLINE_LAMBDA {
        const V above = v - at(top, i);
        simd::store(sum + i, at(sum, i) + exp(above));
        if (!dense) return;
        const T* const probability = t.probability ? t.probability + start + c * g.inner + i : nullptr;
        const V q = dense_target<Arch>(t, g.classes, probability, V(t.weight_of(c)), lanes);
        simd::store(q_sum + i, at(q_sum, i) + q);
        simd::store(gap + i, fnma(q, above, at(gap, i)));
    });
    for (Index i = 0; i < count; ++i) {
        rows.top[first + i] = top[i];
        rows.log_sum[first + i] = simd::log(sum[i]);
        finish_row(t, rows, first + i, x + start + i, g.inner, q_sum[i], gap[i], loss[first + i]);
    }
}

template <class Arch, class T>
void cross_entropy_grad_row(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& t, Index row, const T* x,
                            const CrossEntropyRows<T>& rows, T upstream, T* dx, bool accumulate, bool stream) {
    using V = simd::Vec<T, Arch>;
    const T* const probability = t.probability ? t.probability + row * g.classes : nullptr;
    const bool dense = t.has_dense();
    const V scale(upstream * rows.mass[row]), top(rows.top[row]), log_sum(rows.log_sum[row]), dy(upstream);
    simd::row<Arch, T>(g.classes, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
        V d = scale * exp((simd::load_count<Arch>(x + i, lanes) - top) - log_sum);
        if (dense) {
            const V w = t.weight ? simd::load_count<Arch>(t.weight + i, lanes) : V(T(1));
            d = fnma(dy, dense_target<Arch>(t, g.classes, probability ? probability + i : nullptr, w, lanes), d);
        }
        if (accumulate) d += simd::load_count<Arch>(dx + i, lanes);
        if constexpr (!std::is_same_v<decltype(lanes), Index>) {
            if (stream) return simd::stream(dx + i, d);
        }
        simd::store_count(dx + i, d, lanes);
    });
}

template <class Arch, class T>
void cross_entropy_grad_columns(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& t, Index n, Index column,
                                Index count, const T* x, const CrossEntropyRows<T>& rows, const T* dy, Index dy_step,
                                T scale, T* dx, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    alignas(64) T upstream[cross_entropy_tile] = {}, total[cross_entropy_tile] = {}, top[cross_entropy_tile] = {},
                  log_sum[cross_entropy_tile] = {};
    const Index start = n * g.classes * g.inner + column, first = n * g.inner + column;
    bool some_ignored = false;
    for (Index i = 0; i < count; ++i) {
        upstream[i] = scale * dy[(first + i) * dy_step];
        total[i] = upstream[i] * rows.mass[first + i];
        top[i] = rows.top[first + i];
        log_sum[i] = rows.log_sum[first + i];
        if (t.ignored(first + i)) {
            upstream[i] = total[i] = T(0);
            some_ignored = true;
        }
    }
    const bool dense = t.has_dense();
    for (Index c = 0; c < g.classes; ++c)
        simd::row<Arch, T>(count, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
            const Index at = start + c * g.inner + i;
            const V below = simd::load_count<Arch>(x + at, lanes) - simd::load<Arch>(top + i);
            V d = simd::load<Arch>(total + i) * exp(below - simd::load<Arch>(log_sum + i));
            if (dense)
                d = fnma(simd::load<Arch>(upstream + i),
                         dense_target<Arch>(t, g.classes, t.probability ? t.probability + at : nullptr,
                                            V(t.weight_of(c)), lanes),
                         d);
            // An ignored row may hold infinities, whose products with 0 are NaN.
            if (some_ignored) d = select(simd::load<Arch>(total + i) == V(T(0)), V(T(0)), d);
            if (accumulate) d += simd::load_count<Arch>(dx + at, lanes);
            simd::store_count(dx + at, d, lanes);
        });
    if (!t.index) return;
    for (Index i = 0; i < count; ++i)
        if (!t.ignored(first + i)) dx[start + i + t.index[first + i] * g.inner] -= upstream[i] * t.hard(first + i);
}

/// Calls by_row(row) or by_columns(n, column, count), whichever suits where the classes lie.
template <class ByRow, class ByColumns>
void cross_entropy_walk(const CrossEntropyGeometry& g, ByRow&& by_row, ByColumns&& by_columns) {
    if (g.inner == 1) {
        parallel::for_range(g.batch, parallel::grain_for(4 * g.classes), [&](Index begin, Index end) {
            for (Index row = begin; row < end; ++row) by_row(row);
        });
        return;
    }
    const Index tiles = (g.inner + cross_entropy_tile - 1) / cross_entropy_tile;
    parallel::for_range(g.batch * tiles, parallel::grain_for(4 * g.classes * cross_entropy_tile),
                        [&](Index begin, Index end) {
                            for (Index i = begin; i < end; ++i) {
                                const Index column = i % tiles * cross_entropy_tile, left = g.inner - column;
                                by_columns(i / tiles, column, left < cross_entropy_tile ? left : cross_entropy_tile);
                            }
                        });
}

}  // namespace detail

template <class Arch, class T>
void cross_entropy_forward(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& target, const T* x, T* loss,
                           const CrossEntropyRows<T>& rows) {
    detail::cross_entropy_walk(
        g, [&](Index row) { detail::cross_entropy_row<Arch>(g, target, row, x + row * g.classes, rows, loss[row]); },
        [&](Index n, Index column, Index count) {
            detail::cross_entropy_columns<Arch>(g, target, n, column, count, x, rows, loss);
        });
}

template <class Arch, class T>
void cross_entropy_grad_input(const CrossEntropyGeometry& g, const CrossEntropyTarget<T>& target, const T* x,
                              const CrossEntropyRows<T>& rows, const T* dy, Index dy_step, T scale, T* dx,
                              bool accumulate) {
    const bool stream = !accumulate && g.rows() * g.classes * Index(sizeof(T)) >= stream_threshold_bytes &&
                        g.classes * Index(sizeof(T)) >= 4096;
    detail::cross_entropy_walk(
        g,
        [&](Index row) {
            T* const to = dx + row * g.classes;
            if (target.ignored(row)) {
                if (!accumulate) std::memset(static_cast<void*>(to), 0, std::size_t(g.classes) * sizeof(T));
                return;
            }
            const T upstream = scale * dy[row * dy_step];
            detail::cross_entropy_grad_row<Arch>(g, target, row, x + row * g.classes, rows, upstream, to, accumulate,
                                                 stream);
            if (stream) simd::stream_fence();
            if (target.index) to[target.index[row]] -= upstream * target.hard(row);
        },
        [&](Index n, Index column, Index count) {
            detail::cross_entropy_grad_columns<Arch>(g, target, n, column, count, x, rows, dy, dy_step, scale, dx,
                                                     accumulate);
        });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
