#pragma once
// Resampling of planes by a table for each axis. The longer way round is never taken: rows are resampled along their
// length where there are fewer of them, before the columns when the plane grows, after them when it shrinks. What lies
// between stays in the second-level cache.
#include <lamina/kernels/copy.hpp>
#include <lamina/kernels/resample/repeat.hpp>
#include <lamina/kernels/resample/rows.hpp>
#include <lamina/parallel/scratch.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [planes, rows.out, columns.out] (+)= x [planes, rows.in, columns.in], each column resampled by the table `rows`
/// and each row by the table `columns`.
template <class Arch = simd::native, class T>
void resample(Index planes, const ResampleTable<T>& rows, const ResampleTable<T>& columns, const T* x, T* y,
              bool accumulate);

namespace detail {

inline constexpr int resample_slot = 4;                 ///< scratch of turned rows; the next of half-resampled ones
inline constexpr Index resample_block_bytes = 1 << 17;  ///< of half-resampled rows: they stay in L2

/// Inputs needed for outputs `from` to `to` - 1 of a table.
template <class T>
void needed_inputs(const ResampleTable<T>& table, Index from, Index to, Index& first, Index& end) {
    first = table.in;
    end = 0;
    for (Index k = table.begin[std::size_t(from)]; k < table.begin[std::size_t(to)]; ++k) {
        const Index i = table.index[std::size_t(k)];
        if (i < first) first = i;
        if (i >= end) end = i + 1;
    }
    if (first > end) first = end;
}

/// Columns alone: y rows are mixed from x rows.
template <class Arch, class T>
void resample_columns(RowWrite mode, Index planes, const ResampleTable<T>& rows, Index n, const T* x, T* y) {
    parallel::for_range(planes * rows.out, parallel::grain_for(n), [&](Index begin, Index end) {
        for (Index row = begin; row < end; ++row)
            mix_rows<Arch>(mode, rows, row % rows.out, x + row / rows.out * rows.in * n, n, n, y + row * n);
        if (mode == RowWrite::stream) simd::stream_fence();
    });
}

/// The plane grows: some input rows are lengthened, then mixed.
template <class Arch, class T>
void resample_growing(RowWrite mode, Index planes, const ResampleTable<T>& rows, const ResampleTable<T>& columns,
                      const T* x, T* y) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    const Index n = columns.out, block_rows = resample_block_bytes / Index(sizeof(T)) / n + 1;
    // Whole planes where several fit into a block, else strips of a plane.
    const Index together = block_rows / rows.in > 1 ? block_rows / rows.in : 1;
    Index strip = rows.out;
    if (rows.in > block_rows) strip = rows.out * block_rows / rows.in + 1;
    const Index strips = (rows.out + strip - 1) / strip, grain = parallel::grain_for(rows.out * n / strips);
    const Index grouped = grain < together ? grain : together;
    const auto mix = [&](Index plane, Index from, Index to, const T* lengthened) {
        for (Index o = from; o < to; ++o)
            mix_rows<Arch>(mode, rows, o, lengthened, n, n, y + (plane * rows.out + o) * n);
    };
    const auto lengthen = [&](Index row, Index count) {
        T* const turned = parallel::scratch<T>(turned_size<Arch>(columns), resample_slot);
        T* const half = parallel::scratch<T>(count * n, resample_slot + 1);
        for (Index r = 0; r < count; r += lanes)
            resample_rows<Arch>(RowWrite::store, columns, count - r < lanes ? count - r : lanes,
                                x + (row + r) * columns.in, half + r * n, turned);
        return half;
    };
    parallel::for_range(planes * strips, strips > 1 ? 1 : grouped, [&](Index begin, Index end) {
        if (strips == 1) {
            for (Index plane = begin; plane < end; plane += together) {
                const Index count = end - plane < together ? end - plane : together;
                const T* const half = lengthen(plane * rows.in, count * rows.in);
                for (Index p = 0; p < count; ++p) mix(plane + p, 0, rows.out, half + p * rows.in * n);
            }
        } else {
            for (Index task = begin; task < end; ++task) {
                const Index plane = task / strips, from = task % strips * strip;
                const Index to = rows.out - from < strip ? rows.out : from + strip;
                Index first, last;
                needed_inputs(rows, from, to, first, last);
                mix(plane, from, to, lengthen(plane * rows.in + first, last - first) - first * n);
            }
        }
        if (mode == RowWrite::stream) simd::stream_fence();
    });
}

/// The plane shrinks, or only its rows' length changes: rows are mixed, if at all, then resampled as many at a time as
/// there are lanes.
template <class Arch, class T>
void resample_shrinking(RowWrite mode, Index planes, const ResampleTable<T>& rows, const ResampleTable<T>& columns,
                        const T* x, T* y) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    const Index n = columns.in, grain = (parallel::grain_for(n + columns.out) + lanes - 1) / lanes * lanes;
    parallel::for_range(planes * rows.out, grain, [&](Index begin, Index end) {
        T* const turned = parallel::scratch<T>(turned_size<Arch>(columns), resample_slot);
        T* const mixed = rows.identity ? nullptr : parallel::scratch<T>(lanes * n, resample_slot + 1);
        for (Index row = begin; row < end; row += lanes) {
            const Index count = end - row < lanes ? end - row : lanes;
            for (Index r = 0; mixed && r < count; ++r)
                mix_rows<Arch>(RowWrite::store, rows, (row + r) % rows.out, x + (row + r) / rows.out * rows.in * n, n,
                               n, mixed + r * n);
            resample_rows<Arch>(mode, columns, count, mixed ? mixed : x + row * n, y + row * columns.out, turned);
        }
        if (mode == RowWrite::stream) simd::stream_fence();
    });
}

}  // namespace detail

template <class Arch, class T>
void resample(Index planes, const ResampleTable<T>& rows, const ResampleTable<T>& columns, const T* x, T* y,
              bool accumulate) {
    const Index elements_in = planes * rows.in * columns.in, elements_out = planes * rows.out * columns.out;
    const bool doubled = detail::is_doubled(rows, columns);
    const bool large = doubled ? (elements_in + elements_out) / 2 * Index(sizeof(T)) >= dense_stream_threshold_bytes
                               : elements_out * Index(sizeof(T)) >= stream_threshold_bytes;
    const bool lines = large && columns.out * Index(sizeof(T)) % 64 == 0;
    const RowWrite mode = accumulate ? RowWrite::add : lines ? RowWrite::stream : RowWrite::store;
    if (doubled) detail::resample_doubled<Arch>(mode, planes, rows, columns.in, x, y);
    else if (columns.identity) detail::resample_columns<Arch>(mode, planes, rows, columns.in, x, y);
    else if (rows.in < rows.out) detail::resample_growing<Arch>(mode, planes, rows, columns, x, y);
    else detail::resample_shrinking<Arch>(mode, planes, rows, columns, x, y);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
