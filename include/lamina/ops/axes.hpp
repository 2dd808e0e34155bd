#pragma once
// Dimensions named at compile time, for operations whose result has fewer of them: `sum(x, axes<1, 2>)`.
#include <lamina/core/shape.hpp>

namespace lamina::inline LAMINA_ABI {

/// A set of dimensions; negative ones count from the back. `Axes<>` stands for all dimensions.
template <int... D>
struct Axes {};
template <int... D>
inline constexpr Axes<D...> axes{};

/// Tag that keeps reduced dimensions with extent 1: `mean(x, axes<-1>, keepdim)`.
struct KeepDim {
    explicit constexpr KeepDim() = default;
};
inline constexpr KeepDim keepdim{};

namespace detail {

/// Bit d is set for each dimension d of a tensor of rank `R` named by the axes; refuses wrong ones at compile time.
template <int R, int... D>
consteval unsigned axes_mask(Axes<D...>) {
    static_assert(((D >= -(R > 0 ? R : 1) && D < (R > 0 ? R : 1)) && ...), "an axis must lie in [-rank, rank-1]");
    if constexpr (sizeof...(D) == 0 || R == 0) {
        return (1u << R) - 1;
    } else {
        constexpr unsigned mask = ((1u << (D < 0 ? D + R : D)) | ...);
        constexpr int named = int(sizeof...(D));
        static_assert(__builtin_popcount(mask) == named, "an axis must not be named twice");
        return mask;
    }
}
/// Rank that remains when the axes are reduced away.
template <int R, int... D>
inline constexpr int reduced_rank = R - __builtin_popcount(axes_mask<R>(Axes<D...>{}));

/// `shape` without the dimensions of `mask`.
template <int K, int R>
constexpr Shape<K> without_axes(const Shape<R>& shape, unsigned mask) {
    Shape<K> out;
    for (int d = 0, k = 0; d < R && k < K; ++d)
        if (!(mask >> d & 1u)) out[k++] = shape[d];
    return out;
}
/// `shape` with extent 1 in the dimensions of `mask`.
template <int R>
constexpr Shape<R> ones_at_axes(Shape<R> shape, unsigned mask) {
    for (int d = 0; d < R; ++d)
        if (mask >> d & 1u) shape[d] = 1;
    return shape;
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI
