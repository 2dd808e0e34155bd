#pragma once
// Loops over contiguous elements, a vector at a time. The tail is handled here, so that kernels never write one.
#include <lamina/simd/load_store.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// Says "all lanes": passed where the tail's call has a count; converts to one.
template <int Width>
struct FullTag {
    LAMINA_INLINE constexpr operator Index() const { return Width; }
};

/// Loads all lanes, or the first `count`: the pair that a `row` callback uses for both of its calls.
template <class Arch = native, int Width, class T>
LAMINA_INLINE Vec<T, Arch> load_count(const T* p, FullTag<Width>) {
    static_assert(Width == Vec<T, Arch>::width);
    return load<Arch>(p);
}
template <class Arch = native, class T>
LAMINA_INLINE Vec<T, Arch> load_count(const T* p, Index count) {
    return load_partial<Arch>(p, count);
}
template <int Width, class T, class Arch>
LAMINA_INLINE void store_count(T* p, Vec<T, Arch> v, FullTag<Width>) {
    static_assert(Width == Vec<T, Arch>::width);
    store(p, v);
}
template <class T, class Arch>
LAMINA_INLINE void store_count(T* p, Vec<T, Arch> v, Index count) {
    store_partial(p, v, count);
}

/// Calls `f(i, FullTag)` for each whole vector of T in [0, n) and at last `f(i, count)` with 0 < count < width.
/// `f` is generic in its second argument, which goes to load_count and store_count.
template <class Arch = native, class T = float, class F>
LAMINA_INLINE void row(Index n, F&& f) {
    constexpr int width = Vec<T, Arch>::width;
    Index i = 0;
    for (; i + width <= n; i += width) f(i, FullTag<width>{});
    if constexpr (width > 1) {
        if (i < n) f(i, n - i);
    }
}

/// The same with `Unroll` vectors in flight: `f(std::integral_constant<int, k>, i, FullTag or count)`, where k says
/// which of Unroll accumulators to use. Vector number j uses k = j % Unroll, the tail k = 0.
template <int Unroll, class Arch = native, class T = float, class F>
LAMINA_INLINE void row_unrolled(Index n, F&& f) {
    constexpr int width = Vec<T, Arch>::width;
    Index i = 0;
    for (; i + Unroll * width <= n; i += Unroll * width)
        unroll<Unroll>([&](auto k) LAMINA_INLINE_LAMBDA { f(k, i + k * width, FullTag<width>{}); });
    for (; i + width <= n; i += width) f(std::integral_constant<int, 0>{}, i, FullTag<width>{});
    if constexpr (width > 1) {
        if (i < n) f(std::integral_constant<int, 0>{}, i, n - i);
    }
}

/// y[i] = f(x[i]…) for i in [0, n): f takes a Vec for each input and returns one. The last call sees zeros past the
/// end.
template <class Arch = native, class T, class F, class... X>
LAMINA_INLINE void for_each_vec(Index n, F&& f, T* y, const X*... x) {
    row<Arch, T>(n, [&](Index i, auto count)
                        LAMINA_INLINE_LAMBDA { store_count(y + i, f(load_count<Arch>(x + i, count)...), count); });
}

}  // namespace lamina::inline LAMINA_ABI::simd
