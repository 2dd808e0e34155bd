#pragma once
// Maximum and average over windows of a plane, forward and backward. Windows are clipped to the plane once, so the
// inner loops know neither padding nor ragged ends.
#include <lamina/kernels/pool_2x2.hpp>

#include <cstring>

namespace lamina::inline LAMINA_ABI::kernels {

/// Sizes of a pooling over `planes` dense planes [in_h, in_w], validated by the caller.
struct PoolGeometry {
    Index planes, in_h, in_w, out_h, out_w;
    Index kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;

    Index in_numel() const { return planes * in_h * in_w; }
    /// Are windows 2x2, side by side and whole?
    bool two_by_two() const {
        return kernel_h == 2 && kernel_w == 2 && stride_h == 2 && stride_w == 2 && pad_h == 0 && pad_w == 0 &&
               dilation_h == 1 && dilation_w == 1 && out_h * 2 <= in_h && out_w * 2 <= in_w;
    }
};

/// y [planes, out_h, out_w] = largest element of each window; NaN counts as larger than all. `indices`, unless null,
/// receives where it lies in its plane, the first of equals.
template <class Arch = simd::native, class T>
void max_pool2d_forward(const PoolGeometry& g, const T* x, T* y, std::int64_t* indices);

/// dx (+)= dy at the first largest element of each window, which is found again in `x`.
template <class Arch = simd::native, class T>
void max_pool2d_grad_input(const PoolGeometry& g, const T* x, const T* dy, T* dx, bool accumulate);

/// What the sum of a window is divided by.
struct AverageDivisor {
    bool count_include_pad = true;  ///< padded positions count, though not those beyond the padding (ceil mode)
    Index fixed = 0;                ///< divide by this, if it is not 0
};

/// y [planes, out_h, out_w] = mean of each window.
template <class T>
void avg_pool2d_forward(const PoolGeometry& g, AverageDivisor divisor, const T* x, T* y);
/// dx += dy spread evenly over each window.
template <class T>
void avg_pool2d_grad_input(const PoolGeometry& g, AverageDivisor divisor, const T* dy, T* dx);

/// Mean over the windows floor(i * in / out) … ceil((i + 1) * in / out) of each dimension.
template <class T>
void adaptive_avg_pool2d_forward(const PoolGeometry& g, const T* x, T* y);
template <class T>
void adaptive_avg_pool2d_grad_input(const PoolGeometry& g, const T* dy, T* dx);

namespace detail {

/// The taps of one window along one dimension that lie inside: positions first, first + step, … below end.
struct Taps {
    Index first, end, step;
};
inline Taps taps_of(Index out, Index stride, Index pad, Index kernel, Index dilation, Index in) {
    Index first = out * stride - pad;
    const Index end = first + (kernel - 1) * dilation + 1;
    if (first < 0) first += (-first + dilation - 1) / dilation * dilation;
    return {first, end < in ? end : in, dilation};
}
inline Taps adaptive_taps(Index out, Index outs, Index in) {
    return {out * in / outs, ((out + 1) * in + outs - 1) / outs, 1};
}

/// Calls f(plane, output offset, rows, columns) for every window, planes in parallel.
template <class RowTaps, class ColumnTaps, class F>
void for_each_window(const PoolGeometry& g, RowTaps&& row_taps, ColumnTaps&& column_taps, F&& f) {
    const Index work = g.out_h * g.out_w * g.kernel_h * g.kernel_w;
    parallel::for_range(g.planes, parallel::grain_for(work), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane)
            for (Index oy = 0; oy < g.out_h; ++oy) {
                const Taps rows = row_taps(oy);
                for (Index ox = 0; ox < g.out_w; ++ox)
                    f(plane, (plane * g.out_h + oy) * g.out_w + ox, rows, column_taps(ox), oy, ox);
            }
    });
}
template <class F>
void for_each_window(const PoolGeometry& g, F&& f) {
    for_each_window(
        g, [&](Index oy) { return taps_of(oy, g.stride_h, g.pad_h, g.kernel_h, g.dilation_h, g.in_h); },
        [&](Index ox) { return taps_of(ox, g.stride_w, g.pad_w, g.kernel_w, g.dilation_w, g.in_w); }, f);
}
template <class F>
void for_each_adaptive_window(const PoolGeometry& g, F&& f) {
    for_each_window(
        g, [&](Index oy) { return adaptive_taps(oy, g.out_h, g.in_h); },
        [&](Index ox) { return adaptive_taps(ox, g.out_w, g.in_w); }, f);
}

/// Position in the plane of a window's first largest element.
template <class T>
LAMINA_INLINE Index argmax(const T* x, Index width, Taps rows, Taps columns) {
    Index best = rows.first * width + columns.first;
    for (Index y = rows.first; y < rows.end; y += rows.step)
        for (Index c = columns.first; c < columns.end; c += columns.step)
            if (const T v = x[y * width + c]; v > x[best] || (v != v && x[best] == x[best])) best = y * width + c;
    return best;
}

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

}  // namespace detail

template <class Arch, class T>
void max_pool2d_forward(const PoolGeometry& g, const T* x, T* y, std::int64_t* indices) {
    if (g.two_by_two() && !indices) return max_pool_2x2_forward<Arch>(g.planes, g.in_h, g.in_w, x, y);
    detail::for_each_window(g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns, Index, Index) {
        const T* image = x + plane * g.in_h * g.in_w;
        const Index best = detail::argmax(image, g.in_w, rows, columns);
        y[out] = image[best];
        if (indices) indices[out] = best;
    });
}

template <class Arch, class T>
void max_pool2d_grad_input(const PoolGeometry& g, const T* x, const T* dy, T* dx, bool accumulate) {
    if (g.two_by_two()) return max_pool_2x2_grad_input<Arch>(g.planes, g.in_h, g.in_w, x, dy, dx, accumulate);
    if (!accumulate) std::memset(static_cast<void*>(dx), 0, std::size_t(g.in_numel()) * sizeof(T));
    detail::for_each_window(g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns, Index, Index) {
        const Index base = plane * g.in_h * g.in_w;
        dx[base + detail::argmax(x + base, g.in_w, rows, columns)] += dy[out];
    });
}

template <class T>
void avg_pool2d_forward(const PoolGeometry& g, AverageDivisor divisor, const T* x, T* y) {
    detail::for_each_window(g,
                            [&](Index plane, Index out, detail::Taps rows, detail::Taps columns, Index oy, Index ox) {
                                y[out] = detail::window_sum(x + plane * g.in_h * g.in_w, g.in_w, rows, columns) /
                                         T(detail::divisor_of(g, divisor, rows, columns, oy, ox));
                            });
}
template <class T>
void avg_pool2d_grad_input(const PoolGeometry& g, AverageDivisor divisor, const T* dy, T* dx) {
    detail::for_each_window(
        g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns, Index oy, Index ox) {
            detail::add_to_window(dx + plane * g.in_h * g.in_w, g.in_w, rows, columns,
                                  dy[out] / T(detail::divisor_of(g, divisor, rows, columns, oy, ox)));
        });
}

template <class T>
void adaptive_avg_pool2d_forward(const PoolGeometry& g, const T* x, T* y) {
    detail::for_each_adaptive_window(
        g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns, Index, Index) {
            y[out] = detail::window_sum(x + plane * g.in_h * g.in_w, g.in_w, rows, columns) /
                     T((rows.end - rows.first) * (columns.end - columns.first));
        });
}
template <class T>
void adaptive_avg_pool2d_grad_input(const PoolGeometry& g, const T* dy, T* dx) {
    detail::for_each_adaptive_window(
        g, [&](Index plane, Index out, detail::Taps rows, detail::Taps columns, Index, Index) {
            detail::add_to_window(dx + plane * g.in_h * g.in_w, g.in_w, rows, columns,
                                  dy[out] / T((rows.end - rows.first) * (columns.end - columns.first)));
        });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
