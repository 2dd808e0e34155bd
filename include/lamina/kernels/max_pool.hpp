#pragma once
// Largest element of windows, forward and backward. The backward pass finds the elements again, lanes at a time, and
// adds each gradient where it belongs.
#include <lamina/kernels/pool_windows.hpp>
#include <lamina/parallel/scratch.hpp>

#include <cstring>

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

inline constexpr int pool_slot = 4;  ///< scratch of a row's positions

/// y = the largest of each window of row `oy` of a plane.
template <int Kernel, class Arch, class T>
void max_row(const PoolGeometry& g, LaneColumns inside, const T* plane, Index oy, T* y) {
    using V = simd::Vec<T, Arch>;
    const Taps rows = row_taps(g, oy);
    for_row_windows<Arch, T>(
        g, inside,
        [&](Index ox, auto count) LAMINA_INLINE_LAMBDA {
            V best = first_tap<Arch>(g, plane, rows, ox, count);
            visit_taps<Kernel, Arch>(g, plane, rows, ox, count, [&](V v, Index, Index) LAMINA_INLINE_LAMBDA {
                best = select(beats(v, best), v, best);
            });
            simd::store_count(y + ox, best, count);
        },
        [&](Index ox) { y[ox] = plane[argmax(plane, g.in_w, rows, column_taps(g, ox))]; });
}

/// The positions in the plane of the first largest of each window of row `oy`.
template <int Kernel, class Arch, class T>
void argmax_row(const PoolGeometry& g, LaneColumns inside, const T* plane, Index oy, Index* positions) {
    using V = simd::Vec<T, Arch>;
    using Code = typename V::signed_type;  // of a tap: its place relative to the window's first
    const Taps rows = row_taps(g, oy);
    for_row_windows<Arch, T>(
        g, inside,
        [&](Index ox, auto count) LAMINA_INLINE_LAMBDA {
            V best = first_tap<Arch>(g, plane, rows, ox, count);
            simd::Vec<Code, Arch> code(Code(0));
            visit_taps<Kernel, Arch>(g, plane, rows, ox, count, [&](V v, Index y, Index k) LAMINA_INLINE_LAMBDA {
                const auto better = beats(v, best);
                best = select(better, v, best);
                code = select(simd::mask_cast<Code>(better),
                              simd::Vec<Code, Arch>(Code((y - rows.first) * g.in_w + k * g.dilation_w)), code);
            });
            Code codes[V::width];
            simd::store(codes, code);
            const Index corner = rows.first * g.in_w + ox * g.stride_w - g.pad_w;
            for (Index i = 0; i < Index(count); ++i) positions[ox + i] = corner + i * g.stride_w + Index(codes[i]);
        },
        [&](Index ox) { positions[ox] = argmax(plane, g.in_w, rows, column_taps(g, ox)); });
}

/// Clears a plane of gradients that starts a sum.
template <class T>
void start_plane(T* dx, Index n, bool accumulate) {
    if (!accumulate) std::memset(static_cast<void*>(dx), 0, std::size_t(n) * sizeof(T));
}

}  // namespace detail

template <class Arch, class T>
void max_pool2d_forward(const PoolGeometry& g, const T* x, T* y, std::int64_t* indices) {
    if (g.two_by_two() && !indices) return max_pool_2x2_forward<Arch>(g.planes, g.in_h, g.in_w, x, y);
    const detail::LaneColumns inside = detail::lane_columns(g);
    detail::for_kernel_width(g, [&](auto kernel) {
        detail::for_each_window_row(g, [&](Index plane, Index oy) {
            const T* image = x + plane * g.in_h * g.in_w;
            const Index at = (plane * g.out_h + oy) * g.out_w;
            if (!indices) return detail::max_row<kernel, Arch>(g, inside, image, oy, y + at);
            detail::argmax_row<kernel, Arch>(g, inside, image, oy, indices + at);
            for (Index ox = 0; ox < g.out_w; ++ox) y[at + ox] = image[indices[at + ox]];
        });
    });
}

template <class Arch, class T>
void max_pool2d_grad_input(const PoolGeometry& g, const T* x, const T* dy, T* dx, bool accumulate) {
    if (g.two_by_two()) return max_pool_2x2_grad_input<Arch>(g.planes, g.in_h, g.in_w, x, dy, dx, accumulate);
    const Index size = g.in_h * g.in_w;
    const detail::LaneColumns inside = detail::lane_columns(g);
    detail::for_kernel_width(g, [&](auto kernel) {
        detail::for_each_plane(g, [&](Index plane) {
            Index* const positions = parallel::scratch<Index>(g.out_w, detail::pool_slot);
            T* const grad = dx + plane * size;
            detail::start_plane(grad, size, accumulate);
            for (Index oy = 0; oy < g.out_h; ++oy) {
                detail::argmax_row<kernel, Arch>(g, inside, x + plane * size, oy, positions);
                const T* up = dy + (plane * g.out_h + oy) * g.out_w;
                for (Index ox = 0; ox < g.out_w; ++ox) grad[positions[ox]] += up[ox];
            }
        });
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
