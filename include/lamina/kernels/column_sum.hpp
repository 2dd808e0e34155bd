#pragma once
// The sum of a matrix's rows: the gradient of a bias that was added to every row.
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// out[j] (+)= sum over i of x[i, j] for x [rows, columns], dense. Rows are added eight at a time in a tree, blocks of
/// rows in order: the order depends on the sizes alone.
template <class Arch = simd::native, class T>
void column_sum(Index rows, Index columns, const T* x, T* out, bool accumulate);

template <class Arch, class T>
void column_sum(Index rows, Index columns, const T* x, T* out, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    constexpr Index block_rows = 512, width = 256;
    const Index blocks = rows > 0 ? (rows + block_rows - 1) / block_rows : 1;
    const Index strips = (columns + width - 1) / width;
    T* partial = parallel::scratch<T>(blocks * columns, 10);
    parallel::for_range(blocks * strips, parallel::grain_for(block_rows * width / 8), [&](Index begin, Index end) {
        for (Index task = begin; task < end; ++task) {
            const Index block = task / strips, left = task % strips * width;
            const Index count = columns - left < width ? columns - left : width;
            const Index first = block * block_rows, last = first + block_rows < rows ? first + block_rows : rows;
            T* sum = partial + block * columns + left;
            simd::row<Arch, T>(count, [&](Index j, auto lanes) LAMINA_INLINE_LAMBDA {
                const T* p = x + first * columns + left + j;
                V total(T(0));
                Index i = first;
                for (; i + 8 <= last; i += 8, p += 8 * columns) {
                    const auto at = [&](Index r)
                                        LAMINA_INLINE_LAMBDA { return simd::load_count<Arch>(p + r * columns, lanes); };
                    total += ((at(0) + at(1)) + (at(2) + at(3))) + ((at(4) + at(5)) + (at(6) + at(7)));
                }
                for (; i < last; ++i, p += columns) total += simd::load_count<Arch>(p, lanes);
                simd::store_count(sum + j, total, lanes);
            });
        }
    });
    simd::row<Arch, T>(columns, [&](Index j, auto lanes) LAMINA_INLINE_LAMBDA {
        V total = accumulate ? simd::load_count<Arch>(out + j, lanes) : V(T(0));
        for (Index block = 0; block < blocks; ++block)
            total += simd::load_count<Arch>(partial + block * columns + j, lanes);
        simd::store_count(out + j, total, lanes);
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
