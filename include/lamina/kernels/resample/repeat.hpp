#pragma once
// Nearest neighbours of rows twice as long: every element goes straight from its row to its places. The bits are those
// of the general way.
#include <lamina/kernels/resample/periodic.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

template <class T>
bool is_doubled(const ResampleTable<T>& rows, const ResampleTable<T>& columns) {
    return rows.repeat > 0 && columns.repeat == 2;
}

/// y = x with every element twice along its row and every row rows.repeat times.
template <class Arch, class T>
void resample_doubled(RowWrite mode, Index planes, const ResampleTable<T>& rows, Index n, const T* x, T* y) {
    constexpr int width = simd::Vec<T, Arch>::width;
    const Index times = rows.repeat;
    parallel::for_range(planes * rows.out, parallel::grain_for(2 * n), [&](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) {
            const T* from = x + row / times * n;
            T* to = y + row * 2 * n;
            simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const auto v = simd::load_count<Arch>(from + i, count);
                const auto pair = simd::interleave(v, v);
                if constexpr (!std::is_same_v<decltype(count), Index>) {
                    write_row_lanes(mode, to + 2 * i, pair.first, count);
                    write_row_lanes(mode, to + 2 * i + width, pair.second, count);
                } else {
                    write_row_lanes(mode, to + 2 * i, pair.first, group_lanes<2, width>(count, 0));
                    write_row_lanes(mode, to + 2 * i + width, pair.second, group_lanes<2, width>(count, 1));
                }
            });
        }
        if (mode == RowWrite::stream) simd::stream_fence();
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
