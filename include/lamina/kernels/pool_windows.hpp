#pragma once
// Windows of a plane: where they lie, clipped to it, and walks over them, one at a time or as many neighbours of a row
// at once as there are lanes.
#include <lamina/kernels/pool_2x2.hpp>

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
inline Taps row_taps(const PoolGeometry& g, Index oy) {
    return taps_of(oy, g.stride_h, g.pad_h, g.kernel_h, g.dilation_h, g.in_h);
}
inline Taps column_taps(const PoolGeometry& g, Index ox) {
    return taps_of(ox, g.stride_w, g.pad_w, g.kernel_w, g.dilation_w, g.in_w);
}
inline Taps adaptive_taps(Index out, Index outs, Index in) {
    return {out * in / outs, ((out + 1) * in + outs - 1) / outs, 1};
}

/// Calls f(plane, output offset, rows, columns) for the windows of planes `begin` to `end` - 1 that cover them evenly.
template <class F>
void for_each_adaptive_window(const PoolGeometry& g, F&& f) {
    const Index work = g.out_h * g.out_w * g.kernel_h * g.kernel_w;
    parallel::for_range(g.planes, parallel::grain_for(work), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane)
            for (Index oy = 0; oy < g.out_h; ++oy) {
                const Taps rows = adaptive_taps(oy, g.out_h, g.in_h);
                for (Index ox = 0; ox < g.out_w; ++ox)
                    f(plane, (plane * g.out_h + oy) * g.out_w + ox, rows, adaptive_taps(ox, g.out_w, g.in_w));
            }
    });
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

/// Outputs of a row whose windows lie inside the plane's width, so that neighbours can be lanes. None where the stride
/// has no vector form.
struct LaneColumns {
    Index from = 0, to = 0;
};
inline LaneColumns lane_columns(const PoolGeometry& g) {
    if (g.stride_w > 2 || (g.stride_w == 2 && g.dilation_w != 1)) return {};
    // At stride 2 taps are read in pairs.
    const Index reach = g.stride_w == 2 ? (g.kernel_w + 1) / 2 * 2 : (g.kernel_w - 1) * g.dilation_w + 1;
    if (g.in_w < reach) return {};
    const Index from = (g.pad_w + g.stride_w - 1) / g.stride_w, room = g.in_w + g.pad_w - reach;
    const Index to = room / g.stride_w + 1 < g.out_w ? room / g.stride_w + 1 : g.out_w;
    return from < to ? LaneColumns{from, to} : LaneColumns{};
}

/// Calls visit(lanes) for each tap of the windows at columns ox, ox + 1, … in their order: lane i is of window ox + i.
template <class Arch, class T, class Count, class Visit>
LAMINA_INLINE void visit_taps(const PoolGeometry& g, const T* plane, Taps rows, Index ox, Count count, Visit&& visit) {
    const Index left = ox * g.stride_w - g.pad_w;
    for (Index y = rows.first; y < rows.end; y += rows.step) {
        const T* p = plane + y * g.in_w + left;
        if (g.stride_w == 1) {
            for (Index k = 0; k < g.kernel_w; ++k) visit(simd::load_count<Arch>(p + k * g.dilation_w, count));
        } else {
            for (Index k = 0; k < g.kernel_w; k += 2) {
                const auto pair = load_pairs<Arch>(p + k, count);
                visit(pair.first);
                if (k + 1 < g.kernel_w) visit(pair.second);
            }
        }
    }
}

/// The outputs of one row: lanes(ox, count) for those inside, one(ox) for the others.
template <class Arch, class T, class Lanes, class One>
LAMINA_INLINE void for_row_windows(const PoolGeometry& g, LaneColumns inside, Lanes&& lanes, One&& one) {
    for (Index ox = 0; ox < inside.from; ++ox) one(ox);
    simd::row<Arch, T>(inside.to - inside.from,
                       [&](Index i, auto count) LAMINA_INLINE_LAMBDA { lanes(inside.from + i, count); });
    for (Index ox = inside.to; ox < g.out_w; ++ox) one(ox);
}

/// Calls f(plane, oy) for every row of windows.
template <class F>
void for_each_window_row(const PoolGeometry& g, F&& f) {
    const Index work = g.out_w * g.kernel_h * g.kernel_w;
    parallel::for_range(g.planes * g.out_h, parallel::grain_for(work), [&](Index begin, Index end) {
        Index plane = begin / g.out_h, oy = begin % g.out_h;
        for (Index row = begin; row < end; ++row) {
            f(plane, oy);
            if (++oy == g.out_h) oy = 0, ++plane;
        }
    });
}
/// Calls f(plane) for every plane: gradients of overlapping windows meet in its elements, in the windows' order.
template <class F>
void for_each_plane(const PoolGeometry& g, F&& f) {
    const Index work = g.out_h * g.out_w * g.kernel_h * g.kernel_w;
    parallel::for_range(g.planes, parallel::grain_for(work), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane) f(plane);
    });
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::kernels
