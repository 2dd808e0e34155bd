#pragma once
// B as the tiles want it: panels of two vectors of columns, every k of a panel one behind the other, zero-filled to
// whole vectors. A panel comes from a matrix, from a matrix packed long before, or from any functor that fills it.
#include <lamina/kernels/gemm/tile.hpp>
#include <lamina/simd/permute.hpp>

#include <new>

namespace lamina::inline LAMINA_ABI::kernels {
namespace detail {

/// Width of the panel that holds `columns` columns: whole vectors.
template <class Arch, class T>
constexpr Index panel_width(Index columns) {
    return round_up(smaller(columns, panel_columns<Arch, T>), simd::Vec<T, Arch>::width);
}

/// Copies rows x columns of a matrix of contiguous rows and zero-fills each row to `width`, whole vectors.
template <class Arch, class T>
void pack_rows(const T* from, Index stride, T* to, Index rows, Index columns, Index width) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    const bool two = width > lanes;
    const Index tail = two ? columns - lanes : columns;
    if (two && tail == lanes)
        for (Index i = 0; i < rows; ++i, from += stride, to += 2 * lanes) {
            simd::prefetch(from + 8 * stride);
            simd::store(to, simd::load<Arch>(from));
            simd::store(to + lanes, simd::load<Arch>(from + lanes));
        }
    else
        for (Index i = 0; i < rows; ++i, from += stride, to += width) {
            if (two) simd::store(to, simd::load<Arch>(from));
            simd::store(to + width - lanes, simd::load_partial<Arch>(from + width - lanes, tail));
        }
}

/// The same for a matrix of contiguous columns, `stride` elements from column to column.
template <class Arch, class T>
void pack_columns(const T* from, Index stride, T* to, Index rows, Index columns, Index width) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    Index i = 0;
    for (; i + lanes <= rows; i += lanes)
        for (Index j = 0; j < width; j += lanes) {
            const Index whole = smaller(lanes, columns - j);
            simd::Vec<T, Arch> block[lanes];
            simd::unroll<int(lanes)>([&](auto q) LAMINA_INLINE_LAMBDA {
                const T* column = from + (j + smaller(q, whole - 1)) * stride + i;
                simd::prefetch(column + 2 * lanes);
                block[q] = q < whole ? simd::load<Arch>(column) : simd::Vec<T, Arch>(T(0));
            });
            simd::transpose(block);
            simd::unroll<int(lanes)>([&](auto q)
                                         LAMINA_INLINE_LAMBDA { simd::store(to + (i + q) * width + j, block[q]); });
        }
    for (; i < rows; ++i)
        for (Index j = 0; j < width; ++j) to[i * width + j] = j < columns ? from[j * stride + i] : T(0);
}

/// Fills one panel from a matrix of any strides; `self` is its MatrixView.
template <class Arch, class T>
void pack_panel(const void* self, T* panel, Piece k, Piece columns, Index width) {
    const MatrixView<T>& b = *static_cast<const MatrixView<T>*>(self);
    const T* from = b.at(k.begin, columns.begin);
    if (b.column_stride == 1) return pack_rows<Arch>(from, b.row_stride, panel, k.size(), columns.size(), width);
    if (b.row_stride == 1) return pack_columns<Arch>(from, b.column_stride, panel, k.size(), columns.size(), width);
    for (Index p = 0; p < k.size(); ++p, panel += width)
        for (Index j = 0; j < width; ++j) panel[j] = j < columns.size() ? *b.at(k.begin + p, columns.begin + j) : T(0);
}

/// B with its type erased: filled panel by panel, read in place, or packed before the call.
template <class T>
struct PanelSource {
    const void* self = nullptr;
    /// Writes rows k of the given columns into k.size() rows of `width` elements, zeros behind the last column.
    void (*fill)(const void* self, T* panel, Piece k, Piece columns, Index width) = nullptr;
    const T* in_place = nullptr;  ///< element (0, 0) of a matrix of contiguous rows, or null
    Index stride = 0;
    const T* packed = nullptr;  ///< panels with the whole of k each, or null
};

}  // namespace detail

/// A matrix B [k, n] laid out for gemm_packed, such as a weight that serves many products: whole k per panel.
template <class T, class Arch = simd::native>
class PackedMatrix {
public:
    PackedMatrix() = default;
    explicit PackedMatrix(Index k, Index n)
        : rows_(k),
          columns_(n),
          bytes_(std::size_t(k * detail::round_up(n, simd::Vec<T, Arch>::width)) * sizeof(T)) {
        // Also where k is 0: products of it are sums of nothing, not absent.
        if (n > 0) data_ = static_cast<T*>(operator new(bytes_, alignment));
    }
    PackedMatrix(PackedMatrix&& other) noexcept { swap(other); }
    PackedMatrix& operator=(PackedMatrix&& other) noexcept {
        swap(other);
        return *this;
    }
    ~PackedMatrix() { operator delete(data_, alignment); }

    Index rows() const { return rows_; }        ///< k
    Index columns() const { return columns_; }  ///< n
    std::size_t bytes() const { return bytes_; }
    const T* data() const { return data_; }
    T* mutable_data() { return data_; }
    bool empty() const { return data_ == nullptr; }

private:
    static constexpr auto alignment = std::align_val_t(64);

    void swap(PackedMatrix& other) {
        const auto exchange = [](auto& a, auto& b) {
            const auto old = a;
            a = b;
            b = old;
        };
        exchange(rows_, other.rows_);
        exchange(columns_, other.columns_);
        exchange(bytes_, other.bytes_);
        exchange(data_, other.data_);
    }
    Index rows_ = 0, columns_ = 0;
    std::size_t bytes_ = 0;
    T* data_ = nullptr;
};

}  // namespace lamina::inline LAMINA_ABI::kernels
