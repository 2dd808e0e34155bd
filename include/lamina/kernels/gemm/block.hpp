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
    static constexpr Index packed_depth = 1280;       ///< most k in one pass over packed B
    static constexpr Index direct_depth = 320;        ///< and over B in place
    static constexpr Index direct_rows = 112;         ///< most rows for which packing B does not pay
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

/// Reads B in place? Decided by the whole product's shape, so that every split of it gives the same bits.
template <class T>
bool reads_in_place(const GemmProblem<T>& g) {
    const auto [m, n, k] = g.shape;
    return g.b.in_place != nullptr &&
           (m <= GemmPolicy::direct_rows || n * k * Index(sizeof(T)) <= GemmPolicy::direct_bytes);
}

/// Rows this far apart crowd into a few sets of the first-level cache and push one another out.
template <class T>
constexpr bool crowds_cache(Index stride) {
    return stride * Index(sizeof(T)) % 2048 == 0;
}

/// Where A is worth a copy: transposed, a tile would touch a cache line for each k; crowded, it would not stay in L1.
template <class T>
bool copies_a(const MatrixView<T>& a, Index panels) {
    return panels > 2 && (a.column_stride != 1 || crowds_cache<T>(a.row_stride));
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

/// One tile's worth of C, and the epilogue if this pass over k is the last.
template <class Arch, class T>
void run_tile(const GemmProblem<T>& g, TileTask<T>& task, Piece rows, Piece columns, bool last) {
    task.c = g.c + rows.begin * g.c_stride + columns.begin;
    task.columns = columns.size();
    tile_for<Arch, T>(rows.size(), columns.size())(task);
    if (last && g.epilogue.apply) g.epilogue.apply(g.epilogue.self, g.c, g.c_stride, rows, columns);
}

/// Panels outside, row tiles inside, B in place but for a last panel that is not whole.
template <class Arch, class T>
void direct_block(const GemmProblem<T>& g, Piece rows, Piece columns) {
    constexpr Index panel = panel_columns<Arch, T>;
    const Index k = g.shape.k, passes = larger(1, ceil_div(k, GemmPolicy::direct_depth));
    const Index tiles = ceil_div(rows.size(), tile_rows<Arch>);
    TileTask<T> task{};
    task.c_stride = g.c_stride;
    const bool copy_a = copies_a(g.a, ceil_div(columns.size(), panel));
    const Index copy_size = tile_rows_size<T>(tile_rows<Arch>, ceil_div(k, passes));
    for (Index pass = 0; pass < passes; ++pass) {
        const Piece depth = piece(k, passes, pass);
        task.k = depth.size();
        task.accumulate = g.accumulate || pass > 0;
        T* copy = copy_a ? parallel::scratch<T>(tiles * copy_size, GemmPolicy::a_slot) : nullptr;
        for (Index j = columns.begin; j < columns.end; j += panel) {
            const Piece part{j, smaller(j + panel, columns.end)};
            const Index width = panel_width<Arch, T>(part.size());
            if (part.size() == width) {
                task.b = g.b.in_place + depth.begin * g.b.stride + j;
                task.b_step = g.b.stride;
                task.b_ahead = 8 * g.b.stride;
            } else {
                T* packed = parallel::scratch<T>(width * depth.size(), GemmPolicy::panel_slot);
                g.b.fill(g.b.self, packed, depth, part, width);
                task.b = packed;
                task.b_step = width;
                task.b_ahead = 0;
            }
            for (Index t = 0; t < tiles; ++t) {
                const Piece r = piece(rows.size(), tiles, t);
                const Piece tile{rows.begin + r.begin, rows.begin + r.end};
                take_a<Arch>(g.a, tile, depth, copy ? copy + t * copy_size : nullptr, j == columns.begin, task);
                run_tile<Arch>(g, task, tile, part, pass + 1 == passes);
            }
        }
    }
}

/// Row tiles outside, panels of packed B inside.
template <class Arch, class T>
void packed_block(const GemmProblem<T>& g, Piece rows, Piece columns) {
    constexpr Index panel = panel_columns<Arch, T>;
    const Index k = g.shape.k, passes = larger(1, ceil_div(k, GemmPolicy::packed_depth));
    const Index deepest = ceil_div(k, passes);
    const Index block_panels = larger(1, GemmPolicy::block_bytes / Index(sizeof(T)) / panel / larger(1, deepest));
    const Index blocks = ceil_div(columns.size(), block_panels * panel);
    const Index tiles = ceil_div(rows.size(), tile_rows<Arch>);
    TileTask<T> task{};
    task.c_stride = g.c_stride;
    const Index all_panels = ceil_div(columns.size(), panel);
    for (Index block = 0; block < blocks; ++block) {
        const Piece panels = piece(all_panels, blocks, block);
        const Piece part{columns.begin + panels.begin * panel,
                         smaller(columns.begin + panels.end * panel, columns.end)};
        T* copy = nullptr;
        if (copies_a(g.a, panels.size()))
            copy = parallel::scratch<T>(tile_rows_size<T>(tile_rows<Arch>, deepest), GemmPolicy::a_slot);
        for (Index pass = 0; pass < passes; ++pass) {
            const Piece depth = piece(k, passes, pass);
            T* scratch = nullptr;
            if (!g.b.packed) {
                scratch = parallel::scratch<T>(panels.size() * panel * depth.size(), GemmPolicy::panel_slot);
                for (Index j = part.begin; j < part.end; j += panel) {
                    const Piece one{j, smaller(j + panel, part.end)};
                    g.b.fill(g.b.self, scratch + (j - part.begin) * depth.size(), depth, one,
                             panel_width<Arch, T>(one.size()));
                }
            }
            task.k = depth.size();
            task.accumulate = g.accumulate || pass > 0;
            for (Index t = 0; t < tiles; ++t) {
                const Piece r = piece(rows.size(), tiles, t);
                const Piece tile{rows.begin + r.begin, rows.begin + r.end};
                take_a<Arch>(g.a, tile, depth, copy, true, task);
                for (Index j = part.begin; j < part.end; j += panel) {
                    const Piece one{j, smaller(j + panel, part.end)};
                    const Index width = panel_width<Arch, T>(one.size());
                    task.b =
                        scratch ? scratch + (j - part.begin) * depth.size() : g.b.packed + j * k + depth.begin * width;
                    task.b_step = width;
                    task.b_ahead = 16 * width;
                    run_tile<Arch>(g, task, tile, one, pass + 1 == passes);
                }
            }
        }
    }
}

/// C's `rows` x `columns` on this thread; columns begin at a multiple of the panel.
template <class Arch, class T>
void gemm_block(const GemmProblem<T>& g, Piece rows, Piece columns) {
    if (rows.size() <= 0 || columns.size() <= 0) return;
    if (reads_in_place(g)) direct_block<Arch>(g, rows, columns);
    else packed_block<Arch>(g, rows, columns);
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
