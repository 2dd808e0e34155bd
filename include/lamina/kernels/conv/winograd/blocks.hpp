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

/// All tiles of M x M outputs, in blocks of at most `limit` tiles.
struct TileGrid {
    Index down, across, batch;    ///< tiles of one image, and images
    Index unit;                   ///< a part of a row is whole units of tiles: it begins at a cache line of the plane
    Index parts;                  ///< blocks that a row of tiles is cut into
    Index row_blocks, per_image;  ///< pieces that all rows are cut into; rows of one image

    TileGrid(const Conv2dGeometry& g, Index outputs, Index limit)
        : down(ceil_div(g.out_h, outputs)),
          across(ceil_div(g.out_w, outputs)),
          batch(g.batch),
          unit(limit >= 16 / outputs ? 16 / outputs : 1),
          parts(across > limit ? ceil_div(ceil_div(across, unit), limit / unit) : 1),
          row_blocks(parts > 1 ? batch * down : ceil_div(batch * down, larger(1, limit / across))),
          per_image(down) {}

    Index blocks() const { return row_blocks * parts; }
    TileBlock block(Index i) const {
        const Piece units = piece(ceil_div(across, unit), parts, i % parts);
        return {piece(batch * down, row_blocks, i / parts), {units.begin * unit, smaller(units.end * unit, across)}};
    }
    /// Tiles of the largest block.
    Index most() const { return block(0).tiles(); }
};

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
