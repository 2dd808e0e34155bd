#pragma once
// The two passes of resampling. Down the columns, rows are mixed lane by lane. Along the rows, as many rows as there
// are lanes are turned in registers first, so that a lane is a row: any table is then plain arithmetic on whole vectors
// without a gather, on every instruction set.
#include <lamina/kernels/resample/periodic.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

namespace detail {

/// y[i] = sum over k of weight[k] * x[index[k] * ld + i] for i < n.
template <int Taps, RowWrite W, class Arch, class T>
void mix_terms(const T* x, Index ld, const Index* index, const T* weight, Index taps, Index n, T* y) {
    using V = simd::Vec<T, Arch>;
    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        const auto term = [&](Index k, V sum, auto first) LAMINA_INLINE_LAMBDA {
            const V v = simd::load_count<Arch>(x + index[k] * ld + i, count);
            if constexpr (first) return v * V(weight[k]);
            else return fma(v, V(weight[k]), sum);
        };
        write_row_lanes<W>(y + i, sum_of_terms<Taps, V>(taps, term), count);
    });
}

/// Row `o` of a table over rows of `n` elements, `ld` apart.
template <RowWrite W, class Arch, class T>
void mix_rows(const ResampleTable<T>& table, Index o, const T* x, Index ld, Index n, T* y) {
    const Index first = table.begin[std::size_t(o)], taps = table.begin[std::size_t(o) + 1] - first;
    const Index* index = table.index.data() + first;
    const T* weight = table.weight.data() + first;
    if (taps == 1) mix_terms<1, W, Arch>(x, ld, index, weight, taps, n, y);
    else if (taps == 2) mix_terms<2, W, Arch>(x, ld, index, weight, taps, n, y);
    else if (taps == 4) mix_terms<4, W, Arch>(x, ld, index, weight, taps, n, y);
    else mix_terms<0, W, Arch>(x, ld, index, weight, taps, n, y);
}

/// Elements of scratch that `resample_rows` needs.
template <class Arch, class T>
Index turned_size(const ResampleTable<T>& table) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    return (table.in + width) * width;
}

template <int Taps, RowWrite W, class Arch, class T>
void resample_turned(const ResampleTable<T>& table, Index rows, const T* x, T* y, T* turned) {
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
        for (Index r = 0; r < rows; ++r) write_row_lanes<W>(y + r * table.out + o, tile[r], count);
    });
}
/// Resamples `rows` rows (at most as many as there are lanes) along their length, from x to y, `in` and `out` apart.
template <RowWrite W, class Arch, class T>
void resample_rows(const ResampleTable<T>& table, Index rows, const T* x, T* y, T* turned) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    if (is_periodic(table) && table.end_period - table.first_period >= width) {
        for (Index r = 0; r < rows; ++r) resample_periodic<W, Arch>(table, x + r * table.in, y + r * table.out);
        return;
    }
    if (table.taps == 1) resample_turned<1, W, Arch>(table, rows, x, y, turned);
    else if (table.taps == 2) resample_turned<2, W, Arch>(table, rows, x, y, turned);
    else if (table.taps == 4) resample_turned<4, W, Arch>(table, rows, x, y, turned);
    else resample_turned<0, W, Arch>(table, rows, x, y, turned);
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::kernels
