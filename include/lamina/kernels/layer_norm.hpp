#pragma once
// Normalisation of rows: layer norm (mean and variance) and RMS norm (mean square alone), and their gradients. A row
// is read from memory once; distances are taken from its first element, so that neither a large mean nor a constant
// row loses digits.
#include <lamina/kernels/policy.hpp>
#include <lamina/kernels/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// `rows` dense rows of `n` elements.
struct RowNormGeometry {
    Index rows, n;
};

/// y = (x - mean) / sqrt(variance + eps) * weight + bias with the biased variance. `weight` and `bias` [n] may be null,
/// `mean` [rows] (counted from the row's first element) and `rstd` [rows] too.
template <class Arch = simd::native, class T>
void layer_norm_forward(const RowNormGeometry& g, const T* x, const T* weight, const T* bias, double eps, T* y, T* mean,
                        T* rstd);
/// y = x / sqrt(mean(x^2) + eps) * weight. `weight` [n] and `rstd` [rows] may be null.
template <class Arch = simd::native, class T>
void rms_norm_forward(const RowNormGeometry& g, const T* x, const T* weight, double eps, T* y, T* rstd);

/// Gradients asked for: `dx` may be null, `dweight` and `dbias` too; these two are added to.
template <class T>
struct RowNormGradients {
    T* dx;
    bool accumulate;
    T *dweight, *dbias;
};
/// With h = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - h mean(g h)); for RMS norm (`mean` null)
/// dx = rstd (g - h mean(g h)) with h = x rstd. dweight += sum(dy h), dbias += sum(dy).
template <class Arch = simd::native, class T>
void row_norm_gradients(const RowNormGeometry& g, const T* x, const T* weight, const T* mean, const T* rstd,
                        const T* dy, const RowNormGradients<T>& to);

namespace detail {

inline constexpr int norm_slot = 15;   ///< scratch of partial weight gradients
inline constexpr int total_slot = 11;  ///< scratch of their sums

/// Calls f(value(i, count)) with whole vectors of [0, n) stored around the caches when `stream`.
template <class Arch, class T, class F>
LAMINA_INLINE void store_row(Index n, T* to, bool stream, F&& value) {
    if (stream)
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const auto v = value(i, count);
            if constexpr (std::is_same_v<decltype(count), Index>) simd::store_partial(to + i, v, count);
            else simd::stream(to + i, v);
        });
    else
        simd::row<Arch, T>(
            n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA { simd::store_count(to + i, value(i, count), count); });
}

/// 1 / sqrt(mean square + eps) in the precision of T.
template <class T>
T inverse_root(T sum, Index n, double eps) {
    return T(1) / T(__builtin_sqrt(sum / T(n) + T(eps)));
}

template <bool Center, class Arch, class T>
void row_norm_forward(const RowNormGeometry& g, const T* x, const T* weight, const T* bias, double eps, T* y, T* mean,
                      T* rstd) {
    using V = simd::Vec<T, Arch>;
    const Index n = g.n;
    if (n == 0) return;
    const bool stream = g.rows * n * Index(sizeof(T)) >= dense_stream_threshold_bytes;
    parallel::for_range(g.rows, parallel::grain_for(2 * n), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) {
            const T *in = x + r * n, *next = r + 1 < g.rows ? in + n : in;
            const V first = Center ? in[0] : T(0);
            V middle = T(0);
            if constexpr (Center) {
                const T m = tree_reduce<Sum, Arch, T>(n,
                                                      [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                                                          simd::prefetch(next + i);
                                                          return simd::load_count<Arch>(in + i, count) - first;
                                                      }) /
                            T(n);
                middle = m;
                if (mean) mean[r] = m;
            }
            const T squares = tree_reduce<Sum, Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V d = Center ? (simd::load_count<Arch>(in + i, count) - first) - middle
                                   : simd::load_count<Arch>(in + i, count);
                return d * d;
            });
            const T scale = inverse_root(squares, n, eps);
            if (rstd) rstd[r] = scale;
            const V s = scale;
            const auto hat = [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V v = simd::load_count<Arch>(in + i, count);
                return (Center ? (v - first) - middle : v) * s;
            };
            T* out = y + r * n;
            if (weight && bias)
                store_row<Arch>(n, out, stream, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    return fma(hat(i, count), simd::load_count<Arch>(weight + i, count),
                               simd::load_count<Arch>(bias + i, count));
                });
            else if (weight)
                store_row<Arch>(n, out, stream, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    return hat(i, count) * simd::load_count<Arch>(weight + i, count);
                });
            else
                store_row<Arch>(n, out, stream, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    const V v = hat(i, count);
                    return bias ? v + simd::load_count<Arch>(bias + i, count) : v;
                });
        }
        if (stream) simd::stream_fence();
    });
}

}  // namespace detail

template <class Arch, class T>
void layer_norm_forward(const RowNormGeometry& g, const T* x, const T* weight, const T* bias, double eps, T* y, T* mean,
                        T* rstd) {
    detail::row_norm_forward<true, Arch>(g, x, weight, bias, eps, y, mean, rstd);
}
template <class Arch, class T>
void rms_norm_forward(const RowNormGeometry& g, const T* x, const T* weight, double eps, T* y, T* rstd) {
    detail::row_norm_forward<false, Arch>(g, x, weight, static_cast<const T*>(nullptr), eps, y,
                                          static_cast<T*>(nullptr), rstd);
}

template <class Arch, class T>
void row_norm_gradients(const RowNormGeometry& g, const T* x, const T* weight, const T* mean, const T* rstd,
                        const T* dy, const RowNormGradients<T>& to) {
    using V = simd::Vec<T, Arch>;
    const Index n = g.n;
    if (n == 0 || g.rows == 0) return;
    // Weight gradients: a partial sum for each of at most 64 blocks of rows, combined by the tree of `reduce`.
    constexpr Index most_blocks = 64, least_rows = 16;
    const Index even = (g.rows + most_blocks - 1) / most_blocks, block = even < least_rows ? least_rows : even;
    const Index blocks = (g.rows + block - 1) / block;
    const bool affine = to.dweight || to.dbias;
    T* partial = affine ? parallel::scratch<T>(2 * blocks * n, detail::norm_slot) : nullptr;
    T *partial_weight = partial, *partial_bias = affine ? partial + blocks * n : nullptr;
    parallel::for_range(blocks, parallel::grain_for(4 * block * n), [&](Index begin, Index end) {
        for (Index r = begin * block; r < end * block && r < g.rows; ++r) {
            const T *in = x + r * n, *up = dy + r * n;
            const V first = mean ? in[0] : T(0), middle = mean ? mean[r] : T(0), scale = rstd[r];
            const auto hat = [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                return ((simd::load_count<Arch>(in + i, count) - first) - middle) * scale;
            };
            const auto slope = [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V v = simd::load_count<Arch>(up + i, count);
                return weight ? v * simd::load_count<Arch>(weight + i, count) : v;
            };
            if (to.dx) {
                const V along =
                    detail::tree_reduce<Sum, Arch, T>(
                        n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA { return slope(i, count) * hat(i, count); }) /
                    T(n);
                const V shared = !mean ? T(0) : detail::tree_reduce<Sum, Arch, T>(n, slope) / T(n);
                T* out = to.dx + r * n;
                simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    V v = scale * fnma(hat(i, count), along, slope(i, count) - shared);
                    if (to.accumulate) v += simd::load_count<Arch>(out + i, count);
                    simd::store_count(out + i, v, count);
                });
            }
            if (!affine) continue;
            const bool fresh = r % block == 0;
            T *pw = partial_weight + r / block * n, *pb = partial_bias + r / block * n;
            simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V v = simd::load_count<Arch>(up + i, count), h = hat(i, count) * v;
                simd::store_count(pw + i, fresh ? h : simd::load_count<Arch>(pw + i, count) + h, count);
                simd::store_count(pb + i, fresh ? v : simd::load_count<Arch>(pb + i, count) + v, count);
            });
        }
    });
    const auto combine = [&](T* sums, T* grad) {
        if (!grad) return;
        T* total = parallel::scratch<T>(n, detail::total_slot);
        reduce<Sum, Arch>(ReduceGeometry{1, blocks, n}, sums, static_cast<const T*>(nullptr), total);
        simd::for_each_vec<Arch>(
            n, [](V a, V b) LAMINA_INLINE_LAMBDA { return a + b; }, grad, grad, total);
    };
    combine(partial_weight, to.dweight);
    combine(partial_bias, to.dbias);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
