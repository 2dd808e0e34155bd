#pragma once
// Reading and writing by index along one dimension. Whoever writes does so in the order of the indices, so that
// repeated ones give the same result on any number of threads. Indices are valid; the ops check them.
#include <lamina/kernels/layout.hpp>
#include <lamina/kernels/reduce.hpp>

#include <cstring>

namespace lamina::inline LAMINA_ABI::kernels {

/// A dense array [outer, extent, inner] and `count` positions along its middle dimension.
struct IndexGeometry {
    Index outer, extent, inner, count;
};

/// y[o, k, i] = x[o, index[k], i].
template <class T>
void index_select(const IndexGeometry& g, const T* x, const Index* index, T* y);
/// y[o, index[k], i] += source[o, k, i], in the order of k. Entries `skip` are left out.
template <class T>
void index_add(const IndexGeometry& g, const T* source, const Index* index, T* y, Index skip = -1);

/// Calls f(at, position) for each element of an index array: `at` is its place in that (dense) array, `position` that
/// of the element it points to. `g` walks the index array: `to` are its strides, `from` those of the indexed array,
/// 0 along the indexed dimension, whose own stride is `step`. Runs in the order of the index array.
template <class F>
void for_each_indexed(const CopyLayout& g, const Index* index, Index step, F&& f);

template <class T>
void index_select(const IndexGeometry& g, const T* x, const Index* index, T* y) {
    parallel::for_range(g.outer * g.count, parallel::grain_for(g.inner), [&](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) {
            const T* from = x + (row / g.count * g.extent + index[row % g.count]) * g.inner;
            if (g.inner == 1) y[row] = *from;
            else std::memcpy(static_cast<void*>(y + row * g.inner), from, std::size_t(g.inner) * sizeof(T));
        }
    });
}

template <class T>
void index_add(const IndexGeometry& g, const T* source, const Index* index, T* y, Index skip) {
    constexpr Index tile = 64;
    const Index tiles = (g.inner + tile - 1) / tile;
    parallel::for_range(g.outer * tiles, parallel::grain_for(g.count * tile), [&](Index begin, Index end) {
        for (Index task = begin; task < end; ++task) {
            const Index o = task / tiles, at = task % tiles * tile, n = g.inner - at < tile ? g.inner - at : tile;
            for (Index k = 0; k < g.count; ++k) {
                if (index[k] == skip) continue;
                const T* from = source + (o * g.count + k) * g.inner + at;
                T* to = y + (o * g.extent + index[k]) * g.inner + at;
                for (Index i = 0; i < n; ++i) to[i] = T(to[i] + from[i]);
            }
        }
    });
}

template <class F>
void for_each_indexed(const CopyLayout& g, const Index* index, Index step, F&& f) {
    if (g.rank == 0) return f(Index(0), index[0] * step);
    const int last = g.rank - 1;
    Index runs = 1;
    for (int d = 0; d < last; ++d) runs *= g.extents[d];
    if (g.extents[last] == 0) return;
    walk_layout(g, last, 0, runs, [&](Index from, Index to) {
        for (Index i = 0; i < g.extents[last]; ++i) f(to + i, from + i * g.from[last] + index[to + i] * step);
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
