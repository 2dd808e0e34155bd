#pragma once
// Sampling points of regions of interest on a feature map. Bilinear weights and the mean over a bin's points are
// products of one factor by row and one by column, so a region's work is two short lists of taps, made once and then
// run over all channels.
#include <lamina/core/index.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

namespace lamina::inline LAMINA_ABI::kernels {

/// Feature map [batch, channels, height, width] and the bins that each of `regions` rows (image, x1, y1, x2, y2) is cut
/// into.
struct RoiGeometry {
    Index batch, channels, height, width;
    Index regions, out_h, out_w;
    double scale = 1;          ///< from the coordinates of regions to those of the map
    Index sampling_ratio = 0;  ///< points to a bin in each direction; not positive: one to a cell of the map
    double offset = 0;         ///< subtracted after scaling
    double least_size = 0;     ///< regions are at least this wide and high on the map; 0: as they come
};

/// A cell's place on one axis and its part in a bin.
template <class T>
struct RoiTap {
    std::int32_t index;
    T weight;
};

/// A sampling point on one axis, between two cells; without weights when it lies outside.
template <class T>
struct RoiPoint {
    std::int32_t low = 0, high = 0;
    T low_weight = 0, high_weight = 0;
};

/// One axis of one region: bins of size `bin` from `start` on, each with `grid` points (anything, NaN included).
template <class T>
struct RoiAxis {
    T start, bin, grid;

    RoiAxis(const RoiGeometry& g, T low, T high, Index bins) {
        const T scale = T(g.scale), offset = T(g.offset), least = T(g.least_size);
        start = low * scale - offset;
        T size = high * scale - offset - start;
        if (least > T(0) && size < least) size = least;
        bin = size / T(bins);
        grid = g.sampling_ratio > 0 ? T(g.sampling_ratio) : std::ceil(size / T(bins));
    }

    /// Calls f(point) for the points of a bin that lie on a map of `size` cells or near it, in order.
    template <class F>
    void each_point(Index o, Index size, F&& f) const {
        if (!(grid >= T(1)) || size == 0) return;
        const T base = start + T(o) * bin;
        double first = 0, end = double(grid);
        if (grid > T(64) && bin != T(0)) {
            // Of very many points only those near the map are looked at.
            const double step = double(bin) / double(grid);
            const double a = (-1 - double(base)) / step, b = (double(size) - double(base)) / step;
            end = std::fmin(std::fmax(std::fmax(a, b) + 2, 0), std::fmin(end, 2147483647.0));
            first = std::fmin(std::fmax(std::fmin(a, b) - 2, 0), end);
            if (!(a - b != 0)) return;
        }
        for (Index k = Index(first); double(k) < end; ++k) {
            T at = base + (T(k) + T(0.5)) * bin / grid;
            RoiPoint<T> point;
            if (at >= T(-1) && at <= T(size)) {
                at = at > T(0) ? at : T(0);
                const Index low = at < T(size - 1) ? Index(at) : size - 1, high = low < size - 1 ? low + 1 : low;
                const T beyond = low < size - 1 ? at - T(low) : T(0);
                point = {std::int32_t(low), std::int32_t(high), T(1) - beyond, beyond};
            }
            f(point);
        }
    }
};

/// The taps of all bins of some regions. Rows of bins come first, then columns.
template <class T>
struct RoiTable {
    struct Region {
        Index image, output;             ///< which image, and which region of the output
        std::int32_t left = 0, end = 0;  ///< all columns that take part lie in [left, end)
    };
    Index rows, columns;
    std::vector<Region> regions;
    std::vector<RoiTap<T>> taps;
    std::vector<std::int32_t> begin;  ///< of each bin's taps; one more than there are bins

    const std::int32_t* row_begin(Index region) const { return begin.data() + region * (rows + columns); }
    const std::int32_t* column_begin(Index region) const { return row_begin(region) + rows; }

    /// Of all regions, or of the chosen ones.
    RoiTable(const RoiGeometry& g, const T* rois, const std::vector<Index>* chosen = nullptr)
        : rows(g.out_h),
          columns(g.out_w) {
        const Index count = chosen ? Index(chosen->size()) : g.regions;
        regions.reserve(std::size_t(count));
        begin.reserve(std::size_t(count * (rows + columns) + 1));
        begin.push_back(0);
        for (Index k = 0; k < count; ++k) {
            const Index row = chosen ? (*chosen)[std::size_t(k)] : k;
            const T* const roi = rois + 5 * row;
            add_axis({g, roi[2], roi[4], rows}, rows, g.height);
            const std::size_t first = taps.size();
            add_axis({g, roi[1], roi[3], columns}, columns, g.width);
            Region region{Index(roi[0]), row};
            for (std::size_t i = first; i < taps.size(); ++i) {
                const std::int32_t x = taps[i].index;
                if (i == first || x < region.left) region.left = x;
                if (i == first || x >= region.end) region.end = x + 1;
            }
            regions.push_back(region);
        }
    }

private:
    void add_axis(const RoiAxis<T>& axis, Index bins, Index size) {
        const T share = axis.grid >= T(1) ? T(1) / axis.grid : T(0);
        for (Index o = 0; o < bins; ++o) {
            const std::size_t first = taps.size();
            axis.each_point(o, size, [&](const RoiPoint<T>& p) {
                add(first, p.low, p.low_weight * share);
                add(first, p.high, p.high_weight * share);
            });
            begin.push_back(std::int32_t(taps.size()));
        }
    }
    /// Neighbouring points share cells: a tap at one of the last two places grows.
    void add(std::size_t first, std::int32_t index, T weight) {
        if (weight == T(0)) return;
        for (std::size_t i = taps.size(); i > first && i + 2 > taps.size(); --i)
            if (taps[i - 1].index == index) {
                taps[i - 1].weight += weight;
                return;
            }
        taps.push_back({index, weight});
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
