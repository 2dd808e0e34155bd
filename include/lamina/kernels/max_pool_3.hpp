#pragma once
// Largest of windows of 3x3 at stride 2, as most image networks begin: columns are compared in registers,
// even lanes with their odd neighbours, each element being loaded once a row of windows.
#include <lamina/kernels/pool_windows.hpp>

#include <limits>

namespace lamina::inline LAMINA_ABI::kernels::detail {

inline bool three_by_two(const PoolGeometry& g) {
    return g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 2 && g.stride_w == 2 && g.dilation_h == 1 &&
           g.dilation_w == 1 && g.pad_h <= 1 && g.pad_w <= 1 && 2 * (g.out_w - 1) < g.in_w;
}

/// Rows `oy` and `oy` + 1 of windows, which share a row of elements. False, with no result, where a NaN may have been
/// met, which these comparisons let slip: no sum was made without it.
template <class Arch, class T>
bool max_rows_of_threes(const PoolGeometry& g, const T* plane, Index oy, T* y) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width, taps = 5;
    const V none = -std::numeric_limits<T>::infinity();
    const T* from[taps];
    V sum[taps], before[2] = {none, none};
    simd::unroll<taps>([&](auto k) LAMINA_INLINE_LAMBDA {
        const Index row = 2 * oy - g.pad_h + k;  // one that lies outside is its neighbour once more
        from[k] = plane + (row < 0 ? 0 : row < g.in_h ? row : g.in_h - 1) * g.in_w;
        sum[k] = V(g.pad_w ? T(0) : *from[k]);
    });
    if (!g.pad_w)
        for (int r = 0; r < 2; ++r) before[r] = max(V(*from[2 * r + 2]), max(V(*from[2 * r + 1]), V(*from[2 * r])));
    const auto largest = [&](Index c, auto count, V* best) LAMINA_INLINE_LAMBDA {
        V in[taps];
        simd::unroll<taps>([&](auto k) LAMINA_INLINE_LAMBDA {
            in[k] = simd::load_count<Arch>(from[k] + c, count);
            sum[k] += in[k];
        });
        simd::unroll<2>([&](auto r) LAMINA_INLINE_LAMBDA {
            best[r] = max(in[2 * r + 2], max(in[2 * r + 1], in[2 * r]));
            if constexpr (std::is_same_v<decltype(count), Index>)
                best[r] = select(simd::first_lanes<T, Arch>(count), best[r], none);
        });
    };
    for (Index ox = 0; ox < g.out_w; ox += W) {
        // Windows from their second column on: the first is the third of the window before.
        const Index c = 2 * ox + 1 - g.pad_w, left = g.in_w - c;
        V a[2], b[2];
        if (left >= 2 * W) {
            largest(c, simd::FullTag<W>{}, a);
            largest(c + W, simd::FullTag<W>{}, b);
        } else {
            const Index first = left < 0 ? 0 : left < W ? left : W;
            largest(first > 0 ? c : 0, first, a);
            largest(left > W ? c + W : 0, left > W ? left - W : Index(0), b);
        }
        simd::unroll<2>([&](auto r) LAMINA_INLINE_LAMBDA {
            const auto pair = simd::deinterleave(a[r], b[r]);
            const V best = max(simd::shift_in(before[r], pair.second), max(pair.first, pair.second));
            before[r] = pair.second;
            if (g.out_w - ox >= W) simd::store(y + r * g.out_w + ox, best);
            else simd::store_partial(y + r * g.out_w + ox, best, g.out_w - ox);
        });
    }
    return !any(isnan(((sum[0] + sum[1]) + (sum[2] + sum[3])) + sum[4]));
}

/// y = largest of the windows of `three_by_two`; other(plane, oy) makes a row with a NaN, or one that is left over.
template <class Arch, class T, class Other>
void max_pool_of_threes(const PoolGeometry& g, const T* x, T* y, const Other& other) {
    const Index groups = (g.out_h + 1) / 2;
    parallel::for_range(g.planes * groups, parallel::grain_for(18 * g.out_w), [&](Index begin, Index end) {
        for (Index group = begin; group < end; ++group) {
            const Index plane = group / groups, oy = group % groups * 2, rows = oy + 1 < g.out_h ? 2 : 1;
            const bool done = rows == 2 && max_rows_of_threes<Arch>(g, x + plane * g.in_h * g.in_w, oy,
                                                                    y + (plane * g.out_h + oy) * g.out_w);
            for (Index r = 0; !done && r < rows; ++r) other(plane, oy + r);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
