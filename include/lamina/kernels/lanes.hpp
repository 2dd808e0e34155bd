#pragma once
// One spelling for whole and partial vectors, so that a kernel's loop body is written once and its tail follows.
#include <lamina/core/dtype.hpp>
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Element types that vector registers hold.
template <class T>
concept Lane = std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int32_t> ||
               std::is_same_v<T, std::int64_t>;

/// Stands for "as many elements as the vector has lanes".
struct Full {};

template <class Arch, class T>
LAMINA_INLINE simd::Vec<T, Arch> get(const T* p, Full) {
    return simd::load<Arch>(p);
}
template <class Arch, class T>
LAMINA_INLINE simd::Vec<T, Arch> get(const T* p, Index count) {
    return simd::load_partial<Arch>(p, count);
}
template <class T, class Arch>
LAMINA_INLINE void put(T* p, simd::Vec<T, Arch> v, Full) {
    simd::store(p, v);
}
template <class T, class Arch>
LAMINA_INLINE void put(T* p, simd::Vec<T, Arch> v, Index count) {
    simd::store_partial(p, v, count);
}
/// The same around the caches; `p` is aligned to the vector's size.
template <class T, class Arch>
LAMINA_INLINE void put_streaming(T* p, simd::Vec<T, Arch> v, Full) {
    simd::stream(p, v);
}
template <class T, class Arch>
LAMINA_INLINE void put_streaming(T* p, simd::Vec<T, Arch> v, Index count) {
    simd::store_partial(p, v, count);
}

/// Calls f(i, Full{}) for each whole vector in [0, n) and f(i, count) for what is left.
template <class Arch, class T, class F>
LAMINA_INLINE void sweep(Index n, F&& f) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    Index i = 0;
    for (; i + width <= n; i += width) f(i, Full{});
    if (i < n) f(i, n - i);
}

/// Elements before the first address in [p, p + n) that streaming stores accept.
template <class Arch, class T>
LAMINA_INLINE Index unaligned_head(const T* p, Index n) {
    constexpr Index bytes = Index(sizeof(T)) * simd::Vec<T, Arch>::width;
    const Index head = Index(-reinterpret_cast<std::uintptr_t>(p) % std::uintptr_t(bytes)) / Index(sizeof(T));
    return head < n ? head : n;
}

}  // namespace lamina::inline LAMINA_ABI::kernels
