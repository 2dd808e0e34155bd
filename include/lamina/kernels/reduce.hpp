#pragma once
// Reductions of the middle dimension of [outer, count, inner] by a fixed tree. Which elements meet when depends on the
// sizes alone, never on threads or vector width, and errors grow with the logarithm of the count.
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/row.hpp>

#include <bit>
#include <limits>

namespace lamina::inline LAMINA_ABI::kernels {

/// A dense array [outer, count, inner] of which `count` is reduced away.
struct ReduceGeometry {
    Index outer, count, inner;
    Index outputs() const { return outer * inner; }
    Index inputs() const { return outer * count * inner; }
};

/// Ways to combine two vectors of lanes; `identity` changes nothing.
struct Sum {
    template <class T>
    static constexpr T identity = T(0);
    template <class V>
    LAMINA_INLINE static V combine(V a, V b) {
        return a + b;
    }
};
struct Product {
    template <class T>
    static constexpr T identity = T(1);
    template <class V>
    LAMINA_INLINE static V combine(V a, V b) {
        return a * b;
    }
};
/// NaN counts as larger than everything.
struct Largest {
    template <class T>
    static constexpr T identity = -std::numeric_limits<T>::infinity();
    template <class V>
    LAMINA_INLINE static V combine(V a, V b) {
        return select((b > a) | isnan(b), b, a);
    }
};
/// NaN counts as smaller than everything.
struct Smallest {
    template <class T>
    static constexpr T identity = std::numeric_limits<T>::infinity();
    template <class V>
    LAMINA_INLINE static V combine(V a, V b) {
        return select((b < a) | isnan(b), b, a);
    }
};

/// The plain map: elements as they are.
struct AsIs {
    template <class V>
    LAMINA_INLINE V operator()(V x, V) const {
        return x;
    }
};

/// y[o, i] = combination over c of map(x[o, c, i], shift[o, i]); `shift` may be null (zeros) and may be `y`. `map`
/// works on vectors of lanes. A count of 0 gives the identity.
template <class Op, class Arch = simd::native, class T, class Map = AsIs>
void reduce(const ReduceGeometry& g, const T* x, const T* shift, T* y, const Map& map = {});

namespace detail {

/// Lanes side by side in the tree: lane j takes the elements j, j + 64, … (of float).
template <class T>
inline constexpr int tree_lanes = 256 / int(sizeof(T));
inline constexpr Index tree_steps = 16;         ///< elements a lane takes one after the other
inline constexpr Index tree_chunk = 64 * 1024;  ///< elements of one task; a power of two times all of the above
inline constexpr int tree_levels = 40;
inline constexpr int reduce_slot = 12;  ///< scratch of partial results
inline constexpr int column_slot = 13;  ///< scratch of column trees

/// Finished blocks of a tree, one lane array each: a binary counter in which equal sizes meet, so that the tree is
/// balanced. Its loops stay rolled: they run once in tree_steps.
template <class Op, class Arch, class T>
struct TreeCounter {
    static constexpr int lanes = tree_lanes<T>, levels = 24;
    unsigned blocks = 0;
    alignas(64) T held[levels][lanes];
    alignas(64) T fresh[lanes];

    T* slot() { return fresh; }
    void push() {
        int level = 0;
        for (; blocks >> level & 1u; ++level) merge(level);
        for (int i = 0; i < lanes; ++i) held[level][i] = fresh[i];
        ++blocks;
    }
    const T* total() {
        for (int level = 0; blocks >> level; ++level)
            if (blocks >> level & 1u) merge(level);
        return fresh;
    }
    void merge(int level) {
        for (int i = 0; i < lanes; i += simd::Vec<T, Arch>::width)
            simd::store(fresh + i, Op::combine(simd::load<Arch>(held[level] + i), simd::load<Arch>(fresh + i)));
    }
};

/// Combines term(i, count or FullTag) over [0, n), n at most tree_chunk or so, down to one vector of lanes. Lanes past
/// a count are ignored.
template <class Op, class Arch, class T, class Term>
LAMINA_INLINE simd::Vec<T, Arch> tree_lanes_reduce(Index n, Term&& term) {
    using V = simd::Vec<T, Arch>;
    constexpr int lanes = tree_lanes<T>, width = V::width, K = lanes / width;
    const V identity = Op::template identity<T>;
    V acc[K];
    TreeCounter<Op, Arch, T> finished;
    simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { acc[k] = identity; });
    Index i = 0;
    int steps = 0;
    for (; i + lanes <= n; i += lanes) {
        if (steps == tree_steps) {
            T* slot = finished.slot();
            simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
                simd::store(slot + k * width, acc[k]);
                acc[k] = identity;
            });
            finished.push();
            steps = 0;
        }
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
            acc[k] = Op::combine(acc[k], term(i + k * width, simd::FullTag<width>{}));
        });
        ++steps;
    }
    simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
        const Index at = i + k * width, left = n - at;
        if (left >= width) acc[k] = Op::combine(acc[k], term(at, simd::FullTag<width>{}));
        else if (left > 0)
            acc[k] = Op::combine(acc[k], select(simd::first_lanes<T, Arch>(left), term(at, left), identity));
    });
    if (finished.blocks) {
        T* slot = finished.slot();
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { simd::store(slot + k * width, acc[k]); });
        const T* total = finished.total();
        simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { acc[k] = simd::load<Arch>(total + k * width); });
    }
    simd::unroll<(K > 1 ? std::bit_width(unsigned(K)) - 1 : 0)>([&](auto fold) LAMINA_INLINE_LAMBDA {
        constexpr int half = K >> (fold + 1);
        simd::unroll<half>([&](auto k) LAMINA_INLINE_LAMBDA { acc[k] = Op::combine(acc[k], acc[k + half]); });
    });
    return acc[0];
}
/// The same down to one number, by halving the lanes.
template <class Op, class Arch, class T, class Term>
LAMINA_INLINE T tree_reduce(Index n, Term&& term) {
    return simd::reduce(tree_lanes_reduce<Op, Arch, T>(n, term),
                        [](auto a, auto b) LAMINA_INLINE_LAMBDA { return Op::combine(a, b); });
}

/// As many rows as lanes, each of n <= tree_lanes elements, at once: their lanes are halved in the same order, two rows
/// in one vector.
template <class Op, class Arch, class T, class Map>
LAMINA_INLINE void reduce_short_rows(Index n, const T* x, const T* shift, T* y, const Map& map) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width;
    const V identity = Op::template identity<T>;
    const auto shift_of = [&](int r) LAMINA_INLINE_LAMBDA { return V(shift ? shift[r] : T(0)); };
    const auto fold = [&](const auto& row) LAMINA_INLINE_LAMBDA {
        const V all = simd::fold_lanes<T, Arch>(row, [](V a, V b) LAMINA_INLINE_LAMBDA { return Op::combine(a, b); });
        simd::store(y, Op::combine(identity, all));
    };
    if (n == W) return fold([&](auto r) LAMINA_INLINE_LAMBDA { return map(simd::load<Arch>(x + r * W), shift_of(r)); });
    V rows[W];
    for (int r = 0; r < W; ++r) {
        const T* from = x + r * n;
        if (n < W)
            rows[r] =
                select(simd::first_lanes<T, Arch>(n), map(simd::load_partial<Arch>(from, n), shift_of(r)), identity);
        else
            rows[r] = tree_lanes_reduce<Op, Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                return map(simd::load_count<Arch>(from + i, count), shift_of(r));
            });
    }
    fold([&](auto r) LAMINA_INLINE_LAMBDA { return rows[r]; });
}

/// One row of n elements.
template <class Op, class Arch, class T, class Map>
T reduce_row(Index n, const T* x, T shift, const Map& map) {
    using V = simd::Vec<T, Arch>;
    const V s = shift;
    return tree_reduce<Op, Arch, T>(
        n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA { return map(simd::load_count<Arch>(x + i, count), s); });
}

template <class Op, class Arch, class T, class Map>
void reduce_rows(Index rows, Index n, const T* x, const T* shift, T* y, const Map& map) {
    if (n <= tree_chunk) {
        constexpr Index width = simd::Vec<T, Arch>::width;
        parallel::for_range(rows, (parallel::grain_for(n) + width - 1) / width * width, [&](Index begin, Index end) {
            Index r = begin;
            if (n <= tree_lanes<T>)
                for (; r + width <= end; r += width)
                    reduce_short_rows<Op, Arch>(n, x + r * n, shift ? shift + r : nullptr, y + r, map);
            for (; r < end; ++r) y[r] = reduce_row<Op, Arch>(n, x + r * n, shift ? shift[r] : T(0), map);
        });
        return;
    }
    const Index chunks = (n + tree_chunk - 1) / tree_chunk;
    T* partial = parallel::scratch<T>(rows * chunks, reduce_slot);
    parallel::for_each(rows * chunks, [&](Index task) {
        const Index r = task / chunks, at = task % chunks * tree_chunk;
        partial[task] = reduce_row<Op, Arch>(n - at < tree_chunk ? n - at : tree_chunk, x + r * n + at,
                                             shift ? shift[r] : T(0), map);
    });
    for (Index r = 0; r < rows; ++r) y[r] = reduce_row<Op, Arch>(chunks, partial + r * chunks, T(0), AsIs{});
}

/// `count` rows of `columns` elements, `stride` apart, into y: eight rows pairwise, eight such groups in order, then a
/// binary counter of those. `buffer` has room for tree_levels * columns elements.
template <class Op, class Arch, class T, class Map>
void reduce_columns_tile(Index count, Index columns, Index stride, const T* x, const T* shift, T* y, T* buffer,
                         const Map& map) {
    using V = simd::Vec<T, Arch>;
    constexpr Index block = 64, group = 8;
    const V identity = Op::template identity<T>;
    const auto level_of = [&](int level) { return buffer + (level + 1) * columns; };
    T* acc = buffer;
    Index row = 0;
    unsigned blocks = 0;
    const auto take_block = [&](Index rows) {
        Index done = 0;
        for (; done + group <= rows; done += group) {
            const T* from = x + (row + done) * stride;
            simd::row<Arch, T>(columns, [&](Index i, auto n) LAMINA_INLINE_LAMBDA {
                const V s = shift ? simd::load_count<Arch>(shift + i, n) : V(T(0));
                V v[group];
                simd::unroll<group>([&](auto k) LAMINA_INLINE_LAMBDA {
                    v[k] = map(simd::load_count<Arch>(from + k * stride + i, n), s);
                });
                const V sum = Op::combine(Op::combine(Op::combine(v[0], v[1]), Op::combine(v[2], v[3])),
                                          Op::combine(Op::combine(v[4], v[5]), Op::combine(v[6], v[7])));
                simd::store_count(acc + i, done ? Op::combine(simd::load_count<Arch>(acc + i, n), sum) : sum, n);
            });
        }
        for (; done < rows; ++done) {
            const T* from = x + (row + done) * stride;
            simd::row<Arch, T>(columns, [&](Index i, auto n) LAMINA_INLINE_LAMBDA {
                const V s = shift ? simd::load_count<Arch>(shift + i, n) : V(T(0));
                const V v = map(simd::load_count<Arch>(from + i, n), s);
                simd::store_count(acc + i, done ? Op::combine(simd::load_count<Arch>(acc + i, n), v) : v, n);
            });
        }
        row += rows;
    };
    const auto merge = [&](const T* held, T* to) {
        simd::row<Arch, T>(columns, [&](Index i, auto n) LAMINA_INLINE_LAMBDA {
            simd::store_count(to + i,
                              Op::combine(simd::load_count<Arch>(held + i, n), simd::load_count<Arch>(acc + i, n)), n);
        });
    };
    if (count == 0) {
        simd::row<Arch, T>(columns,
                           [&](Index i, auto n) LAMINA_INLINE_LAMBDA { simd::store_count(y + i, identity, n); });
        return;
    }
    while (row + block < count) {
        take_block(block);
        int level = 0;
        for (; blocks >> level & 1u; ++level) merge(level_of(level), acc);
        simd::for_each_vec<Arch>(
            columns, [](V v) LAMINA_INLINE_LAMBDA { return v; }, level_of(level), acc);
        ++blocks;
    }
    take_block(count - row);
    for (int level = 0; blocks >> level; ++level)
        if (blocks >> level & 1u) merge(level_of(level), acc);
    simd::for_each_vec<Arch>(
        columns, [](V v) LAMINA_INLINE_LAMBDA { return v; }, y, acc);
}

template <class Op, class Arch, class T, class Map>
void reduce_columns(const ReduceGeometry& g, const T* x, const T* shift, T* y, const Map& map) {
    constexpr Index tile = 1024;
    const Index tiles = (g.inner + tile - 1) / tile;
    const auto run = [&](Index parts, Index part_rows, const T* offsets, T* out) {
        const Index work = part_rows * (g.inner < tile ? g.inner : tile);
        parallel::for_range(g.outer * parts * tiles, parallel::grain_for(work), [&](Index begin, Index end) {
            T* buffer = parallel::scratch<T>(tree_levels * tile, column_slot);
            for (Index task = begin; task < end; ++task) {
                const Index at = task % tiles * tile, part = task / tiles % parts, o = task / tiles / parts;
                const Index first = part * part_rows, left = g.count - first;
                reduce_columns_tile<Op, Arch>(
                    left < part_rows ? left : part_rows, g.inner - at < tile ? g.inner - at : tile, g.inner,
                    x + (o * g.count + first) * g.inner + at, offsets ? offsets + o * g.inner + at : nullptr,
                    out + (o * parts + part) * g.inner + at, buffer, map);
            }
        });
    };
    constexpr Index most_parts = 32, few_tasks = 16;
    if (g.outer * tiles >= few_tasks || g.count * g.inner < 2 * tree_chunk) return run(1, g.count, shift, y);
    const Index part_rows = (g.count + most_parts - 1) / most_parts, parts = (g.count + part_rows - 1) / part_rows;
    T* partial = parallel::scratch<T>(g.outer * parts * g.inner, reduce_slot);
    run(parts, part_rows, shift, partial);
    for (Index o = 0; o < g.outer; ++o)
        for (Index at = 0; at < g.inner; at += tile)
            reduce_columns_tile<Op, Arch>(parts, g.inner - at < tile ? g.inner - at : tile, g.inner,
                                          partial + o * parts * g.inner + at, static_cast<const T*>(nullptr),
                                          y + o * g.inner + at, parallel::scratch<T>(tree_levels * tile, column_slot),
                                          AsIs{});
}

}  // namespace detail

template <class Op, class Arch, class T, class Map>
void reduce(const ReduceGeometry& g, const T* x, const T* shift, T* y, const Map& map) {
    if (g.outputs() == 0) return;
    if (g.inner == 1) detail::reduce_rows<Op, Arch>(g.outer, g.count, x, shift, y, map);
    else detail::reduce_columns<Op, Arch>(g, x, shift, y, map);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
