#pragma once
// Extents of a tensor whose rank is known to the compiler, and the arithmetic on them.
#include <lamina/core/error.hpp>

#include <array>
#include <limits>

namespace lamina::inline LAMINA_ABI {

/// Elements in a product of extents. Throws ShapeError for a negative extent and when the product of the extents
/// that are not 0 times `element_size` overflows a signed 64-bit number of bytes.
constexpr Index checked_numel(const Index* extents, int rank, std::size_t element_size = 1);

/// `R` extents, outermost first. `Shape{2, 3}` deduces the rank; `Shape<0>` is that of a single number.
template <int R>
struct Shape {
    static_assert(R >= 0, "a rank is not negative");
    std::array<Index, std::size_t(R)> extents{};

    constexpr Shape() = default;
    template <class... N>
        requires(sizeof...(N) == std::size_t(R) && R > 0 && (std::is_integral_v<N> && ...))
    constexpr Shape(N... extent) : extents{Index(extent)...} {}
    constexpr explicit Shape(const std::array<Index, std::size_t(R)>& e) : extents(e) {}

    static constexpr int rank() { return R; }
    constexpr Index operator[](int dim) const { return extents[std::size_t(dim)]; }
    constexpr Index& operator[](int dim) { return extents[std::size_t(dim)]; }
    constexpr const Index* begin() const { return extents.data(); }
    constexpr const Index* end() const { return extents.data() + R; }
    /// Product of all extents (1 for rank 0); the extents were checked when the tensor was made.
    constexpr Index numel() const { return product(0, R); }
    /// Product of the extents of dimensions `from` to `to` - 1.
    constexpr Index product(int from, int to) const {
        Index n = 1;
        for (int d = from; d < to; ++d) n *= (*this)[d];
        return n;
    }
    constexpr bool operator==(const Shape&) const = default;
    void append_to(std::string& out) const { append_extents(out, begin(), R); }

    static void append_extents(std::string& out, const Index* extents, int rank) {
        out += '[';
        for (int d = 0; d < rank; ++d) {
            if (d) out += ", ";
            detail::append(out, extents[d]);
        }
        out += ']';
    }
};
template <class... N>
Shape(N...) -> Shape<int(sizeof...(N))>;

/// Distance in elements between neighbours along each dimension.
template <int R>
using Strides = std::array<Index, std::size_t(R)>;

/// Strides of the row-major layout: the last dimension is dense.
template <int R>
constexpr Strides<R> contiguous_strides(const Shape<R>& shape) {
    Strides<R> strides{};
    Index step = 1;
    for (int d = R - 1; d >= 0; --d) {
        strides[std::size_t(d)] = step;
        step *= shape[d] > 0 ? shape[d] : 1;
    }
    return strides;
}

constexpr Index checked_numel(const Index* extents, int rank, std::size_t element_size) {
    constexpr Index limit = std::numeric_limits<Index>::max();
    Index bytes = Index(element_size);
    bool empty = false, fits = true, valid = true;
    for (int d = 0; d < rank; ++d) {
        valid = valid && extents[d] >= 0;
        if (extents[d] == 0) empty = true;
        else if (valid && fits && bytes > limit / extents[d]) fits = false;
        else if (valid && fits) bytes *= extents[d];
    }
    if (!valid || !fits) {
        std::string text;
        Shape<0>::append_extents(text, extents, rank);
        require(valid, "shape: extents must not be negative (", text, ")");
        fail("shape: ", text, " of ", Index(element_size), "-byte elements overflows 2^63-1 bytes");
    }
    return empty ? 0 : bytes / Index(element_size);
}

/// `dim` counted from the front when negative (-1 is the last). Throws ValueError outside [-rank, rank-1].
inline int normalize_dim(const char* op, Index dim, int rank) {
    const Index span = rank > 0 ? rank : 1;
    require<ValueError>(dim >= -span && dim < span, op, ": dim must lie in [", -span, ", ", span - 1, "] but is ", dim);
    return int(dim < 0 ? dim + span : dim);
}

/// Shape of the broadcast of `a` and `b`, aligned at the right; a 1 stretches to any extent. Throws ShapeError.
template <int A, int B>
constexpr Shape<(A > B ? A : B)> broadcast_shape(const char* op, const Shape<A>& a, const Shape<B>& b) {
    constexpr int R = A > B ? A : B;
    Shape<R> out;
    for (int d = 0; d < R; ++d) {
        const Index x = d < R - A ? 1 : a[d - (R - A)], y = d < R - B ? 1 : b[d - (R - B)];
        require(x == y || x == 1 || y == 1, op, ": shapes must broadcast but dimension ", d, " is ", x, " and ", y,
                " (", a, " and ", b, ")");
        out[d] = x == 1 ? y : x;
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI
