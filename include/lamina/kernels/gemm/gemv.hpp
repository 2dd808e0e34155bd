#pragma once
// Matrix times vector: bound by reading the matrix once, so nothing is packed and the loops only keep enough streams of
// loads in flight.
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/row.hpp>

#define LAMINA_UNROLL _Pragma("GCC unroll 16")

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// y[j] (+)= sum over p < k of matrix(j, p) x[p], with strides between the elements of x and y.
template <class T>
struct GemvProblem {
    Index n, k;
    MatrixView<T> matrix;
    const T* x;
    Index x_stride;
    T* y;
    Index y_stride;
    bool accumulate;
};

/// Rows j of contiguous p: `Rows` dot products at a time, one accumulator each.
template <class Arch, int Rows, class T>
void gemv_dots(const GemvProblem<T>& g, Index j) {
    using V = simd::Vec<T, Arch>;
    const T* m = g.matrix.data + j * g.matrix.row_stride;
    const Index stride = g.matrix.row_stride;
    V sum[Rows];
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) sum[i] = V(T(0));
    simd::row<Arch, T>(g.k, [&](Index p, auto count) LAMINA_INLINE_LAMBDA {
        const V x = simd::load_count<Arch>(g.x + p, count);
        LAMINA_UNROLL
        for (int i = 0; i < Rows; ++i) sum[i] = fma(simd::load_count<Arch>(m + i * stride + p, count), x, sum[i]);
    });
    LAMINA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        T& y = g.y[(j + i) * g.y_stride];
        y = g.accumulate ? y + simd::reduce_add(sum[i]) : simd::reduce_add(sum[i]);
    }
}

/// Columns p of contiguous j: adds `Columns` of them to y at a time, which stays in L1.
template <class Arch, int Columns, class T>
void gemv_columns(const GemvProblem<T>& g, Index p, Piece part, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    V x[Columns];
    LAMINA_UNROLL
    for (int i = 0; i < Columns; ++i) x[i] = simd::broadcast<Arch>(g.x + p + i);
    const T* m = g.matrix.data + p * g.matrix.column_stride + part.begin;
    const Index stride = g.matrix.column_stride;
    T* y = g.y + part.begin;
    simd::row<Arch, T>(part.size(), [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
        V sum = accumulate ? simd::load_count<Arch>(y + j, count) : V(T(0));
        LAMINA_UNROLL
        for (int i = 0; i < Columns; ++i) sum = fma(simd::load_count<Arch>(m + i * stride + j, count), x[i], sum);
        simd::store_count(y + j, sum, count);
    });
}

/// Outputs [part) of a product whose matrix has contiguous rows or contiguous columns; x and, for columns, y are dense.
template <class Arch, class T>
void gemv_part(const GemvProblem<T>& g, Piece part) {
    constexpr int rows = 8, columns = Arch::bytes == 64 ? 16 : 8;
    if (g.matrix.column_stride == 1) {
        Index j = part.begin;
        for (; j + rows <= part.end; j += rows) gemv_dots<Arch, rows>(g, j);
        for (; j < part.end; ++j) gemv_dots<Arch, 1>(g, j);
        return;
    }
    Index p = 0;
    for (; p + columns <= g.k; p += columns) gemv_columns<Arch, columns>(g, p, part, g.accumulate || p > 0);
    for (; p < g.k; ++p) gemv_columns<Arch, 1>(g, p, part, g.accumulate || p > 0);
}

/// Can gemv take a matrix of these strides?
template <class T>
bool gemv_fits(const GemvProblem<T>& g) {
    const bool columns = g.matrix.row_stride == 1 && (g.y_stride == 1 || g.n == 1);
    return g.k > 0 && (g.matrix.column_stride == 1 || columns);
}

template <class Arch, class T>
void gemv(GemvProblem<T> g) {
    constexpr int x_slot = 8;
    if (g.x_stride != 1) {
        T* dense = parallel::scratch<T>(g.k, x_slot);
        for (Index p = 0; p < g.k; ++p) dense[p] = g.x[p * g.x_stride];
        g.x = dense;
    }
    // Parts are whole lines of y; about 32 K elements of the matrix pay for handing one out.
    constexpr Index unit = 64;
    const Index units = ceil_div(g.n, unit);
    const Index parts = smaller(smaller(parallel::num_threads(), units), larger(1, g.n * g.k / 32768));
    parallel::for_each(parts, [&](Index i) {
        const Piece part = piece(units, parts, i);
        gemv_part<Arch>(g, {part.begin * unit, smaller(part.end * unit, g.n)});
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
#undef LAMINA_UNROLL
