#pragma once
// Position-sensitive RoIAlign: each bin samples a channel of its own, so there is nothing to share but the taps.
#include <lamina/kernels/roi_taps.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [regions, channels / bins, out_h, out_w]: channel c of bin (i, j) is the mean over the bin of channel
/// (c out_h + i) out_w + j of x.
template <class T>
void ps_roi_align_forward(const RoiGeometry& g, const RoiTable<T>& table, const T* x, T* y);
/// dx += the gradient, region after region in their order.
template <class T>
void ps_roi_align_grad_input(const RoiGeometry& g, const RoiTable<T>& table, const T* dy, T* dx);

/// The same with the largest sample of each bin instead of the mean; points that lie outside count as 0.
template <class T>
void ps_roi_align_max_forward(const RoiGeometry& g, const T* rois, const T* x, T* y);
/// dx += the gradient, which goes to the first largest sample.
template <class T>
void ps_roi_align_max_grad_input(const RoiGeometry& g, const T* rois, const T* x, const T* dy, T* dx);

namespace detail {

/// Calls f(region, channel) for all, regions in parallel; a channel is one of the input's, hence one bin.
template <class F>
void each_region_then_channel(const RoiGeometry& g, Index regions, F&& f) {
    parallel::for_range(regions, parallel::grain_for(g.channels * 16), [&](Index begin, Index end) {
        for (Index k = begin; k < end; ++k)
            for (Index c = 0; c < g.channels; ++c) f(k, c);
    });
}
/// The same, channels in parallel and regions in their order within each.
template <class F>
void each_channel_then_region(const RoiGeometry& g, Index regions, F&& f) {
    parallel::for_range(g.channels, parallel::grain_for(regions * 16), [&](Index begin, Index end) {
        for (Index c = begin; c < end; ++c)
            for (Index k = 0; k < regions; ++k) f(k, c);
    });
}

/// The largest of all samples of bins, a region at a time.
template <class T>
struct LargestPoint {
    T value;
    RoiPoint<T> row, column;
    bool any = false;
};
template <class T>
LargestPoint<T> largest_point(const RoiGeometry& g, const T* roi, Index channel, const T* plane) {
    const Index i = channel / g.out_w % g.out_h, j = channel % g.out_w;
    const RoiAxis<T> rows(g, roi[2], roi[4], g.out_h), columns(g, roi[1], roi[3], g.out_w);
    LargestPoint<T> best{};
    rows.each_point(i, g.height, [&](const RoiPoint<T>& v) {
        columns.each_point(j, g.width, [&](const RoiPoint<T>& u) {
            const T *const upper = plane + v.low * g.width, *const lower = plane + v.high * g.width;
            const T value = v.low_weight * (u.low_weight * upper[u.low] + u.high_weight * upper[u.high]) +
                            v.high_weight * (u.low_weight * lower[u.low] + u.high_weight * lower[u.high]);
            if (!best.any || value > best.value) best = {value, v, u, true};
        });
    });
    return best;
}

}  // namespace detail

template <class T>
void ps_roi_align_forward(const RoiGeometry& g, const RoiTable<T>& table, const T* x, T* y) {
    const Index plane = g.height * g.width;
    const RoiTap<T>* const taps = table.taps.data();
    detail::each_region_then_channel(g, Index(table.regions.size()), [&](Index k, Index c) {
        const auto& region = table.regions[std::size_t(k)];
        const std::int32_t* const rows = table.row_begin(k) + c / g.out_w % g.out_h;
        const std::int32_t* const columns = table.column_begin(k) + c % g.out_w;
        const T* const from = x + (region.image * g.channels + c) * plane;
        T sum(0);
        for (std::int32_t r = rows[0]; r < rows[1]; ++r) {
            const T* const row = from + taps[r].index * g.width;
            T mixed(0);
            for (std::int32_t t = columns[0]; t < columns[1]; ++t) mixed += taps[t].weight * row[taps[t].index];
            sum += taps[r].weight * mixed;
        }
        y[region.output * g.channels + c] = sum;
    });
}

template <class T>
void ps_roi_align_grad_input(const RoiGeometry& g, const RoiTable<T>& table, const T* dy, T* dx) {
    const Index plane = g.height * g.width;
    const RoiTap<T>* const taps = table.taps.data();
    detail::each_channel_then_region(g, Index(table.regions.size()), [&](Index k, Index c) {
        const auto& region = table.regions[std::size_t(k)];
        const std::int32_t* const rows = table.row_begin(k) + c / g.out_w % g.out_h;
        const std::int32_t* const columns = table.column_begin(k) + c % g.out_w;
        T* const to = dx + (region.image * g.channels + c) * plane;
        const T upstream = dy[region.output * g.channels + c];
        for (std::int32_t r = rows[0]; r < rows[1]; ++r) {
            T* const row = to + taps[r].index * g.width;
            const T share = upstream * taps[r].weight;
            for (std::int32_t t = columns[0]; t < columns[1]; ++t) row[taps[t].index] += share * taps[t].weight;
        }
    });
}

template <class T>
void ps_roi_align_max_forward(const RoiGeometry& g, const T* rois, const T* x, T* y) {
    detail::each_region_then_channel(g, g.regions, [&](Index k, Index c) {
        const T* const plane = x + (Index(rois[5 * k]) * g.channels + c) * g.height * g.width;
        const auto best = detail::largest_point(g, rois + 5 * k, c, plane);
        y[k * g.channels + c] = best.any ? best.value : T(0);
    });
}

template <class T>
void ps_roi_align_max_grad_input(const RoiGeometry& g, const T* rois, const T* x, const T* dy, T* dx) {
    detail::each_channel_then_region(g, g.regions, [&](Index k, Index c) {
        const Index base = (Index(rois[5 * k]) * g.channels + c) * g.height * g.width;
        const auto best = detail::largest_point(g, rois + 5 * k, c, x + base);
        if (!best.any) return;
        const T upstream = dy[k * g.channels + c];
        T *const upper = dx + base + best.row.low * g.width, *const lower = dx + base + best.row.high * g.width;
        upper[best.column.low] += upstream * best.row.low_weight * best.column.low_weight;
        upper[best.column.high] += upstream * best.row.low_weight * best.column.high_weight;
        lower[best.column.low] += upstream * best.row.high_weight * best.column.low_weight;
        lower[best.column.high] += upstream * best.row.high_weight * best.column.high_weight;
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
