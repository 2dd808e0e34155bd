#pragma once
// Panels of queries: two vectors of them side by side, features one behind the other. With queries as lanes the maximum
// and the sum of a softmax are vertical, no lane is lost to odd widths, and K and V are read as they lie: both products
// are the register tile of the matrix product, whose rows are keys in S^T = K Q^T and features in O^T = V^T P^T.
#include <lamina/kernels/attention/exp2.hpp>
#include <lamina/kernels/attention/mask.hpp>
#include <lamina/kernels/gemm/block.hpp>
#include <lamina/simd/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Hands out pieces of one scratch buffer, each beginning at a whole cache line.
template <class T>
struct Carver {
    T* next;
    static constexpr Index rounded(Index count) { return round_up(count, 64 / Index(sizeof(T))); }
    T* take(Index count) {
        T* const out = next;
        next += rounded(count);
        return out;
    }
};

/// Rows that will be wanted soon. The tiles of the products in between fetch them, a few lines at a time: a whole burst
/// would hold up their own loads.
template <class T>
class FetchAhead {
public:
    void clear() { count_ = at_ = row_ = line_ = 0; }
    void add(const T* data, Index stride, Index rows, Index width) {
        if (rows > 0 && width > 0) areas_[count_++] = {data, stride, rows, ceil_div(width, line)};
    }
    /// Gives a tile what it can fetch: rows of one column of lines.
    void hand_to(TileTask<T>& tile) {
        if (at_ == count_ || tile.k == 0) return;
        const Area& area = areas_[at_];
        const Index wanted = ceil_div(area.rows - row_, fetch_lines);
        tile.stretch = larger(4, ceil_div(tile.k, wanted));
        tile.fetch = area.data + row_ * area.stride + line_ * line;
        tile.fetch_row = area.stride;
        tile.fetch_step = fetch_lines * area.stride;
        row_ += fetch_lines * ceil_div(tile.k, tile.stretch);
        if (row_ < area.rows) return;
        row_ = 0;
        if (++line_ < area.lines) return;
        line_ = 0;
        ++at_;
    }

private:
    static constexpr Index line = 64 / Index(sizeof(T)), most = 8;
    struct Area {
        const T* data;
        Index stride, rows, lines;
    };
    Area areas_[most];
    Index count_ = 0, at_ = 0, row_ = 0, line_ = 0;
};

/// c [rows, columns] (+)= a [rows, k] b for one panel b [k, columns], or for `panels` neighbouring ones.
template <class T>
struct PanelProduct {
    MatrixView<T> a;
    Index rows, k;
    const T* b;
    Index b_stride, columns;
    T* c;
    Index c_stride;
    bool accumulate;
    FetchAhead<T>* ahead = nullptr;
};
template <class Arch, class T>
void multiply_panel(const PanelProduct<T>& p) {
    const Index tiles = ceil_div(p.rows, tile_rows<Arch>);
    TileTask<T> task{};
    task.a_row = p.a.row_stride;
    task.a_step = p.a.column_stride;
    task.b = p.b;
    task.b_step = p.b_stride;
    task.c_stride = p.c_stride;
    task.k = p.k;
    task.panels = 1;
    task.columns = p.columns;
    task.accumulate = p.accumulate;
    for (Index t = 0; t < tiles; ++t) {
        const Piece rows = piece(p.rows, tiles, t);
        task.a = p.a.at(rows.begin, 0);
        // A row of C each round, and four lines of the rows of A that come next, unless others are more urgent.
        task.stretch = larger(4, smaller(ceil_div(p.k, tile_rows<Arch>), 64 / Index(sizeof(T))));
        task.fetch = p.a.at(smaller(rows.end, p.rows - 1), 0);
        task.fetch_row = 64 / Index(sizeof(T));
        task.fetch_step = p.a.column_stride == 1 ? fetch_lines * task.fetch_row : 0;
        if (p.ahead) p.ahead->hand_to(task);
        task.c = p.c + rows.begin * p.c_stride;
        task.next_c = task.c;
        tile_for<Arch, T>(rows.size(), p.columns)(task);
    }
}

/// Rows [count, width] of contiguous elements to lanes [width, lanes], times `factor`; zeros in the lanes behind
/// `count`.
template <class Arch, class T>
void rows_to_lanes(const T* from, Index stride, Index count, Index width, T* to, Index lanes, T factor) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width;
    for (Index q = 0; q < lanes; q += W) {
        const Index rows = smaller(count - q, W);
        simd::row<Arch, T>(width, [&](Index i, auto n) {
            V block[W];
            simd::unroll<W>([&](auto r) LAMINA_INLINE_LAMBDA {
                const T* row = from + (q + smaller(r, rows - 1)) * stride + i;
                block[r] = r < rows ? simd::load_count<Arch>(row, n) * V(factor) : V(T(0));
            });
            simd::transpose(block);
            simd::unroll<W>([&](auto r) LAMINA_INLINE_LAMBDA {
                if (r < Index(n)) simd::store(to + (i + r) * lanes + q, block[r]);
            });
        });
    }
}

/// The way back: lanes [width, lanes], each times its `factor`, to `count` rows; adds to them when `accumulate`.
template <class Arch, class T>
void lanes_to_rows(const T* from, Index lanes, Index width, Index count, const T* factor, T* to, Index stride,
                   bool accumulate = false) {
    using V = simd::Vec<T, Arch>;
    constexpr int W = V::width;
    for (Index q = 0; q < count; q += W) {
        const V f = simd::load<Arch>(factor + q);
        const Index rows = smaller(count - q, W);
        simd::row<Arch, T>(width, [&](Index i, auto n) {
            V block[W];
            for (int r = 0; r < W; ++r)
                block[r] = r < Index(n) ? simd::load<Arch>(from + (i + r) * lanes + q) * f : V(T(0));
            simd::transpose(block);
            for (Index r = 0; r < rows; ++r) {
                T* const row = to + (q + r) * stride + i;
                simd::store_count(row, accumulate ? simd::load_count<Arch>(row, n) + block[r] : block[r], n);
            }
        });
    }
}

/// Copies `count` rows together, `to_stride` apart. With `clean`, rows that hold a NaN or an infinity become zeros and
/// are marked in `bad`; returns whether there are any.
template <class Arch, class T>
bool copy_rows_clean(const T* from, Index stride, Index count, Index width, T* to, Index to_stride, bool clean,
                     bool* bad) {
    using V = simd::Vec<T, Arch>;
    bool any_bad = false;
    for (Index j = 0; j < count; ++j, from += stride, to += to_stride) {
        V test = T(0);
        simd::row<Arch, T>(width, [&](Index i, auto n) LAMINA_INLINE_LAMBDA {
            const V x = simd::load_count<Arch>(from + i, n);
            test = fma(x, V(T(0)), test);
            simd::store_count(to + i, x, n);
        });
        if (!clean) continue;
        const T sum = simd::reduce_add(test);
        bad[j] = sum != sum;
        any_bad = any_bad || bad[j];
        if (bad[j])
            for (Index i = 0; i < width; ++i) to[i] = 0;
    }
    return any_bad;
}

/// Distance of copied rows: not one at which they would push one another out of the first-level cache.
template <class T>
constexpr Index copy_stride(Index width) {
    return width + (width * Index(sizeof(T)) % 1024 == 0 ? 64 / Index(sizeof(T)) : 0);
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
