#pragma once
// Rotation of feature pairs by angles that grow with the position, and back. Angles are computed in double: in float,
// late positions would be off by whole turns of the fast pairs.
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/simd/math/trig.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Rows of `width` features [outer, positions, inner], of which the first 2 * pairs rotate. Pairs are neighbours, or
/// with `halves` lie `pairs` apart.
struct RotaryGeometry {
    Index outer, positions, inner, width, pairs;
    bool halves;
};

/// cosine and sine [positions, pairs] of (first + p) * frequencies[i].
template <class Arch = simd::native, class T>
void rotary_table(Index positions, Index pairs, double first, const double* frequencies, T* cosine, T* sine);

/// y (+)= x rotated by the table's angles, or with `inverse` back by them. x and y may be the same.
template <class Arch = simd::native, class T>
void rotary(const RotaryGeometry& g, const T* cosine, const T* sine, const T* x, T* y, bool inverse, bool accumulate);

template <class Arch, class T>
void rotary_table(Index positions, Index pairs, double first, const double* frequencies, T* cosine, T* sine) {
    using V = simd::Vec<double, Arch>;
    parallel::for_range(positions, parallel::grain_for(16 * pairs), [&](Index begin, Index end) {
        for (Index p = begin; p < end; ++p)
            simd::row<Arch, double>(pairs, [&](Index i, auto count) {
                const V angle = simd::load_count<Arch>(frequencies + i, count) * V(first + double(p));
                const V c = cos(angle), s = sin(angle);
                for (Index k = 0; k < count; ++k) {
                    cosine[p * pairs + i + k] = T(c[int(k)]);
                    sine[p * pairs + i + k] = T(s[int(k)]);
                }
            });
    });
}

namespace detail {

template <class Arch, class T, class Count>
LAMINA_INLINE void put(T* y, simd::Vec<T, Arch> v, Count count, bool accumulate) {
    if (accumulate) v += simd::load_count<Arch>(y, count);
    simd::store_count(y, v, count);
}

template <class Arch, class T>
void rotate_row(const RotaryGeometry& g, const T* c, const T* s, T sign, const T* x, T* y, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    constexpr Index W = V::width;
    simd::row<Arch, T>(g.pairs, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        const V cosine = simd::load_count<Arch>(c + i, count), sine = simd::load_count<Arch>(s + i, count) * V(sign);
        if (g.halves) {
            const V a = simd::load_count<Arch>(x + i, count), b = simd::load_count<Arch>(x + g.pairs + i, count);
            put(y + i, fnma(b, sine, a * cosine), count, accumulate);
            put(y + g.pairs + i, fma(a, sine, b * cosine), count, accumulate);
            return;
        }
        const Index low = 2 * count < W ? 2 * Index(count) : W, high = 2 * Index(count) - low, at = 2 * i;
        const auto in =
            simd::deinterleave(simd::load_partial<Arch>(x + at, low), simd::load_partial<Arch>(x + at + low, high));
        const auto out =
            simd::interleave(fnma(in.second, sine, in.first * cosine), fma(in.first, sine, in.second * cosine));
        put(y + at, out.first, low, accumulate);
        put(y + at + low, out.second, high, accumulate);
    });
    simd::row<Arch, T>(g.width - 2 * g.pairs, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        const Index at = 2 * g.pairs + i;
        put(y + at, simd::load_count<Arch>(x + at, count), count, accumulate);
    });
}

}  // namespace detail

template <class Arch, class T>
void rotary(const RotaryGeometry& g, const T* cosine, const T* sine, const T* x, T* y, bool inverse, bool accumulate) {
    const Index row = g.inner * g.width;
    parallel::for_range(g.outer * g.positions, parallel::grain_for(row), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const Index table = i % g.positions * g.pairs;
            for (Index k = 0; k < g.inner; ++k)
                detail::rotate_row<Arch>(g, cosine + table, sine + table, inverse ? T(-1) : T(1),
                                         x + i * row + k * g.width, y + i * row + k * g.width, accumulate);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
