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

}  // namespace detail

/// Each matrix [..., rows, columns] with zeros above the diagonal number `diagonal` (0 is the main one, 1 above it).
template <Element T, int R>
    requires(R >= 2)
Tensor<T, R> tril(const Tensor<T, R>& x, Index diagonal = 0) { return detail::triangle("tril", x, diagonal, true); }
/// Each matrix [..., rows, columns] with zeros below the diagonal number `diagonal`.
template <Element T, int R>
    requires(R >= 2)
Tensor<T, R> triu(const Tensor<T, R>& x, Index diagonal = 0) { return detail::triangle("triu", x, diagonal, false); }

}  // namespace lamina::inline LAMINA_ABI
