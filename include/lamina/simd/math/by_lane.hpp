#pragma once
// Calls a function of one number on each lane: for rare arguments whose exact treatment is not worth vectors.
#include <lamina/simd/scalars.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::simd {

/// {f(a[0]), f(a[1]), …}
template <class T, class Arch, class F>
LAMINA_INLINE Vec<T, Arch> by_lane(F&& f, Vec<T, Arch> a) {
    Vec<T, Arch> r;
    if constexpr (Vec<T, Arch>::width == 1) r.v = f(a.v);
    else
        for (int i = 0; i < Vec<T, Arch>::width; ++i) r.v[i] = f(a.v[i]);
    return r;
}
/// {f(a[0], b[0]), …}
template <class T, class Arch, class F>
LAMINA_INLINE Vec<T, Arch> by_lane(F&& f, Vec<T, Arch> a, Vec<T, Arch> b) {
    Vec<T, Arch> r;
    if constexpr (Vec<T, Arch>::width == 1) r.v = f(a.v, b.v);
    else
        for (int i = 0; i < Vec<T, Arch>::width; ++i) r.v[i] = f(a.v[i], b.v[i]);
    return r;
}

}  // namespace lamina::inline LAMINA_ABI::simd
