#pragma once
// Two strided layouts of the same extents, brought into the form a copy can walk fastest: no dimension of extent 1,
// the destination's largest stride first, neighbours merged wherever both layouts allow it.
#include <lamina/core/shape.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Extents and, for source and destination, the distance in elements between neighbours along each dimension.
struct CopyLayout {
    static constexpr int max_rank = 16;
    int rank = 0;
    Index extents[max_rank], from[max_rank], to[max_rank];

    Index numel() const {
        Index n = 1;
        for (int d = 0; d < rank; ++d) n *= extents[d];
        return n;
    }
    /// Adds a dimension inside those already there.
    void push(Index extent, Index from_stride, Index to_stride) {
        extents[rank] = extent;
        from[rank] = from_stride;
        to[rank++] = to_stride;
    }
    void erase(int d) {
        --rank;
        for (; d < rank; ++d) extents[d] = extents[d + 1], from[d] = from[d + 1], to[d] = to[d + 1];
    }
    /// Moves dimension `d` to position `end`, at or behind it.
    void move_back(int d, int end) {
        const Index e = extents[d], f = from[d], t = to[d];
        for (; d < end; ++d) extents[d] = extents[d + 1], from[d] = from[d + 1], to[d] = to[d + 1];
        extents[end] = e, from[end] = f, to[end] = t;
    }
};

constexpr Index magnitude(Index x) { return x < 0 ? -x : x; }

/// The same set of element pairs with the fewest dimensions, ordered by the destination.
inline CopyLayout simplified(const CopyLayout& g) {
    CopyLayout s;
    for (int d = 0; d < g.rank; ++d)
        if (g.extents[d] != 1) s.push(g.extents[d], g.from[d], g.to[d]);
    for (int i = 1; i < s.rank; ++i)  // insertion sort: stable, and the rank is small
        for (int d = i; d > 0; --d) {
            const Index a = magnitude(s.to[d - 1]), b = magnitude(s.to[d]);
            if (a > b || (a == b && magnitude(s.from[d - 1]) >= magnitude(s.from[d]))) break;
            s.move_back(d - 1, d);
        }
    for (int d = s.rank - 1; d > 0; --d)
        if (s.from[d - 1] == s.from[d] * s.extents[d] && s.to[d - 1] == s.to[d] * s.extents[d]) {
            s.extents[d - 1] *= s.extents[d];
            s.from[d - 1] = s.from[d];
            s.to[d - 1] = s.to[d];
            s.erase(d);
        }
    if (s.rank == 0) s.push(1, 1, 1);
    return s;
}

/// Layout of a copy from a strided tensor to a dense one of the same shape.
template <int R>
CopyLayout to_dense(const Shape<R>& shape, const Strides<R>& from) {
    static_assert(R <= CopyLayout::max_rank);
    const auto dense = contiguous_strides(shape);
    CopyLayout g;
    for (int d = 0; d < R; ++d) g.push(shape[d], from[std::size_t(d)], dense[std::size_t(d)]);
    return g;
}
/// Layout of a copy from a dense tensor into a strided one of the same shape.
template <int R>
CopyLayout from_dense(const Shape<R>& shape, const Strides<R>& to) {
    static_assert(R <= CopyLayout::max_rank);
    const auto dense = contiguous_strides(shape);
    CopyLayout g;
    for (int d = 0; d < R; ++d) g.push(shape[d], dense[std::size_t(d)], to[std::size_t(d)]);
    return g;
}

/// Calls f(from_offset, to_offset) for the positions `begin` to `end` - 1 of the first `dims` dimensions, the last of
/// them running fastest.
template <class F>
LAMINA_INLINE void walk_layout(const CopyLayout& g, int dims, Index begin, Index end, F&& f) {
    if (begin >= end) return;
    Index at[CopyLayout::max_rank], from = 0, to = 0, rest = begin;
    for (int d = dims - 1; d >= 0; --d) {
        at[d] = rest % g.extents[d];
        rest /= g.extents[d];
        from += at[d] * g.from[d];
        to += at[d] * g.to[d];
    }
    for (Index i = begin;;) {
        f(from, to);
        if (++i == end) return;
        for (int d = dims - 1; d >= 0; --d) {
            from += g.from[d];
            to += g.to[d];
            if (++at[d] < g.extents[d]) break;
            from -= g.from[d] * g.extents[d];
            to -= g.to[d] * g.extents[d];
            at[d] = 0;
        }
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels
