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

/// `Rows` rows of windows from `oy` on, neighbours sharing a row of elements; `Pad` columns are left of the plane.
/// False, with no result, where a NaN may have been met, which these comparisons let slip: no sum was made without it.
template <int Rows, int Pad, class Arch, class T>
bool max_rows_of_threes(const PoolGeometry& g, const T* plane, Index oy, T* y) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width, taps = 2 * Rows + 1;
    const V none = -std::numeric_limits<T>::infinity();
    struct Lanes {
        V v[Rows];
    };
    const T* from[taps];
    V sum[taps];
    simd::unroll<taps>([&](auto k) LAMINA_INLINE_LAMBDA {
        const Index row = 2 * oy - g.pad_h + k;  // one that lies outside is its neighbour once more
        from[k] = plane + (row < 0 ? 0 : row < g.in_h ? row : g.in_h - 1) * g.in_w;
        sum[k] = V(T(0));
    });
    const auto largest = [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
        V in[taps];
        Lanes best;
        simd::unroll<taps>([&](auto k) LAMINA_INLINE_LAMBDA {
            in[k] = simd::load_count<Arch>(from[k] + c, count);
            sum[k] += in[k];
        });
        simd::unroll<Rows>([&](auto r) LAMINA_INLINE_LAMBDA {
            best.v[r] = max(in[2 * r + 2], max(in[2 * r + 1], in[2 * r]));
            if constexpr (std::is_same_v<decltype(count), Index>)
                best.v[r] = select(simd::first_lanes<T, Arch>(count), best.v[r], none);
        });
        return best;
    };
    // W pairs of columns from c on; what lies past the row counts as nothing.
    struct Pairs {
        Lanes even, odd;
    };
    const auto pairs = [&](Index c) LAMINA_INLINE_LAMBDA {
        const Index left = g.in_w - c;
        Lanes a, b;
        if (left >= 2 * W) {
            a = largest(c, simd::FullTag<W>{}), b = largest(c + W, simd::FullTag<W>{});
        } else {
            const Index first = left < 0 ? 0 : left < W ? left : W;
            a = largest(first > 0 ? c : 0, first), b = largest(left > W ? c + W : 0, left > W ? left - W : Index(0));
        }
        Pairs both;
        simd::unroll<Rows>([&](auto r) LAMINA_INLINE_LAMBDA {
            const auto pair = simd::deinterleave(a.v[r], b.v[r]);
            both.even.v[r] = pair.first, both.odd.v[r] = pair.second;
        });
        return both;
    };
    Pairs now = pairs(0);
    Lanes before;
    for (V& v : before.v) v = none;
    for (Index ox = 0; ox < g.out_w; ox += W) {
        const Index left = g.out_w - ox;
        const Pairs next = Pad == 0 || left > W ? pairs(2 * (ox + W)) : now;
        simd::unroll<Rows>([&](auto r) LAMINA_INLINE_LAMBDA {
            const V side =
                Pad == 1 ? simd::shift_in(before.v[r], now.odd.v[r]) : simd::shift_out(now.even.v[r], next.even.v[r]);
            const V best = max(side, max(now.even.v[r], now.odd.v[r]));
            if (left >= W) simd::store(y + r * g.out_w + ox, best);
            else simd::store_partial(y + r * g.out_w + ox, best, left);
        });
        before = now.odd;
        now = next;
    }
    V total = sum[0];
    simd::unroll<taps - 1>([&](auto k) LAMINA_INLINE_LAMBDA { total += sum[k + 1]; });
    return !any(isnan(total));
}

/// y = largest of the windows of `three_by_two`, two rows of them at a time; slow(plane, oy) makes a row with a NaN.
template <class Arch, class T, class Slow>
void max_pool_of_threes(const PoolGeometry& g, const T* x, T* y, const Slow& slow) {
    const Index groups = (g.out_h + 1) / 2;
    parallel::for_range(g.planes * groups, parallel::grain_for(18 * g.out_w), [&](Index begin, Index end) {
        for (Index group = begin; group < end; ++group) {
            const Index plane = group / groups, oy = group % groups * 2, rows = oy + 1 < g.out_h ? 2 : 1;
            const T* image = x + plane * g.in_h * g.in_w;
            T* out = y + (plane * g.out_h + oy) * g.out_w;
            const bool done = rows == 2 ? g.pad_w ? max_rows_of_threes<2, 1, Arch>(g, image, oy, out)
                                                  : max_rows_of_threes<2, 0, Arch>(g, image, oy, out)
                              : g.pad_w ? max_rows_of_threes<1, 1, Arch>(g, image, oy, out)
                                        : max_rows_of_threes<1, 0, Arch>(g, image, oy, out);
            for (Index r = 0; !done && r < rows; ++r) slow(plane, oy + r);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
