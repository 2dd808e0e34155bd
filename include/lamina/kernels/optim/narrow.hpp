#pragma once
// 16-bit parameters that are learned through a float master copy, in which small steps do not vanish.
// P. Micikevicius et al., Mixed Precision Training, ICLR 2018.
#include <lamina/simd/half.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Elements that are widened at a time, in the first-level cache.
inline constexpr Index narrow_block = 1024;

namespace detail {

template <class Arch, int Width, class From>
LAMINA_INLINE auto load_float(const From* p, simd::FullTag<Width>) {
    return simd::load_as<float, Arch>(p);
}
template <class Arch, class From>
LAMINA_INLINE auto load_float(const From* p, Index count) {
    return simd::load_partial_as<float, Arch>(p, count);
}
template <class To, int Width, class Arch>
LAMINA_INLINE void store_float(To* p, simd::Vec<float, Arch> v, simd::FullTag<Width>) {
    simd::store_as(p, v);
}
template <class To, class Arch>
LAMINA_INLINE void store_float(To* p, simd::Vec<float, Arch> v, Index count) {
    simd::store_partial_as(p, v, count);
}

/// Calls f(typed pointer) for an array of float, half or bfloat16.
template <class F>
LAMINA_INLINE void with_floats(DType type, const void* data, F&& f) {
    if (type == DType::bf16) f(static_cast<const bfloat16*>(data));
    else if (type == DType::f16) f(static_cast<const half*>(data));
    else f(static_cast<const float*>(data));
}

/// to[i] = f(from[i]…) in float, where each array may be of 16 or 32 bits.
template <class Arch, class F, class To, class... From>
void map_floats(Index n, F f, To* to, const From*... from) {
    simd::row<Arch, float>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        store_float(to + i, f(load_float<Arch>(from + i, count)...), count);
    });
}
template <class Arch, class To, class From>
void copy_floats(Index n, To* to, const From* from) {
    map_floats<Arch>(
        n, [](auto x) LAMINA_INLINE_LAMBDA { return x; }, to, from);
}

/// Takes over those of n <= narrow_block elements of a 16-bit parameter that were changed since it was rounded from
/// its master.
template <class Arch, class N>
void adopt_changes(Index n, float* master, const N* narrow) {
    alignas(64) N rounded[narrow_block];
    copy_floats<Arch>(n, rounded, master);
    const auto pick = [](auto wide, auto kept, auto now)
                          LAMINA_INLINE_LAMBDA { return select(kept == now, wide, now); };
    map_floats<Arch>(n, pick, master, master, rounded, narrow);
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::kernels
