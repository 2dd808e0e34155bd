#pragma once
// A square of lanes mirrored along its diagonal in registers: what permuted copies are made of.
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::simd {

namespace detail {

/// Exchanges the off-diagonal blocks of side H in each square of side 2 H.
template <int H, class V, int W, int... J>
LAMINA_INLINE void swap_blocks(V (&rows)[W], std::integer_sequence<int, J...>) {
    unroll<W>([&](auto i) LAMINA_INLINE_LAMBDA {
        if constexpr ((i & H) == 0) {
            const auto a = rows[i].v, b = rows[i + H].v;
            rows[i] = V::wrap(__builtin_shufflevector(a, b, ((J & H) ? J - H + W : J)...));
            rows[i + H] = V::wrap(__builtin_shufflevector(a, b, ((J & H) ? J + W : J + H)...));
        }
    });
}
template <int H, class V, int W>
LAMINA_INLINE void transpose_from(V (&rows)[W]) {
    if constexpr (H > 0) {
        swap_blocks<H>(rows, std::make_integer_sequence<int, W>{});
        transpose_from<H / 2>(rows);
    }
}

}  // namespace detail

/// Row i, lane j and row j, lane i exchanged, for as many rows as there are lanes.
template <class T, class Arch, int W>
LAMINA_INLINE void transpose(Vec<T, Arch> (&rows)[W]) {
    static_assert(W == Vec<T, Arch>::width, "transpose: a square of lanes");
    if constexpr (W > 1) detail::transpose_from<W / 2>(rows);
}

}  // namespace lamina::inline LAMINA_ABI::simd
