#pragma once
// How the outputs of a convolution are cut into tiles, and the tiles into blocks whose transforms stay in the cache:
// whole rows of tiles, over several images where these are small, or a part of one row where it is wide.
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Output channels of one panel of weights: two vectors.
template <class Arch, class T>
inline constexpr Index winograd_panel = 2 * Index(simd::Vec<T, Arch>::width);

/// Elements of one cache line. Strides between frequencies get one more, or a power of two would make all frequencies
/// meet in the same cache set.
template <class T>
inline constexpr Index winograd_line = 64 / Index(sizeof(T));

/// Part of a row of tiles of one image; its first tile is number `first` of the block.
struct TileRow {
    Index image, row;
    Piece columns;
    Index first;
};

/// Rows of tiles, counted through all images, and the columns of tiles that are taken of each.
struct TileBlock {
    Piece rows, columns;

    Index tiles() const { return rows.size() * columns.size(); }
    TileRow at(Index i, Index rows_per_image) const {
        const Index row = rows.begin + i;
        return {row / rows_per_image, row % rows_per_image, columns, i * columns.size()};
    }
};

/// Piece i of `parts` pieces of [0, n), the longer ones spread evenly: neighbouring pieces share work well.
constexpr Piece even_piece(Index n, Index parts, Index i) { return {i * n / parts, (i + 1) * n / parts}; }

/// All tiles of M x M outputs, in blocks of at most `limit` tiles; as many as `threads`, or a multiple, where possible.
struct TileGrid {
    Index down, across, rows;  ///< tiles of one image, and rows of tiles of all images
    Index unit;                ///< a part of a row is whole units of tiles: it begins at a cache line of the plane
    Index parts, row_blocks;   ///< that a row of tiles is cut into, and pieces that all rows are cut into

    TileGrid(const Conv2dGeometry& g, Index outputs, Index limit, Index threads = 1)
        : down(ceil_div(g.out_h, outputs)),
          across(ceil_div(g.out_w, outputs)),
          rows(g.batch * down),
          unit(limit >= 16 / outputs ? 16 / outputs : 1),
          parts(across > limit ? ceil_div(ceil_div(across, unit), limit / unit) : 1),
          row_blocks(parts > 1 ? rows : smaller(rows, round_up(ceil_div(rows, limit / across), threads))) {}

    Index blocks() const { return row_blocks * parts; }
    TileBlock block(Index i) const {
        const Piece units = even_piece(ceil_div(across, unit), parts, i % parts);
        return {even_piece(rows, row_blocks, i / parts), {units.begin * unit, smaller(units.end * unit, across)}};
    }
    /// At least the tiles of the largest block.
    Index most() const {
        return ceil_div(rows, row_blocks) * smaller(ceil_div(ceil_div(across, unit), parts) * unit, across);
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
