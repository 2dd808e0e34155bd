#pragma once
// Sampling of images at the points of a grid, with gradients to both. The pixels and weights of a block of points are
// worked out once and serve all channels; points are lanes.
#include <lamina/kernels/grid_taps.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/row.hpp>

#include <cstring>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [images, channels, out_h, out_w] = x [images, channels, in_h, in_w] at the points `grid` [images, out_h, out_w,
/// (x, y)], -1 and 1 being the edges.
template <class Arch = simd::native, class T>
void grid_sample_forward(const GridSampleGeometry& g, const T* x, const T* grid, T* y);
/// dx (+)= dy at the pixels that were sampled, in the order of the points.
template <class T>
void grid_sample_grad_input(const GridSampleGeometry& g, const T* grid, const T* dy, T* dx, bool accumulate);
/// dgrid (+)= the sum over channels of dy times the slope of the image at each point.
template <class Arch = simd::native, class T>
void grid_sample_grad_grid(const GridSampleGeometry& g, const T* x, const T* grid, const T* dy, T* dgrid,
                           bool accumulate);

namespace detail {

inline constexpr int grid_slot = 4;
inline constexpr Index grid_block = 256;  ///< points whose taps are held at a time

/// Taps of a block of points: tap k of point p at [k * grid_block + p].
template <class T>
struct GridBlock {
    using Position = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
    Index count;
    int taps;
    Position* position;  ///< in the plane, -1 outside
    T *weight, *slope_x, *slope_y;

    /// Of points `first` to first + count - 1 of one image's grid; slopes only on demand.
    GridBlock(const GridSampleGeometry& g, const T* grid, Index first, Index n, bool slopes)
        : count(n),
          taps(g.axis_taps() * g.axis_taps()) {
        const int along = g.axis_taps();
        const Index size = taps * grid_block;
        position = parallel::scratch<Position>(size, grid_slot);
        weight = parallel::scratch<T>(3 * size, grid_slot + 1);
        slope_x = weight + size;
        slope_y = slope_x + size;
        for (Index p = 0; p < n; ++p) {
            const auto tx = grid_axis_taps(g, grid[2 * (first + p)], g.in_w);
            const auto ty = grid_axis_taps(g, grid[2 * (first + p) + 1], g.in_h);
            for (int i = 0; i < along; ++i)
                for (int j = 0; j < along; ++j) {
                    const Index at = (i * along + j) * grid_block + p;
                    const bool inside = tx.at[j] >= 0 && ty.at[i] >= 0;
                    position[at] = Position(inside ? ty.at[i] * g.in_w + tx.at[j] : -1);
                    weight[at] = ty.weight[i] * tx.weight[j];
                    if (!slopes) continue;
                    slope_x[at] = ty.weight[i] * tx.slope[j];
                    slope_y[at] = ty.slope[i] * tx.weight[j];
                }
        }
    }
    /// The pixels of tap k of points p, p + 1, …; zeros outside.
    template <class Arch, class Count>
    LAMINA_INLINE simd::Vec<T, Arch> pixels(const T* plane, int k, Index p, Count n) const {
        using I = simd::Vec<Position, Arch>;
        const I at = simd::load_count<Arch>(position + k * grid_block + p, n);
        const auto inside = at >= I(Position(0));
        const auto values = simd::gather(plane, select(inside, at, I(Position(0))));
        return select(simd::mask_cast<T>(inside), values, simd::Vec<T, Arch>(T(0)));
    }
};

/// Calls f(image, first point, count) for every block of points.
template <class F>
void for_each_grid_block(const GridSampleGeometry& g, F&& f) {
    const Index points = g.points(), blocks = (points + grid_block - 1) / grid_block;
    parallel::for_each(g.images * blocks, [&](Index task) {
        const Index first = task % blocks * grid_block;
        f(task / blocks, first, points - first < grid_block ? points - first : grid_block);
    });
}

}  // namespace detail

template <class Arch, class T>
void grid_sample_forward(const GridSampleGeometry& g, const T* x, const T* grid, T* y) {
    using V = simd::Vec<T, Arch>;
    const Index points = g.points(), plane = g.in_h * g.in_w;
    detail::for_each_grid_block(g, [&](Index image, Index first, Index count) {
        const detail::GridBlock<T> block(g, grid + image * points * 2, first, count, false);
        for (Index c = image * g.channels; c < (image + 1) * g.channels; ++c)
            simd::row<Arch, T>(count, [&](Index p, auto n) LAMINA_INLINE_LAMBDA {
                V sum(T(0));
                for (int k = 0; k < block.taps; ++k) {
                    const V weight = simd::load_count<Arch>(block.weight + k * detail::grid_block + p, n);
                    sum = fma(weight, block.template pixels<Arch>(x + c * plane, k, p, n), sum);
                }
                simd::store_count(y + c * points + first + p, sum, n);
            });
    });
}

template <class T>
void grid_sample_grad_input(const GridSampleGeometry& g, const T* grid, const T* dy, T* dx, bool accumulate) {
    constexpr Index together = 8;  // channels that share the taps of a block
    const Index points = g.points(), plane = g.in_h * g.in_w, groups = (g.channels + together - 1) / together;
    parallel::for_each(g.images * groups, [&](Index task) {
        const Index image = task / groups, from = image * g.channels + task % groups * together;
        const Index end = (image + 1) * g.channels, to = end - from < together ? end : from + together;
        if (!accumulate)
            std::memset(static_cast<void*>(dx + from * plane), 0, std::size_t((to - from) * plane) * sizeof(T));
        for (Index first = 0; first < points; first += detail::grid_block) {
            const Index count = points - first < detail::grid_block ? points - first : detail::grid_block;
            const detail::GridBlock<T> block(g, grid + image * points * 2, first, count, false);
            for (Index c = from; c < to; ++c)
                for (Index p = 0; p < count; ++p) {
                    const T up = dy[c * points + first + p];
                    for (int k = 0; k < block.taps; ++k) {
                        const Index at = block.position[k * detail::grid_block + p];
                        if (at >= 0) dx[c * plane + at] += block.weight[k * detail::grid_block + p] * up;
                    }
                }
        }
    });
}

template <class Arch, class T>
void grid_sample_grad_grid(const GridSampleGeometry& g, const T* x, const T* grid, const T* dy, T* dgrid,
                           bool accumulate) {
    using V = simd::Vec<T, Arch>;
    const Index points = g.points(), plane = g.in_h * g.in_w;
    detail::for_each_grid_block(g, [&](Index image, Index first, Index count) {
        const detail::GridBlock<T> block(g, grid + image * points * 2, first, count, true);
        T* const sums = parallel::scratch<T>(2 * detail::grid_block, detail::grid_slot + 2);
        std::memset(static_cast<void*>(sums), 0, std::size_t(2 * detail::grid_block) * sizeof(T));
        for (Index c = image * g.channels; c < (image + 1) * g.channels; ++c)
            simd::row<Arch, T>(count, [&](Index p, auto n) LAMINA_INLINE_LAMBDA {
                V along_x(T(0)), along_y(T(0));
                for (int k = 0; k < block.taps; ++k) {
                    const V v = block.template pixels<Arch>(x + c * plane, k, p, n);
                    const Index at = k * detail::grid_block + p;
                    along_x = fma(simd::load_count<Arch>(block.slope_x + at, n), v, along_x);
                    along_y = fma(simd::load_count<Arch>(block.slope_y + at, n), v, along_y);
                }
                const V up = simd::load_count<Arch>(dy + c * points + first + p, n);
                T *const to_x = sums + p, *const to_y = to_x + detail::grid_block;
                simd::store_count(to_x, fma(up, along_x, simd::load_count<Arch>(to_x, n)), n);
                simd::store_count(to_y, fma(up, along_y, simd::load_count<Arch>(to_y, n)), n);
            });
        T* const to = dgrid + (image * points + first) * 2;
        for (Index p = 0; p < count; ++p)
            for (Index axis = 0; axis < 2; ++axis) {
                const T sum = sums[axis * detail::grid_block + p];
                to[2 * p + axis] = accumulate ? to[2 * p + axis] + sum : sum;
            }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
