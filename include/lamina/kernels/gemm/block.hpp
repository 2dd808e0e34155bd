#pragma once
// The loops around the register tile for one thread's part of C. Enough rows: B is packed, a block that fits half of
// the second-level cache at a time, and every row tile sweeps it, so that C is written in order and A is read from
// memory once a block. Few rows: B is read where it is, panel by panel, each panel once.
#include <lamina/kernels/gemm/epilogue.hpp>
#include <lamina/kernels/gemm/pack.hpp>
#include <lamina/parallel/scratch.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Sizes in bytes are of this library's choosing, not read from the machine: results must not depend on it.
struct GemmPolicy {
    static constexpr Index block_bytes = 512 << 10;   ///< of packed B that all row tiles sweep
    static constexpr Index packed_depth = 5120;       ///< most bytes of k in one pass over packed B
    static constexpr Index crowded_depth = 2560;      ///< where rows of A are copied because they crowd the cache
    static constexpr Index turned_depth = 1280;       ///< where A is transposed: the copy of a tile stays in L1
    static constexpr Index direct_depth = 5120;       ///< and over B in place
    static constexpr Index cached_bytes = 64 << 10;   ///< of all operands, below which they are taken to be cached
    static constexpr Index fetch_depth = 48;          ///< least k for which fetching ahead for the next tile pays
    static constexpr Index direct_rows = 28;          ///< most rows for which packing B does not pay
    static constexpr Index direct_bytes = 48 << 10;   ///< or B is so small that packing never pays
    static constexpr int panel_slot = 8, a_slot = 9;  ///< of parallel::scratch
};

/// Everything about one product but its part of C.
template <class T>
struct GemmProblem {
    GemmShape shape;
    MatrixView<T> a;
    PanelSource<T> b;
    T* c;
    Index c_stride;
    bool accumulate;
    TileEpilogue<T> epilogue;
};

/// What happens to B. Decided by the whole product's shape, so that every split of it gives the same bits.
enum class Traversal {
    panels,    ///< few rows: B in place, each panel once for all row tiles
    in_place,  ///< little of B: in place, all of it for each row tile
    packed     ///< packed, or packed before
};
template <class T>
Traversal traversal(const GemmProblem<T>& g) {
    const auto [m, n, k] = g.shape;
    if (!g.b.in_place) return Traversal::packed;
    if (n * k * Index(sizeof(T)) <= GemmPolicy::direct_bytes) return Traversal::in_place;
    return m <= GemmPolicy::direct_rows ? Traversal::panels : Traversal::packed;
}

/// Rows this far apart crowd into a few sets of the first-level cache and push one another out.
template <class T>
constexpr bool crowds_cache(Index stride) {
    return stride * Index(sizeof(T)) % 2048 == 0;
}

/// Where A is worth a copy: transposed, a tile would touch a cache line for each k; crowded, it would not stay in L1.
template <class T>
bool copies_a(const MatrixView<T>& a, Index panels) {
    return a.column_stride != 1 ? panels > 2 : crowds_cache<T>(a.row_stride);
}

/// Elements that copy_tile_rows needs for `rows` x `depth`.
template <class T>
constexpr Index tile_rows_size(Index rows, Index depth) {
    return rows * (depth + 32) + 32;
}

/// Copies rows x depth of A, of contiguous rows, to rows `stride` apart; else side by side for each k.
template <class Arch, class T>
void copy_rows(MatrixView<T> a, Piece rows, Piece depth, T* to, Index stride) {
    const T* from = a.at(rows.begin, depth.begin);
    const Index count = rows.size(), k = depth.size();
    if (a.column_stride == 1) {
        for (Index i = 0; i < count; ++i)
            simd::for_each_vec<Arch>(
                k, [](auto x) LAMINA_INLINE_LAMBDA { return x; }, to + i * stride, from + i * a.row_stride);
    } else if (a.row_stride == 1 && count <= simd::Vec<T, Arch>::width) {
        // Stores a whole vector; the next step overwrites what is too much.
        for (Index p = 0; p < k; ++p, from += a.column_stride, to += count)
            simd::store(to, simd::load_partial<Arch>(from, count));
    } else {
        for (Index p = 0; p < k; ++p, from += a.column_stride, to += count)
            for (Index i = 0; i < count; ++i) to[i] = from[i * a.row_stride];
    }
}

/// Points the task at a row tile of A: in place when `copy` is null, else at the copy, made here when `fill`.
template <class Arch, class T>
void take_a(const MatrixView<T>& a, Piece rows, Piece depth, T* copy, bool fill, TileTask<T>& task) {
    if (!copy) {
        task.a = a.at(rows.begin, depth.begin);
        task.a_row = a.row_stride;
        task.a_step = a.column_stride;
        return;
    }
    const bool whole_rows = a.column_stride == 1;
    const Index stride = round_up(depth.size(), 16);
    task.a = copy;
    task.a_row = whole_rows ? stride + (crowds_cache<T>(stride) ? 16 : 0) : 1;
    task.a_step = whole_rows ? 1 : rows.size();
    if (fill) copy_rows<Arch>(a, rows, depth, copy, task.a_row);
}

/// How far apart the rounds of fetching ahead are: a row of C each, but not more than a line of A. One round where all
/// operands are likely to be in the cache, or k is too short to hide more.
template <class Arch, class T>
Index stretch_of(const GemmShape& g, Index k) {
    const bool cached = (g.m * g.n + g.m * g.k + g.k * g.n) * Index(sizeof(T)) <= GemmPolicy::cached_bytes;
    if (cached || k < GemmPolicy::fetch_depth) return larger(1, k);
    return larger(4, smaller(ceil_div(k, tile_rows<Arch>), 64 / Index(sizeof(T))));
}

/// The epilogue, if there is one and this pass over k is the last.
template <class T>
void finish(const GemmProblem<T>& g, Piece rows, Piece columns, bool last) {
    if (last && g.epilogue.apply) g.epilogue.apply(g.epilogue.self, g.c, g.c_stride, rows, columns);
}

/// Panels outside, row tiles inside, B in place but for a last panel that is not whole.
template <class Arch, class T>
void direct_block(const GemmProblem<T>& g, Piece rows, Piece columns) {
    constexpr Index panel = panel_columns<Arch, T>;
    const Index k = g.shape.k, passes = larger(1, ceil_div(k, GemmPolicy::direct_depth / Index(sizeof(T))));
    const Index tiles = ceil_div(rows.size(), tile_rows<Arch>);
    TileTask<T> task{};
    task.c_stride = g.c_stride;
    task.panels = 1;
    const bool copy_a = copies_a(g.a, ceil_div(columns.size(), panel));
    const Index copy_size = tile_rows_size<T>(tile_rows<Arch>, ceil_div(k, passes));
    for (Index pass = 0; pass < passes; ++pass) {
        const Piece depth = piece(k, passes, pass);
        task.k = depth.size();
        task.stretch = stretch_of<Arch, T>(g.shape, task.k);
        task.accumulate = g.accumulate || pass > 0;
        T* copy = copy_a ? parallel::scratch<T>(tiles * copy_size, GemmPolicy::a_slot) : nullptr;
        for (Index j = columns.begin; j < columns.end; j += panel) {
            const Piece part{j, smaller(j + panel, columns.end)};
            const Index width = panel_width<Arch, T>(part.size());
            if (part.size() == width) {
                task.b = g.b.in_place + depth.begin * g.b.stride + j;
                task.b_step = g.b.stride;
            } else {
                T* packed = parallel::scratch<T>(width * depth.size(), GemmPolicy::panel_slot);
                g.b.fill(g.b.self, packed, depth, part, width);
                task.b = packed;
                task.b_step = width;
            }
            for (Index t = 0; t < tiles; ++t) {
                const Piece r = piece(rows.size(), tiles, t);
                const Piece tile{rows.begin + r.begin, rows.begin + r.end};
                take_a<Arch>(g.a, tile, depth, copy ? copy + t * copy_size : nullptr, j == columns.begin, task);
                task.fetch = task.a;
                task.c = g.c + tile.begin * g.c_stride + j;
                task.columns = part.size();
                task.next_c = t + 1 < tiles ? g.c + tile.end * g.c_stride + j : task.c;
                tile_for<Arch, T>(tile.size(), part.size())(task);
                finish(g, tile, part, pass + 1 == passes);
            }
        }
    }
}

/// Row tiles outside, panels of packed B inside.
template <class Arch, class T>
class PackedBlock {
public:
    PackedBlock(const GemmProblem<T>& g, Piece rows, Piece columns)
        : g_(g),
          rows_(rows),
          passes_(larger(1, ceil_div(g.shape.k, packed_depth(g)))),
          // A tile that reads B in place and keeps it as a panel is compiled for whole row tiles only.
          in_place_(traversal(g) == Traversal::in_place),
          packs_in_tile_(g.b.in_place && !in_place_ && rows.size() > tile_rows<Arch>),
          tiles_(ceil_div(rows.size(), tile_rows<Arch>)) {
        const Index deepest = ceil_div(g.shape.k, passes_), panels = ceil_div(columns.size(), panel);
        const Index most = larger(1, GemmPolicy::block_bytes / Index(sizeof(T)) / panel / larger(1, deepest));
        const Index blocks = ceil_div(panels, most);
        for (Index block = 0; block < blocks; ++block) {
            const Piece p = piece(panels, blocks, block);
            columns_ = {columns.begin + p.begin * panel, smaller(columns.begin + p.end * panel, columns.end)};
            copy_ = copies_a(g.a, p.size())
                        ? parallel::scratch<T>(tile_rows_size<T>(tile_rows<Arch>, deepest), GemmPolicy::a_slot)
                        : nullptr;
            for (pass_ = 0; pass_ < passes_; ++pass_) run_pass();
        }
    }

private:
    static constexpr Index panel = panel_columns<Arch, T>, line = 64 / Index(sizeof(T));

    static Index packed_depth(const GemmProblem<T>& g) {
        const Index bytes = g.a.column_stride != 1            ? GemmPolicy::turned_depth
                            : crowds_cache<T>(g.a.row_stride) ? GemmPolicy::crowded_depth
                                                              : GemmPolicy::packed_depth;
        return bytes / Index(sizeof(T));
    }
    bool whole(Index j) const { return columns_.end - j >= panel; }
    Piece panel_at(Index j) const { return {j, smaller(j + panel, columns_.end)}; }
    T* panel_data(Index j) const { return panels_ + (j - columns_.begin) * depth_.size(); }
    Piece tile_at(Index t) const {
        if (!packs_in_tile_) return offset(piece(rows_.size(), tiles_, t), rows_.begin);
        if (t == 0) return {rows_.begin, rows_.begin + tile_rows<Arch>};
        return offset(piece(rows_.size() - tile_rows<Arch>, tiles_ - 1, t - 1), rows_.begin + tile_rows<Arch>);
    }
    static Piece offset(Piece p, Index by) { return {p.begin + by, p.end + by}; }

    void run_pass() {
        depth_ = piece(g_.shape.k, passes_, pass_);
        if (!g_.b.packed) {
            const Index panels = ceil_div(columns_.size(), panel);
            panels_ = parallel::scratch<T>(panels * panel * depth_.size(), GemmPolicy::panel_slot);
            for (Index j = columns_.begin; j < columns_.end; j += panel)
                if (!(whole(j) && (in_place_ || packs_in_tile_)))
                    g_.b.fill(g_.b.self, panel_data(j), depth_, panel_at(j), panel_width<Arch, T>(panel_at(j).size()));
        }
        for (Index t = 0; t < tiles_; ++t) run_row(t);
    }

    void run_row(Index t) {
        const Piece tile = tile_at(t);
        TileTask<T> task{};
        task.c_stride = g_.c_stride;
        task.k = depth_.size();
        task.accumulate = g_.accumulate || pass_ > 0;
        take_a<Arch>(g_.a, tile, depth_, copy_, true, task);
        task.stretch = stretch_of<Arch, T>(g_.shape, task.k);
        fetch_next_a(t + 1 < tiles_ ? tile_at(t + 1) : tile, task);
        task.c = g_.c + tile.begin * g_.c_stride + columns_.begin;
        task.next_c = t + 1 < tiles_ ? g_.c + tile.end * g_.c_stride + columns_.begin : task.c;
        const Index whole_panels = columns_.size() / panel, rest = columns_.size() % panel;
        if (whole_panels > 0) {
            const bool packs = t == 0 && packs_in_tile_;
            task.panels = whole_panels;
            task.columns = panel;
            task.keep = panels_;
            if (packs || in_place_) {
                task.b = g_.b.in_place + depth_.begin * g_.b.stride + columns_.begin;
                task.b_step = g_.b.stride;
                task.b_panel = panel;
            } else take_packed(columns_.begin, panel, task);
            (packs ? gemm_tile<Arch, T, tile_rows<Arch>, tile_vectors, true>
                   : tile_for<Arch, T>(tile.size(), panel))(task);
        }
        if (rest > 0) {
            task.panels = 1;
            task.columns = rest;
            task.c += whole_panels * panel;
            take_packed(columns_.end - rest, panel_width<Arch, T>(rest), task);
            tile_for<Arch, T>(tile.size(), rest)(task);
        }
        finish(g_, tile, columns_, pass_ + 1 == passes_);
    }
    void take_packed(Index j, Index width, TileTask<T>& task) const {
        const Index k = g_.b.packed ? g_.shape.k : depth_.size();
        task.b = g_.b.packed ? g_.b.packed + j * k + depth_.begin * width : panel_data(j);
        task.b_step = width;
        task.b_panel = panel * k;
    }

    /// Spreads the lines of the next row tile of A over the panels of this one.
    void fetch_next_a(Piece next, TileTask<T>& task) const {
        const bool whole_rows = g_.a.column_stride == 1;
        const Index lines = whole_rows ? tile_rows<Arch> : line;
        // Where columns lie side by side, this tile has touched the line that the next one begins in.
        task.fetch = g_.a.at(whole_rows ? next.begin : next.end - 1, depth_.begin);
        task.fetch_row = whole_rows ? g_.a.row_stride : g_.a.column_stride;
        task.fetch_step = task.stretch * g_.a.column_stride;
        task.fetch_panel = smaller(fetch_lines, ceil_div(lines, ceil_div(columns_.size(), panel))) * task.fetch_row;
    }

    const GemmProblem<T>& g_;
    Piece rows_;
    Index passes_;
    bool in_place_, packs_in_tile_;
    Index tiles_;
    Piece columns_{}, depth_{};
    T *copy_ = nullptr, *panels_ = nullptr;
    Index pass_ = 0;
};

/// C's `rows` x `columns` on this thread; columns begin at a multiple of the panel.
template <class Arch, class T>
void gemm_block(const GemmProblem<T>& g, Piece rows, Piece columns) {
    if (rows.size() <= 0 || columns.size() <= 0) return;
    if (traversal(g) == Traversal::panels) direct_block<Arch>(g, rows, columns);
    else PackedBlock<Arch, T>(g, rows, columns);
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
