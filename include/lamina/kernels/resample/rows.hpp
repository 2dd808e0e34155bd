#pragma once
// The two passes of resampling. Down the columns, rows are mixed lane by lane. Along the rows, as many rows as there
// are lanes are turned in registers first, so that a lane is a row: any table is then plain arithmetic on whole vectors
// without a gather, on every instruction set.
#include <lamina/kernels/resample/table.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// What becomes of a row of results.
enum class RowWrite { store, stream, add };

namespace detail {

/// The sum of `taps` terms, their number known to the compiler unless Taps is 0.
template <int Taps, class V, class Term>
LAMINA_INLINE V sum_of_terms(Index taps, const Term& term) {
    if constexpr (Taps > 0) {
        V sum = term(std::integral_constant<int, 0>{}, V(0), std::true_type{});
        simd::unroll<Taps - 1>([&](auto k) LAMINA_INLINE_LAMBDA { sum = term(Index(k) + 1, sum, std::false_type{}); });
        return sum;
    } else {
        if (taps == 0) return V(0);
        V sum = term(Index(0), V(0), std::true_type{});
        for (Index k = 1; k < taps; ++k) sum = term(k, sum, std::false_type{});
        return sum;
    }
}

template <RowWrite W, class T, class Arch, class Count>
LAMINA_INLINE void write_row_lanes(T* y, simd::Vec<T, Arch> v, Count count) {
    if constexpr (W == RowWrite::add) simd::store_count(y, simd::load_count<Arch>(y, count) + v, count);
    else if constexpr (W == RowWrite::stream && !std::is_same_v<Count, Index>) simd::stream(y, v);
    else simd::store_count(y, v, count);
}

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
    if (table.taps == 1) resample_turned<1, W, Arch>(table, rows, x, y, turned);
    else if (table.taps == 2) resample_turned<2, W, Arch>(table, rows, x, y, turned);
    else if (table.taps == 4) resample_turned<4, W, Arch>(table, rows, x, y, turned);
    else resample_turned<0, W, Arch>(table, rows, x, y, turned);
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::kernels
