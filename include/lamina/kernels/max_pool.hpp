#pragma once
// Largest element of windows, forward and backward: columns first, which neighbouring windows share, then along the
// row, lanes at a time. The backward pass finds the elements again and adds each gradient where it belongs.
#include <lamina/kernels/max_pool_3.hpp>
#include <lamina/parallel/scratch.hpp>

#include <cstring>
#include <limits>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [planes, out_h, out_w] = largest element of each window; NaN counts as larger than all. `indices`, unless null,
/// receives where it lies in its plane, the first of equals.
template <class Arch = simd::native, class T>
void max_pool2d_forward(const PoolGeometry& g, const T* x, T* y, std::int64_t* indices);
/// dx (+)= dy at the first largest element of each window, which is found again in `x`.
template <class Arch = simd::native, class T>
void max_pool2d_grad_input(const PoolGeometry& g, const T* x, const T* dy, T* dx, bool accumulate);

/// The same over the windows floor(i * in / out) … ceil((i + 1) * in / out) of each dimension.
template <class T>
void adaptive_max_pool2d_forward(const PoolGeometry& g, const T* x, T* y, std::int64_t* indices);
template <class T>
void adaptive_max_pool2d_grad_input(const PoolGeometry& g, const T* x, const T* dy, T* dx, bool accumulate);

namespace detail {

inline constexpr int pool_slot = 4;  ///< scratch of column maxima, of their positions, and of a row's positions

/// A place in a plane, in lanes as wide as T's.
template <class T>
using PoolPosition = typename simd::Vec<T, simd::scalar>::signed_type;

/// Largest elements and where they lie.
template <class T, class Arch>
struct LargestSoFar {
    simd::Vec<T, Arch> value;
    simd::Vec<PoolPosition<T>, Arch> where;

    /// Takes `v` where it is larger, or equal and further in front: the first of equals, in whatever order they come.
    template <bool Where>
    LAMINA_INLINE void meet(simd::Vec<T, Arch> v, simd::Vec<PoolPosition<T>, Arch> at) {
        auto better = beats(v, value);
        if constexpr (Where) {
            better = better | (~beats(value, v) & simd::mask_cast<T>(at < where));
            where = select(simd::mask_cast<PoolPosition<T>>(better), at, where);
        }
        value = select(better, v, value);
    }
};

/// A row of windows, folded to the largest of each column, with the padding to both sides.
template <class T>
struct ColumnMaxima {
    T* value;
    PoolPosition<T>* where;

    static Index length(const PoolGeometry& g) { return g.out_w * g.stride_w + (g.kernel_w - 1) * g.dilation_w; }
    explicit ColumnMaxima(const PoolGeometry& g)
        : value(parallel::scratch<T>(length(g) + g.in_w, pool_slot)),
          where(parallel::scratch<PoolPosition<T>>(length(g) + g.in_w, pool_slot + 1)) {}

    template <bool Where, class Arch>
    void fill(const PoolGeometry& g, const T* plane, Taps rows) {
        using I = simd::Vec<PoolPosition<T>, Arch>;
        const auto pad = [&](Index from, Index to) {
            for (Index i = from; i < to; ++i) {
                value[i] = -std::numeric_limits<T>::infinity();
                where[i] = std::numeric_limits<PoolPosition<T>>::max();
            }
        };
        pad(0, g.pad_w);
        pad(g.pad_w + g.in_w, length(g));
        simd::row<Arch, T>(g.in_w, [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
            I at = simd::lane_numbers<PoolPosition<T>, Arch>() + I(PoolPosition<T>(rows.first * g.in_w + c));
            LargestSoFar<T, Arch> best{simd::load_count<Arch>(plane + rows.first * g.in_w + c, count), at};
            for (Index y = rows.first + rows.step; y < rows.end; y += rows.step) {
                at += I(PoolPosition<T>(rows.step * g.in_w));
                best.template meet<Where>(simd::load_count<Arch>(plane + y * g.in_w + c, count), at);
            }
            simd::store_count(value + g.pad_w + c, best.value, count);
            if constexpr (Where) simd::store_count(where + g.pad_w + c, best.where, count);
        });
    }

    /// The largest of each window, lane by lane for strides 1 and 2.
    template <bool Where, class Arch, class Put>
    void reduce(const PoolGeometry& g, const Put& put) const {
        simd::row<Arch, T>(g.out_w, [&](Index ox, auto count) LAMINA_INLINE_LAMBDA {
            const auto lanes = [&](const auto* from) LAMINA_INLINE_LAMBDA {
                if (g.stride_w == 2) return load_pairs<Arch>(from + 2 * ox, count).first;
                return simd::load_count<Arch>(from + g.stride_w * ox, count);
            };
            LargestSoFar<T, Arch> best{lanes(value), Where ? lanes(where) : simd::Vec<PoolPosition<T>, Arch>()};
            for (Index k = g.dilation_w; k < g.kernel_w * g.dilation_w; k += g.dilation_w)
                best.template meet<Where>(lanes(value + k), Where ? lanes(where + k) : best.where);
            put(ox, best, count);
        });
    }
    template <bool Where, class Arch, class Put>
    void max_row(const PoolGeometry& g, const T* plane, Index oy, const Put& put) {
        fill<Where, Arch>(g, plane, row_taps(g, oy));
        if (g.stride_w <= 2) reduce<Where, Arch>(g, put);
        else reduce<Where, simd::scalar>(g, put);
    }
};

}  // namespace detail

template <class Arch, class T>
void max_pool2d_forward(const PoolGeometry& g, const T* x, T* y, std::int64_t* indices) {
    if (g.two_by_two() && !indices) return max_pool_2x2_forward<Arch>(g.planes, g.in_h, g.in_w, x, y);
    const auto value_row = [&](Index plane, Index oy) {
        detail::ColumnMaxima<T> columns(g);
        T* const out = y + (plane * g.out_h + oy) * g.out_w;
        columns.template max_row<false, Arch>(g, x + plane * g.in_h * g.in_w, oy,
                                              [&](Index ox, const auto& best, auto count) LAMINA_INLINE_LAMBDA {
                                                  simd::store_count(out + ox, best.value, count);
                                              });
    };
    if (!indices && detail::three_by_two(g)) return detail::max_pool_of_threes<Arch>(g, x, y, value_row);
    detail::for_each_window_row(g, [&](Index plane, Index oy) {
        if (!indices) return value_row(plane, oy);
        detail::ColumnMaxima<T> columns(g);
        const Index at = (plane * g.out_h + oy) * g.out_w;
        auto* const where = parallel::scratch<detail::PoolPosition<T>>(g.out_w, detail::pool_slot + 2);
        columns.template max_row<true, Arch>(g, x + plane * g.in_h * g.in_w, oy,
                                             [&](Index ox, const auto& best, auto count) LAMINA_INLINE_LAMBDA {
                                                 simd::store_count(y + at + ox, best.value, count);
                                                 simd::store_count(where + ox, best.where, count);
                                             });
        for (Index ox = 0; ox < g.out_w; ++ox) indices[at + ox] = where[ox];
    });
}

template <class Arch, class T>
void max_pool2d_grad_input(const PoolGeometry& g, const T* x, const T* dy, T* dx, bool accumulate) {
    if (g.two_by_two()) return max_pool_2x2_grad_input<Arch>(g.planes, g.in_h, g.in_w, x, dy, dx, accumulate);
    const Index size = g.in_h * g.in_w;
    detail::for_each_plane(g, [&](Index plane) {
        detail::ColumnMaxima<T> columns(g);
        auto* const where = parallel::scratch<detail::PoolPosition<T>>(g.out_w, detail::pool_slot + 2);
        T* const grad = dx + plane * size;
        if (!accumulate) std::memset(static_cast<void*>(grad), 0, std::size_t(size) * sizeof(T));
        for (Index oy = 0; oy < g.out_h; ++oy) {
            columns.template max_row<true, Arch>(g, x + plane * size, oy,
                                                 [&](Index ox, const auto& best, auto count) LAMINA_INLINE_LAMBDA {
                                                     simd::store_count(where + ox, best.where, count);
                                                 });
            const T* up = dy + (plane * g.out_h + oy) * g.out_w;
            for (Index ox = 0; ox < g.out_w; ++ox) grad[where[ox]] += up[ox];
        }
    });
}

template <class T>
void adaptive_max_pool2d_forward(const PoolGeometry& g, const T* x, T* y, std::int64_t* indices) {
    detail::for_each_adaptive_window(g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns) {
        const T* image = x + plane * g.in_h * g.in_w;
        const Index best = detail::argmax(image, g.in_w, rows, columns);
        y[out] = image[best];
        if (indices) indices[out] = best;
    });
}
template <class T>
void adaptive_max_pool2d_grad_input(const PoolGeometry& g, const T* x, const T* dy, T* dx, bool accumulate) {
    if (!accumulate) std::memset(static_cast<void*>(dx), 0, std::size_t(g.in_numel()) * sizeof(T));
    detail::for_each_adaptive_window(g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns) {
        const Index base = plane * g.in_h * g.in_w;
        dx[base + detail::argmax(x + base, g.in_w, rows, columns)] += dy[out];
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
