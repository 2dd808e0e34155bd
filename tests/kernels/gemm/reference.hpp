#pragma once
// A matrix product in plain double loops, and operands of any strides with poison between their elements.
#include <lamina/kernels/gemm/matrix.hpp>

#include "../../support/compare.hpp"

#include <limits>
#include <vector>

namespace lamina::inline LAMINA_ABI::test {

/// How a matrix lies in memory.
enum class Layout { rows, columns, spread };
inline constexpr Layout layouts[] = {Layout::rows, Layout::columns, Layout::spread};

/// rows x columns of numbers in the given layout; everything else in the buffer is NaN, so that a read outside shows.
template <class T>
struct Operand {
    std::vector<T> buffer;
    kernels::MatrixView<T> view{};

    Operand(Index rows, Index columns, Layout layout, double phase) {
        const Index extra = 3, step = 2;
        if (layout == Layout::rows) view = {nullptr, columns + extra, 1};
        if (layout == Layout::columns) view = {nullptr, 1, rows + extra};
        if (layout == Layout::spread) view = {nullptr, columns * step + extra, step};
        const Index size = rows * view.row_stride + columns * view.column_stride + 1;
        buffer.assign(std::size_t(size), std::numeric_limits<T>::quiet_NaN());
        view.data = buffer.data();
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < columns; ++j)
                buffer[std::size_t(i * view.row_stride + j * view.column_stride)] = T(wave_at(i * columns + j, phase));
    }
    double at(Index i, Index j) const { return double(*view.at(i, j)); }
};

/// Element (i, j) of a b, in double.
template <class T>
double dot(const Operand<T>& a, const Operand<T>& b, Index k, Index i, Index j) {
    double sum = 0;
    for (Index p = 0; p < k; ++p) sum += a.at(i, p) * b.at(p, j);
    return sum;
}

/// The error allowed in a sum of k products of numbers up to 1.
template <class T>
double tolerance(Index k) {
    return double(std::numeric_limits<T>::epsilon()) * (4 + double(k));
}

/// C with `gap` guarded elements behind each row, filled with garbage.
template <class T>
struct Result {
    Index rows, columns, stride;
    std::vector<T> buffer;
    static constexpr T garbage = T(-777), guard = T(12345);

    Result(Index m, Index n, Index gap = 5)
        : rows(m),
          columns(n),
          stride(n + gap),
          buffer(std::size_t(m * stride), guard) {
        for (Index i = 0; i < m; ++i)
            for (Index j = 0; j < n; ++j) (*this)(i, j) = garbage;
    }
    T& operator()(Index i, Index j) { return buffer[std::size_t(i * stride + j)]; }
    bool guards_stand() {
        for (Index i = 0; i < rows; ++i)
            for (Index j = columns; j < stride; ++j)
                if ((*this)(i, j) != guard) return false;
        return true;
    }
    /// Largest difference from f(i, j).
    template <class F>
    double error(F&& f) {
        double largest = 0;
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < columns; ++j) largest = std::max(largest, error_of(double((*this)(i, j)), f(i, j)));
        return largest;
    }
};

}  // namespace lamina::inline LAMINA_ABI::test
