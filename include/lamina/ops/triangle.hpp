#pragma once
// Triangles of matrices: tril keeps what lies on and below a diagonal, triu what lies on and above it.
#include <lamina/autograd/tape.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// y = x inside the triangle, 0 outside (left alone when adding).
template <class T>
void triangle(Index matrices, Index rows, Index columns, Index diagonal, bool lower, const T* x, T* y,
              bool accumulate) {
    parallel::for_range(matrices * rows, parallel::grain_for(columns), [=](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) {
            const Index edge = std::clamp<Index>(row % rows + diagonal + (lower ? 1 : 0), 0, columns);
            const Index first = lower ? 0 : edge, last = lower ? edge : columns;
            const T* in = x + row * columns;
            T* out = y + row * columns;
            if (accumulate) {
                for (Index j = first; j < last; ++j) out[j] = T(out[j] + in[j]);
                continue;
            }
            std::fill(out, out + first, T(0));
            std::copy(in + first, in + last, out + first);
            std::fill(out + last, out + columns, T(0));
        }
    });
}
template <class T, int R>
Tensor<T, R> triangle(const char* op, const Tensor<T, R>& x, Index diagonal, bool lower) {
    const Index rows = x.shape()[R - 2], columns = x.shape()[R - 1], matrices = x.shape().product(0, R - 2);
    auto y = empty<T>(x.shape());
    triangle(matrices, rows, columns, diagonal, lower, contiguous(x).data(), y.mutable_data(), false);
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record(op, y, [=, link = x.grad_link()](const T* dy) {
                if (const auto dx = autograd::grad_target<T>(link))
                    triangle(matrices, rows, columns, diagonal, lower, dy, dx.data, dx.accumulate);
            });
    }
    return y;
}

inline Tensor<std::int64_t, 2> triangle_indices(const char* op, Index rows, Index columns, Index diagonal, bool lower) {
    require<ValueError>(rows >= 0 && columns >= 0, op, ": extents must not be negative but are ", rows, " and ",
                        columns);
    const auto edge = [=](Index i) { return std::clamp<Index>(i + diagonal + (lower ? 1 : 0), 0, columns); };
    Index count = 0;
    for (Index i = 0; i < rows; ++i) count += lower ? edge(i) : columns - edge(i);
    auto y = empty<std::int64_t>(Shape{Index(2), count});
    std::int64_t *row = y.mutable_data(), *column = row + count;
    for (Index i = 0; i < rows; ++i)
        for (Index j = lower ? 0 : edge(i); j < (lower ? edge(i) : columns); ++j) *row++ = i, *column++ = j;
    return y;
}

}  // namespace detail

/// Each matrix [..., rows, columns] with zeros above the diagonal number `diagonal` (0 is the main one, 1 above it).
template <Element T, int R>
    requires(R >= 2)
Tensor<T, R> tril(const Tensor<T, R>& x, Index diagonal = 0) { return detail::triangle("tril", x, diagonal, true); }
/// Each matrix [..., rows, columns] with zeros below the diagonal number `diagonal`.
template <Element T, int R>
    requires(R >= 2)
Tensor<T, R> triu(const Tensor<T, R>& x, Index diagonal = 0) { return detail::triangle("triu", x, diagonal, false); }

/// Rows and columns [2, n] of the elements on and below a diagonal of a matrix, row by row (torch.tril_indices). Throws
/// ValueError for negative extents.
inline Tensor<std::int64_t, 2> tril_indices(Index rows, Index columns, Index diagonal = 0) {
    return detail::triangle_indices("tril_indices", rows, columns, diagonal, true);
}
/// The same on and above the diagonal (torch.triu_indices).
inline Tensor<std::int64_t, 2> triu_indices(Index rows, Index columns, Index diagonal = 0) {
    return detail::triangle_indices("triu_indices", rows, columns, diagonal, false);
}

}  // namespace lamina::inline LAMINA_ABI
