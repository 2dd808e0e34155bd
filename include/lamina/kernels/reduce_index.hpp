#pragma once
// Where the largest or smallest element lies along the middle dimension of [outer, count, inner].
#include <lamina/kernels/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// index[o, i] = first c at which x[o, c, i] is the extremum (Op is Largest or Smallest); a NaN counts as the extremum.
/// `count` is at least 1.
template <class Op, class Arch = simd::native, class T>
void extremum_index(const ReduceGeometry& g, const T* x, Index* index);

namespace detail {

template <class Op, class T>
bool beats(T candidate, T best) {
    if (candidate != candidate) return best == best;
    return std::is_same_v<Op, Largest> ? candidate > best : candidate < best;
}

/// Finds the extremum, then its first position: both at the speed of memory.
template <class Op, class Arch, class T>
Index extremum_in_row(Index n, const T* x) {
    using V = simd::Vec<T, Arch>;
    T best = x[0];
    for (Index at = 0; at < n; at += tree_chunk) {
        const T part = reduce_row<Op, Arch>(n - at < tree_chunk ? n - at : tree_chunk, x + at, T(0), AsIs{});
        if (beats<Op>(part, best)) best = part;
    }
    const V wanted = best;
    Index i = 0;
    for (; i + V::width <= n; i += V::width) {
        const V v = simd::load<Arch>(x + i);
        if (any(best != best ? isnan(v) : v == wanted)) break;
    }
    while (!(x[i] == best || (best != best && x[i] != x[i]))) ++i;
    return i;
}

}  // namespace detail

template <class Op, class Arch, class T>
void extremum_index(const ReduceGeometry& g, const T* x, Index* index) {
    if constexpr (std::is_floating_point_v<T>) {
        if (g.inner == 1)
            return parallel::for_range(g.outer, parallel::grain_for(2 * g.count), [&](Index begin, Index end) {
                for (Index r = begin; r < end; ++r)
                    index[r] = detail::extremum_in_row<Op, Arch>(g.count, x + r * g.count);
            });
    }
    constexpr Index tile = 256;
    const Index tiles = (g.inner + tile - 1) / tile;
    const Index task_work = 2 * g.count * (g.inner < tile ? g.inner : tile);
    parallel::for_range(g.outer * tiles, parallel::grain_for(task_work), [&](Index begin, Index end) {
        T best[tile];
        for (Index task = begin; task < end; ++task) {
            const Index at = task % tiles * tile, o = task / tiles, n = g.inner - at < tile ? g.inner - at : tile;
            const T* from = x + o * g.count * g.inner + at;
            Index* to = index + o * g.inner + at;
            for (Index i = 0; i < n; ++i) best[i] = from[i], to[i] = 0;
            for (Index c = 1; c < g.count; ++c)
                for (Index i = 0; i < n; ++i)
                    if (const T v = from[c * g.inner + i]; detail::beats<Op>(v, best[i])) best[i] = v, to[i] = c;
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
