#pragma once
// Copy and add between strided layouts at memory speed: dense runs go row by row, permutations tile by tile through
// registers, whatever is left element by element. Every permute, contiguous, slice and their gradients end here.
#include <lamina/kernels/layout.hpp>
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/row.hpp>

#include <cstring>

namespace lamina::inline LAMINA_ABI::kernels {

/// What a copy does with the destination's elements.
enum class Write { assign, add };

/// Elements in one task: some microseconds of memory traffic.
inline constexpr Index stream_grain = 16384;

/// Copies (or adds) the elements of `from` to `to` as the layout pairs them. With Write::add no two pairs may share a
/// destination; the two arrays must not overlap.
template <Write W = Write::assign, class Arch = simd::native, class T>
void copy(const CopyLayout& layout, const T* from, T* to);

namespace detail {

/// Types that vector registers hold; the others are moved by memcpy or one by one.
template <class T>
inline constexpr bool is_lane = std::is_arithmetic_v<T> && sizeof(T) >= 4;

/// One dense run. With `stream` its whole vectors bypass the caches.
template <Write W, class Arch, class T>
LAMINA_INLINE void copy_run(const T* from, T* to, Index n, bool stream) {
    if constexpr (W == Write::add && !is_lane<T>) {
        for (Index i = 0; i < n; ++i) to[i] = T(to[i] + from[i]);
    } else if constexpr (W == Write::add) {
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const auto sum = simd::load_count<Arch>(to + i, count) + simd::load_count<Arch>(from + i, count);
            simd::store_count(to + i, sum, count);
        });
    } else if constexpr (!is_lane<T>) {
        std::memcpy(static_cast<void*>(to), from, std::size_t(n) * sizeof(T));
    } else {
        constexpr auto line = std::uintptr_t(64);
        const auto past_line = reinterpret_cast<std::uintptr_t>(to) % line;
        const Index to_line = past_line ? Index(line - past_line) / Index(sizeof(T)) : 0;
        const Index head = !stream ? 0 : to_line < n ? to_line : n;
        for (Index i = 0; i < head; ++i) to[i] = from[i];
        simd::row<Arch, T>(n - head, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const auto v = simd::load_count<Arch>(from + head + i, count);
            if (stream && count == simd::Vec<T, Arch>::width) simd::stream(to + head + i, v);
            else simd::store_count(to + head + i, v, count);
        });
    }
}

/// to[i * to_ld + j] = from[j * from_ld + i] for i < rows, j < columns, at most one register wide and high.
template <Write W, class Arch, class T>
LAMINA_INLINE void transpose_tile(const T* from, Index from_ld, T* to, Index to_ld, Index rows, Index columns,
                                  bool stream) {
    using V = simd::Vec<T, Arch>;
    if (rows == V::width && columns == V::width) {
        V tile[V::width];  // its own array and loops without a count: it stays in registers
        simd::unroll<V::width>([&](auto j) LAMINA_INLINE_LAMBDA { tile[j] = simd::load<Arch>(from + j * from_ld); });
        simd::transpose(tile);
        simd::unroll<V::width>([&](auto i) LAMINA_INLINE_LAMBDA {
            T* out = to + i * to_ld;
            if constexpr (W == Write::add) simd::store(out, simd::load<Arch>(out) + tile[i]);
            else if (stream) simd::stream(out, tile[i]);
            else simd::store(out, tile[i]);
        });
        return;
    }
    V tile[V::width];
    for (int j = 0; j < V::width; ++j)
        tile[j] = j < columns ? simd::load_partial<Arch>(from + j * from_ld, rows) : V(T(0));
    simd::transpose(tile);
    for (int i = 0; i < rows; ++i) {
        T* out = to + i * to_ld;
        if constexpr (W == Write::add)
            simd::store_partial(out, simd::load_partial<Arch>(out, columns) + tile[i], columns);
        else if (stream && columns == V::width) simd::stream(out, tile[i]);
        else simd::store_partial(out, tile[i], columns);
    }
}

/// Transposes a block of any size, along the destination's rows so that its cache lines fill one after another.
template <Write W, class Arch, class T>
void transpose_block(const T* from, Index from_ld, T* to, Index to_ld, Index rows, Index columns, bool stream) {
    if constexpr (is_lane<T>) {
        constexpr Index width = simd::Vec<T, Arch>::width;
        for (Index i = 0; i < rows; i += width)
            for (Index j = 0; j < columns; j += width)
                transpose_tile<W, Arch>(from + j * from_ld + i, from_ld, to + i * to_ld + j, to_ld,
                                        rows - i < width ? rows - i : width, columns - j < width ? columns - j : width,
                                        stream);
    } else {
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < columns; ++j)
                if constexpr (W == Write::add) to[i * to_ld + j] = T(to[i * to_ld + j] + from[j * from_ld + i]);
                else to[i * to_ld + j] = from[j * from_ld + i];
    }
}

/// The same for one element repeated.
template <Write W, class Arch, class T>
LAMINA_INLINE void fill_run(T value, T* to, Index n) {
    if constexpr (!is_lane<T>) {
        for (Index i = 0; i < n; ++i)
            if constexpr (W == Write::add) to[i] = T(to[i] + value);
            else to[i] = value;
    } else {
        const simd::Vec<T, Arch> v = value;
        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            simd::store_count(to + i, W == Write::add ? simd::load_count<Arch>(to + i, count) + v : v, count);
        });
    }
}

/// Rows dense on both sides, or dense copies of one element each.
template <Write W, class Arch, class T>
void copy_rows(const CopyLayout& g, const T* from, T* to, bool stream) {
    const int outer = g.rank - 1;
    Index runs = 1, n = g.extents[outer];
    for (int d = 0; d < outer; ++d) runs *= g.extents[d];
    if (runs == 1) {
        parallel::for_range(n, stream_grain, [&](Index begin, Index end) {
            if (g.from[outer] == 0) fill_run<W, Arch>(*from, to + begin, end - begin);
            else copy_run<W, Arch>(from + begin, to + begin, end - begin, stream);
            if (stream) simd::stream_fence();
        });
        return;
    }
    parallel::for_range(runs, stream_grain / n + 1, [&](Index begin, Index end) {
        walk_layout(g, outer, begin, end, [&](Index f, Index t) LAMINA_INLINE_LAMBDA {
            if (g.from[outer] == 0) fill_run<W, Arch>(from[f], to + t, n);
            else copy_run<W, Arch>(from + f, to + t, n, stream);
        });
        if (stream) simd::stream_fence();
    });
}

/// The source is dense along dimension rank - 2, the destination along the last: many matrices to be transposed.
template <Write W, class Arch, class T>
void copy_transposed(const CopyLayout& g, const T* from, T* to, bool stream) {
    const int outer = g.rank - 2;
    const Index rows = g.extents[outer], columns = g.extents[outer + 1];
    const Index from_ld = g.from[outer + 1], to_ld = g.to[outer];
    constexpr Index block = 64;
    const Index block_columns = rows < block ? block * (block / rows) : block;
    const Index down = (rows + block - 1) / block, across = (columns + block_columns - 1) / block_columns;
    Index matrices = 1;
    for (int d = 0; d < outer; ++d) matrices *= g.extents[d];
    constexpr Index line = 64 / Index(sizeof(T));
    const bool aligned = to_ld % line == 0 && reinterpret_cast<std::uintptr_t>(to) % 64 == 0;
    const Index grain = stream_grain / (block * block_columns) + 1;
    parallel::for_range(matrices * down * across, grain, [&](Index begin, Index end) {
        for (Index task = begin; task < end; ++task) {
            // Down the destination first: the source is read in long pieces of few pages.
            const Index i = task % down * block, j = task / down % across * block_columns;
            const Index matrix = task / (across * down);
            walk_layout(g, outer, matrix, matrix + 1, [&](Index f, Index t) {
                transpose_block<W, Arch>(from + f + j * from_ld + i, from_ld, to + t + i * to_ld + j, to_ld,
                                         rows - i < block ? rows - i : block,
                                         columns - j < block_columns ? columns - j : block_columns,
                                         stream && aligned && t % line == 0);
            });
        }
        if (stream) simd::stream_fence();
    });
}

/// Neither side is dense where the other is.
template <Write W, class T>
void copy_elements(const CopyLayout& g, const T* from, T* to) {
    const int last = g.rank - 1;
    const Index n = g.extents[last], step_from = g.from[last], step_to = g.to[last];
    Index runs = 1;
    for (int d = 0; d < last; ++d) runs *= g.extents[d];
    parallel::for_range(runs, stream_grain / n + 1, [&](Index begin, Index end) {
        walk_layout(g, last, begin, end, [&](Index f, Index t) {
            for (Index i = 0; i < n; ++i)
                if constexpr (W == Write::add) to[t + i * step_to] = T(to[t + i * step_to] + from[f + i * step_from]);
                else to[t + i * step_to] = from[f + i * step_from];
        });
    });
}

}  // namespace detail

template <Write W, class Arch, class T>
void copy(const CopyLayout& layout, const T* from, T* to) {
    if (layout.numel() == 0) return;
    CopyLayout g = simplified(layout);
    const int last = g.rank - 1;
    const Index bytes = W == Write::assign ? g.numel() * Index(sizeof(T)) : 0;
    if ((g.from[last] == 1 || g.from[last] == 0) && g.to[last] == 1)
        return detail::copy_rows<W, Arch>(g, from, to, bytes >= dense_stream_threshold_bytes);
    int dense = -1;
    for (int d = 0; d < last; ++d)
        if (g.from[d] == 1) dense = d;
    if (g.to[last] != 1 || dense < 0) return detail::copy_elements<W>(g, from, to);
    g.move_back(dense, last - 1);
    detail::copy_transposed<W, Arch>(g, from, to, bytes >= stream_threshold_bytes);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
