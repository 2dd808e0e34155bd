#pragma once
// The matrix product, C = A B (+ C) with an epilogue: one product over all threads, many small ones, and products with
// a matrix packed beforehand. Operands have any strides; C is stored row after row. An element's sum runs over k in an
// order that depends on the shape alone, so results are equal bit for bit at any number of threads.
#include <lamina/kernels/gemm/block.hpp>
#include <lamina/kernels/gemm/gemv.hpp>
#include <lamina/kernels/gemm/gemv_packed.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// c [m, n] = a [m, k] b [k, n], rows of c `c_stride` elements apart; adds to c when `accumulate`. The epilogue is
/// called on lanes of c as `epilogue(x, row, column, count)` and gives what is stored.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void gemm(const GemmShape& shape, MatrixView<T> a, MatrixView<T> b, T* c, Index c_stride, bool accumulate = false,
          const Epilogue& epilogue = {});

/// The same with a `b` packed before.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void gemm_packed(Index m, MatrixView<T> a, const PackedMatrix<T, Arch>& b, T* c, Index c_stride,
                 bool accumulate = false, const Epilogue& epilogue = {});

/// `batch` products of one shape, each operand `…_step` elements behind the one before; a step of 0 shares it. The
/// epilogue sees rows and columns of its own product.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void gemm_batched(Index batch, const GemmShape& shape, MatrixView<T> a, Index a_step, MatrixView<T> b, Index b_step,
                  T* c, Index c_stride, Index c_step, bool accumulate = false, const Epilogue& epilogue = {});

/// Packs b [k, n] for gemm_packed.
template <class Arch = simd::native, class T>
PackedMatrix<T, Arch> pack_b(Index k, Index n, MatrixView<T> b);

namespace detail {

/// Multiplications and additions below which a second thread does not pay.
inline constexpr double gemm_parallel_work = 1 << 20;

/// How C is cut into parts: as even as tiles allow, with the fewest columns packed twice.
struct GemmGrid {
    Index rows, columns;
};
template <class Arch, class T>
GemmGrid gemm_grid(const GemmProblem<T>& g, Index threads) {
    const auto [m, n, k] = g.shape;
    const double work = 2.0 * double(m) * double(n) * double(k);
    if (threads <= 1 || parallel::in_task() || work < gemm_parallel_work) return {1, 1};
    const Index tiles = ceil_div(m, tile_rows<Arch>), panels = ceil_div(n, panel_columns<Arch, T>);
    // Packing a panel costs about as much as one row tile's visit to it.
    const Index packing = g.b.packed || traversal(g) != Traversal::packed ? 0 : 1;
    GemmGrid best{1, 1};
    Index least = tiles * panels + panels * packing;
    for (Index rows = 1; rows <= smaller(threads, tiles); ++rows) {
        const Index columns = smaller(threads / rows, panels);
        const Index cost = ceil_div(panels, columns) * (ceil_div(tiles, rows) + packing);
        if (cost < least) least = cost, best = {rows, columns};
    }
    // Smaller parts, where they cost nothing, make up for a thread that is late or slow.
    const auto divides = [&] {
        const Index parts = 2 * best.rows * best.columns;
        return parts <= 4 * threads && work / double(parts) > 4 * gemm_parallel_work;
    };
    while (divides() && panels / best.columns >= 8) best.columns *= 2;
    while (divides() && tiles / best.rows >= (packing ? 64 : 8)) best.rows *= 2;
    return best;
}

/// The whole product on all threads.
template <class Arch, class T>
void gemm_parallel(const GemmProblem<T>& g) {
    const GemmGrid grid = gemm_grid<Arch>(g, parallel::num_threads());
    constexpr Index panel = panel_columns<Arch, T>;
    parallel::for_each(grid.rows * grid.columns, [&](Index i) {
        const Piece columns = piece(ceil_div(g.shape.n, panel), grid.columns, i / grid.rows);
        gemm_block<Arch>(g, piece(g.shape.m, grid.rows, i % grid.rows),
                         Piece{columns.begin * panel, smaller(columns.end * panel, g.shape.n)});
    });
}

/// Products with one row or one column, if their strides allow. The epilogue runs afterwards.
template <class Arch, class T>
bool gemm_as_gemv(const GemmProblem<T>& g, MatrixView<T> b) {
    const auto [m, n, k] = g.shape;
    if (m != 1 && n != 1) return false;
    const GemvProblem<T> problem =
        m == 1 ? GemvProblem<T>{n, k, b.transposed(), g.a.data, g.a.column_stride, g.c, 1, g.accumulate}
               : GemvProblem<T>{m, k, g.a, b.data, b.row_stride, g.c, g.c_stride, g.accumulate};
    if (!gemv_fits(problem)) return false;
    gemv<Arch>(problem);
    if (g.epilogue.apply) g.epilogue.apply(g.epilogue.self, g.c, g.c_stride, {0, m}, {0, n});
    return true;
}

template <class Arch, class T>
PanelSource<T> panels_of(const MatrixView<T>& b) {
    return {&b, &pack_panel<Arch, T>, b.column_stride == 1 ? b.data : nullptr, b.row_stride, nullptr};
}

}  // namespace detail

template <class Arch, class T, class Epilogue>
void gemm(const GemmShape& shape, MatrixView<T> a, MatrixView<T> b, T* c, Index c_stride, bool accumulate,
          const Epilogue& epilogue) {
    const detail::GemmProblem<T> g{
        shape, a, detail::panels_of<Arch>(b), c, c_stride, accumulate, detail::erase_epilogue<Arch, T>(epilogue)};
    if (!detail::gemm_as_gemv<Arch>(g, b)) detail::gemm_parallel<Arch>(g);
}

template <class Arch, class T, class Epilogue>
void gemm_packed(Index m, MatrixView<T> a, const PackedMatrix<T, Arch>& b, T* c, Index c_stride, bool accumulate,
                 const Epilogue& epilogue) {
    detail::PanelSource<T> panels;
    panels.packed = b.data();
    const detail::GemmProblem<T> g{
        {m, b.columns(), b.rows()}, a, panels, c, c_stride, accumulate, detail::erase_epilogue<Arch, T>(epilogue)};
    if (m != 1 || a.column_stride != 1) return detail::gemm_parallel<Arch>(g);
    detail::gemv_packed<Arch>(a.data, b.rows(), b.columns(), b.data(), c, accumulate);
    if (g.epilogue.apply) g.epilogue.apply(g.epilogue.self, c, c_stride, {0, 1}, {0, b.columns()});
}

template <class Arch, class T, class Epilogue>
void gemm_batched(Index batch, const GemmShape& shape, MatrixView<T> a, Index a_step, MatrixView<T> b, Index b_step,
                  T* c, Index c_stride, Index c_step, bool accumulate, const Epilogue& epilogue) {
    const auto one = [&](Index i) {
        gemm<Arch>(shape, MatrixView<T>{a.data + i * a_step, a.row_stride, a.column_stride},
                   MatrixView<T>{b.data + i * b_step, b.row_stride, b.column_stride}, c + i * c_step, c_stride,
                   accumulate, epilogue);
    };
    const double work = 2.0 * double(shape.m) * double(shape.n) * double(shape.k);
    const Index threads = parallel::num_threads();
    // Few products, large enough to be shared, are done one after another by all threads.
    if (batch < 4 * threads && work > 32 * detail::gemm_parallel_work) {
        for (Index i = 0; i < batch; ++i) one(i);
    } else {
        const Index grain = Index(detail::gemm_parallel_work / (work + 1)) + 1;
        parallel::for_range(batch, grain, [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) one(i);
        });
    }
}

template <class Arch, class T>
PackedMatrix<T, Arch> pack_b(Index k, Index n, MatrixView<T> b) {
    constexpr Index panel = detail::panel_columns<Arch, T>;
    PackedMatrix<T, Arch> packed(k, n);
    const Index panels = detail::ceil_div(n, panel);
    parallel::for_range(panels, parallel::grain_for(k * panel), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const detail::Piece columns{i * panel, detail::smaller((i + 1) * panel, n)};
            detail::pack_panel<Arch, T>(&b, packed.mutable_data() + columns.begin * k, {0, k}, columns,
                                        detail::panel_width<Arch, T>(columns.size()));
        }
    });
    return packed;
}

}  // namespace lamina::inline LAMINA_ABI::kernels
