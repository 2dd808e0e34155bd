#pragma once
// Rows whose length changes by a whole factor: away from the ends every output, or every factor-th, is the same filter
// at the next place, so neighbours are lanes and need no table look-up. The bits are those of the general way.
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

template <class T, class Arch, class Count>
LAMINA_INLINE void write_row_lanes(RowWrite mode, T* y, simd::Vec<T, Arch> v, Count count) {
    if (mode == RowWrite::add) simd::store_count(y, simd::load_count<Arch>(y, count) + v, count);
    else if (mode == RowWrite::stream && !std::is_same_v<Count, Index>) simd::stream(y, v);
    else simd::store_count(y, v, count);
}

/// Outputs `from` to `to` - 1 of one row, one by one.
template <int Taps, class T>
void resample_ends(RowWrite mode, const ResampleTable<T>& table, Index from, Index to, const T* x, T* y) {
    using V = simd::Vec<T, simd::scalar>;
    const Index *begin = table.begin.data(), *index = table.index.data();
    const T* weight = table.weight.data();
    for (Index o = from; o < to; ++o) {
        const Index first = begin[o];
        const V sum =
            sum_of_terms<Taps, V>(begin[o + 1] - first, [&](Index k, V so_far, auto is_first) LAMINA_INLINE_LAMBDA {
                const V in = x[index[first + k]], factor = weight[first + k];
                if constexpr (is_first) return in * factor;
                else return fma(in, factor, so_far);
            });
        y[o] = mode == RowWrite::add ? y[o] + sum[0] : sum[0];
    }
}

/// Lanes of vector `k` that belong to the first `count` groups of R.
template <int R, int Width>
constexpr Index group_lanes(Index count, int k) {
    const Index left = count * R - k * Width;
    return left < 0 ? 0 : left < Width ? left : Width;
}

/// All periods of a row that grows R times: a filter for each phase, results interleaved.
template <int R, int Taps, class Arch, class T>
void grow_periods(RowWrite mode, const ResampleTable<T>& table, const T* x, T* y) {
    using V = simd::Vec<T, Arch>;
    const Index q0 = table.first_period, *begin = table.begin.data() + q0 * R, *index = table.index.data();
    const T* weight = table.weight.data();
    simd::row<Arch, T>(table.end_period - q0, [&](Index q, auto count) LAMINA_INLINE_LAMBDA {
        V v[R];
        simd::unroll<R>([&](auto p) LAMINA_INLINE_LAMBDA {
            const Index first = begin[p];
            v[p] = sum_of_terms<Taps, V>(begin[p + 1] - first, [&](Index k, V sum, auto is_first) LAMINA_INLINE_LAMBDA {
                const V in = simd::load_count<Arch>(x + q + index[first + k], count);
                if constexpr (is_first) return in * V(weight[first + k]);
                else return fma(in, V(weight[first + k]), sum);
            });
        });
        simd::interleave(v);
        T* const to = y + (q0 + q) * R;
        simd::unroll<R>([&](auto k) LAMINA_INLINE_LAMBDA {
            if constexpr (!std::is_same_v<decltype(count), Index>)
                write_row_lanes(mode, to + k * V::width, v[k], count);
            else write_row_lanes(mode, to + k * V::width, v[k], group_lanes<R, V::width>(count, k));
        });
    });
}

/// All periods of a row that shrinks S times: inputs are dealt out to S vectors, one filter runs over them.
template <int S, int Taps, class Arch, class T>
void shrink_periods(RowWrite mode, const ResampleTable<T>& table, const T* x, T* y) {
    using V = simd::Vec<T, Arch>;
    const Index q0 = table.first_period, first = table.begin[std::size_t(q0)];
    const Index taps = Taps > 0 ? Taps : table.begin[std::size_t(q0) + 1] - first;
    const T *weight = table.weight.data() + first, *from = x + table.index[std::size_t(first)];
    simd::row<Arch, T>(table.end_period - q0, [&](Index q, auto count) LAMINA_INLINE_LAMBDA {
        V sum(T(0));
        const auto deal = [&](Index k) LAMINA_INLINE_LAMBDA {
            V v[S];
            simd::unroll<S>([&](auto j) LAMINA_INLINE_LAMBDA {
                const T* in = from + q * S + k + j * V::width;
                if constexpr (!std::is_same_v<decltype(count), Index>) v[j] = simd::load<Arch>(in);
                else v[j] = simd::load_partial<Arch>(in, group_lanes<S, V::width>(count, j));
            });
            simd::deinterleave(v);
            simd::unroll<S>([&](auto j) LAMINA_INLINE_LAMBDA {
                if (k + j == 0) sum = v[0] * V(weight[0]);
                else if (k + j < taps) sum = fma(v[j], V(weight[k + j]), sum);
            });
        };
        if constexpr (Taps > 0)
            simd::unroll<(Taps + S - 1) / S>([&](auto group) LAMINA_INLINE_LAMBDA { deal(group * S); });
        else
            for (Index k = 0; k < taps; k += S) deal(k);
        write_row_lanes(mode, y + q0 + q, sum, count);
    });
}

template <class T>
bool is_periodic(const ResampleTable<T>& t) {
    return t.phases <= 4 && t.stride <= 4 && t.phases != t.stride;
}

/// Calls f(std::integral_constant<int, taps>) for the numbers of taps worth their own code, else f(0).
template <class F>
LAMINA_INLINE void for_taps(Index taps, F&& f) {
    if (taps == 1) f(std::integral_constant<int, 1>{});
    else if (taps == 2) f(std::integral_constant<int, 2>{});
    else if (taps == 4) f(std::integral_constant<int, 4>{});
    else f(std::integral_constant<int, 0>{});
}

/// y [out] = x [in] resampled by a table that is_periodic.
template <class Arch, class T>
void resample_periodic(RowWrite mode, const ResampleTable<T>& table, const T* x, T* y) {
    const Index begin = table.first_period * table.phases, end = table.end_period * table.phases;
    for_taps(table.taps, [&](auto taps) { resample_ends<taps>(mode, table, 0, begin, x, y); });
    const Index middle = table.begin[std::size_t(begin) + 1] - table.begin[std::size_t(begin)];
    if (table.phases == 2) for_taps(table.taps, [&](auto taps) { grow_periods<2, taps, Arch>(mode, table, x, y); });
    else if (table.phases == 3) grow_periods<3, 0, Arch>(mode, table, x, y);
    else if (table.phases == 4) grow_periods<4, 0, Arch>(mode, table, x, y);
    else if (table.stride == 2) for_taps(middle, [&](auto taps) { shrink_periods<2, taps, Arch>(mode, table, x, y); });
    else if (table.stride == 3) shrink_periods<3, 0, Arch>(mode, table, x, y);
    else shrink_periods<4, 0, Arch>(mode, table, x, y);
    for_taps(table.taps, [&](auto taps) { resample_ends<taps>(mode, table, end, table.out, x, y); });
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::kernels
