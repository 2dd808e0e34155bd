#pragma once
// The two passes of resampling. Down the columns, rows are mixed lane by lane. Along the rows, as many rows as there
// are lanes are turned in registers first, so that a lane is a row: any table is then plain arithmetic on whole vectors
// without a gather, on every instruction set.
#include <lamina/kernels/resample/periodic.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

namespace detail {

/// y[i] = sum over k of weight[k] * x[index[k] * ld + i] for i < n, four vectors in flight.
template <int Taps, class Arch, class T>
void mix_terms(RowWrite mode, const T* x, Index ld, const Index* index, const T* weight, Index taps, Index n, T* y) {
    using V = simd::Vec<T, Arch>;
    constexpr int flight = 4;
    struct Sums {
        V v[flight];
    };
    const auto mix = [&](Index i, auto vectors, auto count) LAMINA_INLINE_LAMBDA {
        const Index known = Taps > 0 ? Taps : taps;
        Sums sums;
        const T* const first = x + (known ? index[0] * ld : 0) + i;
        const V factor = known ? weight[0] : T(0);
        simd::unroll<vectors>([&](auto j) LAMINA_INLINE_LAMBDA {
            sums.v[j] = known ? simd::load_count<Arch>(first + j * V::width, count) * factor : V(T(0));
        });
        const auto add = [&](Index k) LAMINA_INLINE_LAMBDA {
            const T* const row = x + index[k] * ld + i;
            const V by = weight[k];
            simd::unroll<vectors>([&](auto j) LAMINA_INLINE_LAMBDA {
                sums.v[j] = fma(simd::load_count<Arch>(row + j * V::width, count), by, sums.v[j]);
            });
        };
        if constexpr (Taps > 0) simd::unroll<Taps - 1>([&](auto k) LAMINA_INLINE_LAMBDA { add(k + 1); });
        else
            for (Index k = 1; k < taps; ++k) add(k);
        simd::unroll<vectors>(
            [&](auto j) LAMINA_INLINE_LAMBDA { write_row_lanes(mode, y + i + j * V::width, sums.v[j], count); });
    };
    Index i = 0;
    for (; i + flight * V::width <= n; i += flight * V::width)
        mix(i, std::integral_constant<int, flight>{}, simd::FullTag<V::width>{});
    simd::row<Arch, T>(n - i, [&](Index rest, auto count)
                                  LAMINA_INLINE_LAMBDA { mix(i + rest, std::integral_constant<int, 1>{}, count); });
}

/// Row `o` of a table over rows of `n` elements, `ld` apart.
template <class Arch, class T>
void mix_rows(RowWrite mode, const ResampleTable<T>& table, Index o, const T* x, Index ld, Index n, T* y) {
    const Index first = table.begin[std::size_t(o)], count = table.begin[std::size_t(o) + 1] - first;
    for_taps(count, [&](auto taps) {
        mix_terms<taps, Arch>(mode, x, ld, table.index.data() + first, table.weight.data() + first, count, n, y);
    });
}

/// Elements of scratch that `resample_rows` needs.
template <class Arch, class T>
Index turned_size(const ResampleTable<T>& table) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    return (table.in + width) * width;
}

template <int Taps, class Arch, class T>
void resample_turned(RowWrite mode, const ResampleTable<T>& table, Index rows, const T* x, T* y, T* turned) {
    using V = simd::Vec<T, Arch>;
    constexpr int width = V::width;
    V tile[width];
    simd::row<Arch, T>(table.in, [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
        for (Index r = 0; r < width; ++r)
            tile[r] = simd::load_count<Arch>(x + (r < rows ? r : 0) * table.in + c, count);
        simd::transpose(tile);
        simd::unroll<width>([&](auto i) LAMINA_INLINE_LAMBDA { simd::store(turned + (c + i) * width, tile[i]); });
    });
    const Index *begin = table.begin.data(), *index = table.index.data();
    const T* weight = table.weight.data();
    simd::row<Arch, T>(table.out, [&](Index o, auto count) LAMINA_INLINE_LAMBDA {
        for (Index i = 0; i < Index(count); ++i) {
            const Index first = Taps > 0 ? (o + i) * Taps : begin[o + i];
            tile[i] = sum_of_terms<Taps, V>(begin[o + i + 1] - first,
                                            [&](Index k, V sum, auto is_first) LAMINA_INLINE_LAMBDA {
                                                const V v = simd::load<Arch>(turned + index[first + k] * width);
                                                if constexpr (is_first) return v * V(weight[first + k]);
                                                else return fma(v, V(weight[first + k]), sum);
                                            });
        }
        simd::transpose(tile);
        for (Index r = 0; r < rows; ++r) write_row_lanes(mode, y + r * table.out + o, tile[r], count);
    });
}
/// Resamples `rows` rows (at most as many as there are lanes) along their length, from x to y, `in` and `out` apart.
template <class Arch, class T>
void resample_rows(RowWrite mode, const ResampleTable<T>& table, Index rows, const T* x, T* y, T* turned) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    if (is_periodic(table) && table.end_period - table.first_period >= width) {
        for (Index r = 0; r < rows; ++r) resample_periodic<Arch>(mode, table, x + r * table.in, y + r * table.out);
        return;
    }
    for_taps(table.taps, [&](auto taps) { resample_turned<taps, Arch>(mode, table, rows, x, y, turned); });
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::kernels
