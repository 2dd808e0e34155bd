#pragma once
// Largest of windows of 3x3 at stride 2, as most image networks begin: columns are compared in registers,
// even lanes with their odd neighbours, each element being loaded once a row of windows.
#include <lamina/kernels/pool_windows.hpp>

#include <limits>

namespace lamina::inline LAMINA_ABI::kernels::detail {

inline bool three_by_two(const PoolGeometry& g) {
    return g.kernel_h == 3 && g.kernel_w == 3 && g.stride_w == 2 && g.dilation_w == 1 && g.pad_w <= 1 &&
           2 * (g.out_w - 1) < g.in_w;
}

/// One row of windows, the first of them `Pad` columns left of the plane. False, with no result, where it may have met
/// a NaN, which these comparisons let slip: no sum of the elements was made without it.
template <int Pad, class Arch, class T>
bool max_row_of_threes(const PoolGeometry& g, const T* plane, Taps rows, T* y) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width;
    const V none = -std::numeric_limits<T>::infinity(), zero = T(0);
    // A row of the window that lies outside is the one before once more.
    const Index second = rows.first + rows.step < rows.end ? rows.first + rows.step : rows.first;
    const Index third = second + rows.step < rows.end ? second + rows.step : second;
    const T *const upper = plane + rows.first * g.in_w, *const middle = plane + second * g.in_w,
                   *const lower = plane + third * g.in_w;
    V sum[3] = {zero, zero, zero};  // a NaN, if there is one
    const auto largest = [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
        const V a = simd::load_count<Arch>(upper + c, count), b = simd::load_count<Arch>(middle + c, count),
                d = simd::load_count<Arch>(lower + c, count);
        sum[0] += a, sum[1] += b, sum[2] += d;
        const V best = max(d, max(b, a));
        if constexpr (std::is_same_v<decltype(count), Index>)
            return select(simd::first_lanes<T, Arch>(count), best, none);
        else return best;
    };
    // W pairs of columns from c on; what lies past the row counts as nothing.
    const auto pairs = [&](Index c) LAMINA_INLINE_LAMBDA {
        const Index left = g.in_w - c;
        if (left >= 2 * W)
            return simd::deinterleave(largest(c, simd::FullTag<W>{}), largest(c + W, simd::FullTag<W>{}));
        const Index first = left < 0 ? 0 : left < W ? left : W;
        return simd::deinterleave(largest(first > 0 ? c : 0, first), left > W ? largest(c + W, left - W) : none);
    };
    auto now = pairs(0);
    V before = none;
    for (Index ox = 0; ox < g.out_w; ox += W) {
        V best = max(now.first, now.second);
        if constexpr (Pad == 1) {
            best = max(simd::shift_in(before, now.second), best);
            before = now.second;
            if (ox + W < g.out_w) now = pairs(2 * (ox + W));
        } else {
            const auto next = pairs(2 * (ox + W));
            best = max(simd::shift_out(now.first, next.first), best);
            now = next;
        }
        if (g.out_w - ox >= W) simd::store(y + ox, best);
        else simd::store_partial(y + ox, best, g.out_w - ox);
    }
    return !any(isnan(sum[0] + sum[1] + sum[2]));
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
