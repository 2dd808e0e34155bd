#pragma once
// Nearest neighbours at whole factors: every element goes straight from its row to all places it is repeated at. The
// bits are those of the general way.
#include <lamina/kernels/resample/periodic.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Rows `begin` to `end` - 1 of x, n elements each: every element R times along its row, every row `times` times.
template <int R, class Arch, class T>
void repeat_rows(RowWrite mode, Index begin, Index end, Index times, Index n, const T* x, T* y) {
    using V = simd::Vec<T, Arch>;
    for (Index row = begin; row < end; ++row)
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            V v[R];
            const V in = simd::load_count<Arch>(x + row * n + i, count);
            simd::unroll<R>([&](auto k) LAMINA_INLINE_LAMBDA { v[k] = in; });
            simd::interleave(v);
            T* to = y + (row * times * n + i) * R;
            for (Index t = 0; t < times; ++t, to += n * R)
                simd::unroll<R>([&](auto k) LAMINA_INLINE_LAMBDA {
                    if constexpr (!std::is_same_v<decltype(count), Index>)
                        write_row_lanes(mode, to + k * V::width, v[k], count);
                    else write_row_lanes(mode, to + k * V::width, v[k], group_lanes<R, V::width>(count, k));
                });
        });
    if (mode == RowWrite::stream) simd::stream_fence();
}

template <class T>
bool is_repeated(const ResampleTable<T>& rows, const ResampleTable<T>& columns) {
    return rows.repeat > 0 && columns.repeat > 1 && columns.repeat <= 4;
}

/// y = x with its rows and columns repeated.
template <class Arch, class T>
void resample_repeated(RowWrite mode, Index planes, const ResampleTable<T>& rows, const ResampleTable<T>& columns,
                       const T* x, T* y) {
    const Index times = rows.repeat, n = columns.in;
    parallel::for_range(planes * rows.in, parallel::grain_for(times * columns.out), [&](Index begin, Index end) {
        if (columns.repeat == 2) repeat_rows<2, Arch>(mode, begin, end, times, n, x, y);
        else if (columns.repeat == 3) repeat_rows<3, Arch>(mode, begin, end, times, n, x, y);
        else repeat_rows<4, Arch>(mode, begin, end, times, n, x, y);
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
