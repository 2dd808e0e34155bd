#pragma once
// A loop unrolled at compile time: the index is a constant, so that arrays of vectors indexed by it stay in registers.
#include <lamina/core/abi.hpp>

#include <type_traits>
#include <utility>

namespace lamina::inline LAMINA_ABI::simd {

/// Calls `f(std::integral_constant<int, i>{})` for i = 0 … N-1. The lambda itself should carry LAMINA_INLINE_LAMBDA.
template <int N, class F>
LAMINA_INLINE constexpr void unroll(F&& f) {
    [&]<int... I>(std::integer_sequence<int, I...>) LAMINA_INLINE_LAMBDA { (f(std::integral_constant<int, I>{}), ...); }
    (std::make_integer_sequence<int, N>{});
}

}  // namespace lamina::inline LAMINA_ABI::simd
