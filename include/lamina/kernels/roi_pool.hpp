#pragma once
// Pooling of regions of interest over whole cells: the largest of each bin, or the mean of a channel of its own.
#include <lamina/kernels/pool.hpp>
#include <lamina/kernels/ps_roi_align.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [regions, channels, out_h, out_w] = largest cell of each bin, 0 for bins without cells; NaN counts as larger than
/// all. Corners are rounded, the far one belongs to the region.
template <class T>
void roi_pool_forward(const RoiGeometry& g, const T* rois, const T* x, T* y);
/// dx += dy at the first largest cell of each bin, which is found again in `x`.
template <class T>
void roi_pool_grad_input(const RoiGeometry& g, const T* rois, const T* x, const T* dy, T* dx);

/// y [regions, channels / bins, out_h, out_w] = mean of each bin of channel (c out_h + i) out_w + j.
template <class T>
void ps_roi_pool_forward(const RoiGeometry& g, const T* rois, const T* x, T* y);
/// dx += dy spread evenly over each bin.
template <class T>
void ps_roi_pool_grad_input(const RoiGeometry& g, const T* rois, const T* dy, T* dx);

namespace detail {

/// A coordinate that any comparison and sum of cells can take; NaN becomes 0.
template <class T>
T roi_cell(T x) {
    constexpr T far = T(1 << 30);
    return x > far ? far : x < -far ? -far : x == x ? x : T(0);
}

/// The cells of bin `o` on one axis of `size` cells. With `inclusive` the far corner's cell belongs to the region and
/// bins may reach the last cell; else, as in the published kernel for position-sensitive pooling, they stop before it.
template <class T>
Taps roi_cells(const RoiGeometry& g, T low, T high, Index o, Index bins, Index size, bool inclusive) {
    const T first = roi_cell(std::round(low * T(g.scale))), last = roi_cell(std::round(high * T(g.scale)));
    const T extent = last - first + T(inclusive);
    const T bin = (extent > T(1) ? extent : T(1)) / T(bins);
    const Index limit = inclusive ? size : size - 1;
    const auto held = [&](T at) {
        const T cell = at + first;
        return cell > T(0) ? (cell < T(limit) ? Index(cell) : limit) : Index(0);
    };
    return {held(std::floor(T(o) * bin)), held(std::ceil(T(o + 1) * bin)), 1};
}
inline bool has_cells(Taps rows, Taps columns) { return rows.end > rows.first && columns.end > columns.first; }

}  // namespace detail

template <class T>
void roi_pool_forward(const RoiGeometry& g, const T* rois, const T* x, T* y) {
    const Index plane = g.height * g.width, bins = g.out_h * g.out_w;
    parallel::for_each(g.regions * g.out_h, [&](Index task) {
        const Index k = task / g.out_h, i = task % g.out_h;
        const T* const roi = rois + 5 * k;
        const auto rows = detail::roi_cells(g, roi[2], roi[4], i, g.out_h, g.height, true);
        for (Index j = 0; j < g.out_w; ++j) {
            const auto columns = detail::roi_cells(g, roi[1], roi[3], j, g.out_w, g.width, true);
            const bool any = detail::has_cells(rows, columns);
            const T* from = x + Index(roi[0]) * g.channels * plane;
            T* to = y + k * g.channels * bins + i * g.out_w + j;
            for (Index c = 0; c < g.channels; ++c, from += plane, to += bins)
                *to = any ? from[detail::argmax(from, g.width, rows, columns)] : T(0);
        }
    });
}

template <class T>
void roi_pool_grad_input(const RoiGeometry& g, const T* rois, const T* x, const T* dy, T* dx) {
    const Index plane = g.height * g.width;
    detail::each_channel_then_region(g, g.regions, [&](Index k, Index c) {
        const T* const roi = rois + 5 * k;
        const Index base = (Index(roi[0]) * g.channels + c) * plane;
        const T* upstream = dy + (k * g.channels + c) * g.out_h * g.out_w;
        for (Index i = 0; i < g.out_h; ++i) {
            const auto rows = detail::roi_cells(g, roi[2], roi[4], i, g.out_h, g.height, true);
            for (Index j = 0; j < g.out_w; ++j, ++upstream) {
                const auto columns = detail::roi_cells(g, roi[1], roi[3], j, g.out_w, g.width, true);
                if (detail::has_cells(rows, columns))
                    dx[base + detail::argmax(x + base, g.width, rows, columns)] += *upstream;
            }
        }
    });
}

namespace detail {

/// Calls f(plane, rows, columns, place in y) for the bin of each channel that has cells, `empty(place)` otherwise.
template <class T, class F, class E>
auto position_sensitive_bins(const RoiGeometry& g, const T* rois, F f, E empty) {
    return [&g, rois, f, empty](Index k, Index c) {
        const T* const roi = rois + 5 * k;
        const auto rows = roi_cells(g, roi[2], roi[4], c / g.out_w % g.out_h, g.out_h, g.height, false);
        const auto columns = roi_cells(g, roi[1], roi[3], c % g.out_w, g.out_w, g.width, false);
        const Index place = k * g.channels + c;
        if (has_cells(rows, columns)) f((Index(roi[0]) * g.channels + c) * g.height * g.width, rows, columns, place);
        else empty(place);
    };
}
template <class T>
T cells_in(Taps rows, Taps columns) {
    return T((rows.end - rows.first) * (columns.end - columns.first));
}

}  // namespace detail

template <class T>
void ps_roi_pool_forward(const RoiGeometry& g, const T* rois, const T* x, T* y) {
    detail::each_region_then_channel(g, g.regions,
                                     detail::position_sensitive_bins(
                                         g, rois,
                                         [=, &g](Index plane, detail::Taps rows, detail::Taps columns, Index place) {
                                             y[place] = detail::window_sum(x + plane, g.width, rows, columns) /
                                                        detail::cells_in<T>(rows, columns);
                                         },
                                         [=](Index place) { y[place] = T(0); }));
}

template <class T>
void ps_roi_pool_grad_input(const RoiGeometry& g, const T* rois, const T* dy, T* dx) {
    detail::each_channel_then_region(g, g.regions,
                                     detail::position_sensitive_bins(
                                         g, rois,
                                         [=, &g](Index plane, detail::Taps rows, detail::Taps columns, Index place) {
                                             detail::add_to_window(dx + plane, g.width, rows, columns,
                                                                   dy[place] / detail::cells_in<T>(rows, columns));
                                         },
                                         [](Index) {}));
}

}  // namespace lamina::inline LAMINA_ABI::kernels
