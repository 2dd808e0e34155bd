#pragma once
// Mean of windows, forward and backward, rows of windows a vector at a time; the mean of whole planes is a sum by the
// fixed tree.
#include <lamina/kernels/pool_windows.hpp>
#include <lamina/kernels/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// What the sum of a window is divided by.
struct AverageDivisor {
    bool count_include_pad = true;  ///< padded positions count, though not those beyond the padding (ceil mode)
    Index fixed = 0;                ///< divide by this, if it is not 0
};

/// y [planes, out_h, out_w] = mean of each window.
template <class Arch = simd::native, class T>
void avg_pool2d_forward(const PoolGeometry& g, AverageDivisor divisor, const T* x, T* y);
/// dx += dy spread evenly over each window.
template <class Arch = simd::native, class T>
void avg_pool2d_grad_input(const PoolGeometry& g, AverageDivisor divisor, const T* dy, T* dx);

/// Mean over the windows floor(i * in / out) … ceil((i + 1) * in / out) of each dimension.
template <class Arch = simd::native, class T>
void adaptive_avg_pool2d_forward(const PoolGeometry& g, const T* x, T* y);
template <class Arch = simd::native, class T>
void adaptive_avg_pool2d_grad_input(const PoolGeometry& g, const T* dy, T* dx);

namespace detail {

inline Index divisor_of(const PoolGeometry& g, AverageDivisor d, Taps rows, Taps columns, Index oy, Index ox) {
    if (d.fixed) return d.fixed;
    if (!d.count_include_pad) return (rows.end - rows.first) * (columns.end - columns.first);
    const auto padded = [](Index out, Index stride, Index pad, Index kernel, Index in) {
        const Index first = out * stride - pad, end = first + kernel;
        return (end < in + pad ? end : in + pad) - first;
    };
    return padded(oy, g.stride_h, g.pad_h, g.kernel_h, g.in_h) * padded(ox, g.stride_w, g.pad_w, g.kernel_w, g.in_w);
}

template <class T>
LAMINA_INLINE T window_sum(const T* x, Index width, Taps rows, Taps columns) {
    T sum(0);
    for (Index y = rows.first; y < rows.end; ++y)
        for (Index c = columns.first; c < columns.end; ++c) sum += x[y * width + c];
    return sum;
}
template <class T>
LAMINA_INLINE void add_to_window(T* dx, Index width, Taps rows, Taps columns, T value) {
    for (Index y = rows.first; y < rows.end; ++y)
        for (Index c = columns.first; c < columns.end; ++c) dx[y * width + c] += value;
}

/// Adds lane i of `value` to each element of the window at column ox + i, tap by tap.
template <class Arch, class T, class Count>
LAMINA_INLINE void add_to_windows(const PoolGeometry& g, T* plane, Taps rows, Index ox, Count count,
                                  simd::Vec<T, Arch> value) {
    using V = simd::Vec<T, Arch>;
    for (Index y = rows.first; y < rows.end; ++y) {
        T* p = plane + y * g.in_w + ox * g.stride_w - g.pad_w;
        for (Index k = 0; k < g.kernel_w; k += g.stride_w) {
            if (g.stride_w == 1) simd::store_count(p + k, simd::load_count<Arch>(p + k, count) + value, count);
            else put_pairs(p + k, value, k + 1 < g.kernel_w ? value : V(T(0)), count, true);
        }
    }
}

}  // namespace detail

template <class Arch, class T>
void avg_pool2d_forward(const PoolGeometry& g, AverageDivisor divisor, const T* x, T* y) {
    using V = simd::Vec<T, Arch>;
    const detail::LaneColumns inside = detail::lane_columns(g);
    detail::for_each_window_row(g, [&](Index plane, Index oy) {
        const T* image = x + plane * g.in_h * g.in_w;
        T* out = y + (plane * g.out_h + oy) * g.out_w;
        const detail::Taps rows = detail::row_taps(g, oy);
        const auto divide_by = [&](Index ox) {
            return T(detail::divisor_of(g, divisor, rows, detail::column_taps(g, ox), oy, ox));
        };
        detail::for_row_windows<Arch, T>(
            g, inside,
            [&](Index ox, auto count) LAMINA_INLINE_LAMBDA {
                V sum(T(0));
                detail::visit_taps<Arch>(g, image, rows, ox, count, [&](V v) LAMINA_INLINE_LAMBDA { sum += v; });
                simd::store_count(out + ox, sum / V(divide_by(ox)), count);
            },
            [&](Index ox) {
                out[ox] = detail::window_sum(image, g.in_w, rows, detail::column_taps(g, ox)) / divide_by(ox);
            });
    });
}

template <class Arch, class T>
void avg_pool2d_grad_input(const PoolGeometry& g, AverageDivisor divisor, const T* dy, T* dx) {
    using V = simd::Vec<T, Arch>;
    const detail::LaneColumns inside = detail::lane_columns(g);
    detail::for_each_plane(g, [&](Index plane) {
        T* const grad = dx + plane * g.in_h * g.in_w;
        for (Index oy = 0; oy < g.out_h; ++oy) {
            const T* up = dy + (plane * g.out_h + oy) * g.out_w;
            const detail::Taps rows = detail::row_taps(g, oy);
            const auto divide_by = [&](Index ox) {
                return T(detail::divisor_of(g, divisor, rows, detail::column_taps(g, ox), oy, ox));
            };
            detail::for_row_windows<Arch, T>(
                g, inside,
                [&](Index ox, auto count) LAMINA_INLINE_LAMBDA {
                    const V share = simd::load_count<Arch>(up + ox, count) / V(divide_by(ox));
                    detail::add_to_windows<Arch>(g, grad, rows, ox, count, share);
                },
                [&](Index ox) {
                    detail::add_to_window(grad, g.in_w, rows, detail::column_taps(g, ox), up[ox] / divide_by(ox));
                });
        }
    });
}

template <class Arch, class T>
void adaptive_avg_pool2d_forward(const PoolGeometry& g, const T* x, T* y) {
    if (g.out_h * g.out_w == 1) {
        const Index n = g.in_h * g.in_w;
        parallel::for_range(g.planes, parallel::grain_for(n), [&](Index begin, Index end) {
            for (Index plane = begin; plane < end; ++plane) {
                const T* image = x + plane * n;
                y[plane] = detail::tree_reduce<Sum, Arch, T>(
                               n, [&](Index i, auto count)
                                      LAMINA_INLINE_LAMBDA { return simd::load_count<Arch>(image + i, count); }) /
                           T(n);
            }
        });
        return;
    }
    detail::for_each_adaptive_window(g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns) {
        y[out] = detail::window_sum(x + plane * g.in_h * g.in_w, g.in_w, rows, columns) /
                 T((rows.end - rows.first) * (columns.end - columns.first));
    });
}
template <class Arch, class T>
void adaptive_avg_pool2d_grad_input(const PoolGeometry& g, const T* dy, T* dx) {
    using V = simd::Vec<T, Arch>;
    if (g.out_h * g.out_w == 1) {
        const Index n = g.in_h * g.in_w;
        parallel::for_range(g.planes, parallel::grain_for(n), [&](Index begin, Index end) {
            for (Index plane = begin; plane < end; ++plane)
                simd::for_each_vec<Arch>(
                    n, [share = V(dy[plane] / T(n))](V v) LAMINA_INLINE_LAMBDA { return v + share; }, dx + plane * n,
                    static_cast<const T*>(dx + plane * n));
        });
        return;
    }
    detail::for_each_adaptive_window(g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns) {
        detail::add_to_window(dx + plane * g.in_h * g.in_w, g.in_w, rows, columns,
                              dy[out] / T((rows.end - rows.first) * (columns.end - columns.first)));
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
