#pragma once
// The register tile: up to 14 rows by two vectors of C held in registers over all of k. A is read in place, one
// broadcast a row and step; B comes from a packed panel or, for whole vectors, from where it is.
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/simd/row.hpp>

#include <utility>

// Unrolled loops over constants keep `sum` in registers under GCC and Clang, at half the compile time of lambdas.
#define LAMINA_UNROLL _Pragma("GCC unroll 32")

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Rows of the largest tile: as many as leave registers for two vectors of B and one element of A.
template <class Arch>
inline constexpr int tile_rows = Arch::bytes == 64   ? 14
                                 : Arch::bytes == 32 ? 6
                                                     : 4;
#if defined(LAMINA_ISA_NEON64)
template <>
inline constexpr int tile_rows<simd::neon64> = 12;
#endif
/// Vectors of the widest tile.
inline constexpr int tile_vectors = 2;
/// Columns of the widest tile, and of a packed panel.
template <class Arch, class T>
inline constexpr Index panel_columns = Index(tile_vectors) * simd::Vec<T, Arch>::width;

/// Lines that a tile fetches ahead at a time.
inline constexpr int fetch_lines = 4;

/// The operands of one row tile over a number of panels.
template <class T>
struct TileTask {
    const T* a;
    Index a_row, a_step;  ///< elements from row to row, and from one k to the next
    const T* b;
    Index b_step, b_panel;  ///< elements from one k to the next, and from panel to panel
    T* c;
    Index c_stride, k, panels, columns;  ///< columns of every panel
    bool accumulate;
    Index stretch;                             ///< how much of k passes between two rounds of fetching ahead:
    const T* fetch;                            ///< what a later tile reads, four lines `fetch_row` apart,
    Index fetch_row, fetch_step, fetch_panel;  ///< further on by `fetch_step` each round, `fetch_panel` each panel
    T* next_c;                                 ///< what is written after the last panel, fetched a row each round
    T* keep;                                   ///< where a packing tile leaves the panels of B that it reads
};

/// All panels in one call: a store that waits holds up the calls and spills behind it, but not the next panel's sums.
template <class Arch, class T, int Rows, int Vectors, bool Packs = false>
void gemm_tile(const TileTask<T>& g) {
    using V = simd::Vec<T, Arch>;
    constexpr int width = V::width, bases = (Rows + 2) / 3;
    constexpr int line = 64 / int(sizeof(T)), lines = Vectors * width > line ? Vectors * width / line : 1;
    T* keep = g.keep;
    for (Index panel = 0; panel < g.panels; ++panel) {
        // One base for three rows: x86 addresses base, +stride, +2 stride, and 14 pointers would not fit the registers.
        const T* row[bases];
        LAMINA_UNROLL
        for (int q = 0; q < bases; ++q) row[q] = g.a + 3 * q * g.a_row;
        V sum[Rows][Vectors];
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            LAMINA_UNROLL
            for (int j = 0; j < Vectors; ++j) sum[i][j] = V(T(0));
        }
        const Index a_row = g.a_row, a_step = g.a_step, b_step = g.b_step;
        const T* b = g.b + panel * g.b_panel;
        // A burst of prefetches would hold up the loads of B: a few at a time, all along k. What they need is read anew
        // in each round, because the loop within has use for all registers.
        const volatile TileTask<T>& later = g;
        Index round = 0;
        for (Index rest = g.k; rest > 0; ++round) {
            Index steps = later.stretch;
            steps = rest < steps ? rest : steps;
            rest -= steps;
            const Index fetch_row = later.fetch_row;
            const T* fetch = later.fetch + panel * later.fetch_panel + round * later.fetch_step;
            LAMINA_UNROLL
            for (int q = 0; q < fetch_lines; ++q) simd::prefetch(fetch + q * fetch_row);
            const T* next_c = panel + 1 < later.panels ? later.c + (panel + 1) * (Vectors * width) : later.next_c;
            next_c += (round < Rows ? round : Rows - 1) * later.c_stride;
            LAMINA_UNROLL
            for (int j = 0; j < lines; ++j) simd::prefetch_write(next_c + j * line);
            _Pragma("GCC unroll 1") for (; steps > 0; --steps, b += b_step) {
                V bv[Vectors];
                LAMINA_UNROLL
                for (int j = 0; j < Vectors; ++j) bv[j] = simd::load<Arch>(b + j * width);
                if constexpr (Arch::bytes < 64) {  // wide tiles have no register left for the address
                    LAMINA_UNROLL
                    for (int j = 0; j < lines; ++j) simd::prefetch(b + 8 * b_step + j * line);
                }
                if constexpr (Packs) {  // the first to read B, by rows: the next panel lies beside this one
                    LAMINA_UNROLL
                    for (int j = 0; j < lines; ++j) simd::prefetch(b + Vectors * width + j * line);
                    LAMINA_UNROLL
                    for (int j = 0; j < Vectors; ++j) simd::store(keep + j * width, bv[j]);
                    keep += Vectors * width;
                }
                LAMINA_UNROLL
                for (int i = 0; i < Rows; ++i) {
                    const V av = simd::broadcast<Arch>(row[i / 3] + i % 3 * a_row);
                    LAMINA_UNROLL
                    for (int j = 0; j < Vectors; ++j) sum[i][j] = fma(av, bv[j], sum[i][j]);
                }
                LAMINA_UNROLL
                for (int q = 0; q < bases; ++q) row[q] += a_step;
            }
        }
        const int tail = int(g.columns) - (Vectors - 1) * width;
        T* c = g.c + panel * (Vectors * width);
        if (g.accumulate) {
            LAMINA_UNROLL
            for (int i = 0; i < Rows; ++i) {
                LAMINA_UNROLL
                for (int j = 0; j < Vectors; ++j)
                    sum[i][j] +=
                        simd::load_partial<Arch>(c + i * g.c_stride + j * width, j + 1 < Vectors ? width : tail);
            }
        }
        if (tail == width) {
            LAMINA_UNROLL
            for (int i = 0; i < Rows; ++i, c += g.c_stride) {
                LAMINA_UNROLL
                for (int j = 0; j < Vectors; ++j) simd::store(c + j * width, sum[i][j]);
            }
        } else {
            LAMINA_UNROLL
            for (int i = 0; i < Rows; ++i, c += g.c_stride) {
                LAMINA_UNROLL
                for (int j = 0; j + 1 < Vectors; ++j) simd::store(c + j * width, sum[i][j]);
                simd::store_partial(c + (Vectors - 1) * width, sum[i][Vectors - 1], tail);
            }
        }
    }
}

template <class T>
using TileFunction = void (*)(const TileTask<T>&);

template <class Arch, class T, int Vectors, int... Rows>
TileFunction<T> tile_of(Index rows, std::integer_sequence<int, Rows...>) {
    static constexpr TileFunction<T> table[] = {&gemm_tile<Arch, T, Rows + 1, Vectors>...};
    return table[rows - 1];
}
/// The tile for this many rows (at least 1) and columns (at least 1, at most panel_columns).
template <class Arch, class T>
TileFunction<T> tile_for(Index rows, Index columns) {
    constexpr std::make_integer_sequence<int, tile_rows<Arch>> all{};
    return columns > simd::Vec<T, Arch>::width ? tile_of<Arch, T, 2>(rows, all) : tile_of<Arch, T, 1>(rows, all);
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
#undef LAMINA_UNROLL
