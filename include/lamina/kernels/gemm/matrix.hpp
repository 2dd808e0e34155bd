#pragma once
// How a matrix product is described: its sizes, and where an operand's elements lie.
#include <lamina/core/index.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Sizes of C [m, n] = A [m, k] B [k, n].
struct GemmShape {
    Index m, n, k;
};

/// A matrix that is only read: element (i, j) is data[i * row_stride + j * column_stride].
template <class T>
struct MatrixView {
    const T* data;
    Index row_stride, column_stride;

    const T* at(Index i, Index j) const { return data + i * row_stride + j * column_stride; }
    MatrixView transposed() const { return {data, column_stride, row_stride}; }
};

/// A matrix stored row after row, `stride` elements from one row to the next.
template <class T>
MatrixView<T> row_major(const T* data, Index stride) {
    return {data, stride, 1};
}
/// The transpose of a matrix stored row after row: a Linear weight [out, in] read as [in, out].
template <class T>
MatrixView<T> transposed(const T* data, Index stride) {
    return {data, 1, stride};
}

namespace detail {

constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
constexpr Index smaller(Index a, Index b) { return b < a ? b : a; }
constexpr Index larger(Index a, Index b) { return a < b ? b : a; }

/// Rounded up to whole multiples of `unit`.
constexpr Index round_up(Index a, Index unit) { return ceil_div(a, unit) * unit; }

/// One of `parts` nearly equal pieces of [0, n), the longer ones first.
struct Piece {
    Index begin, end;
    Index size() const { return end - begin; }
};
constexpr Piece piece(Index n, Index parts, Index i) {
    const Index base = n / parts, longer = n % parts;
    const Index begin = i * base + smaller(i, longer);
    return {begin, begin + base + (i < longer ? 1 : 0)};
}

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
