#pragma once
// The commonest pooling, the largest of 2x2 at stride 2: two rows are compared, then even lanes with odd ones. Windows
// do not overlap, so the gradient writes each element once.
#include <lamina/parallel/for.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [planes, in_h / 2, in_w / 2] = largest of each 2x2 window of x [planes, in_h, in_w]; NaN counts as larger than
/// all.
template <class Arch = simd::native, class T>
void max_pool_2x2_forward(Index planes, Index in_h, Index in_w, const T* x, T* y);

/// dx (+)= dy at the first largest element of each window, 0 elsewhere.
template <class Arch = simd::native, class T>
void max_pool_2x2_grad_input(Index planes, Index in_h, Index in_w, const T* x, const T* dy, T* dx, bool accumulate);

namespace detail {

/// True where `value` replaces `best` as the first largest: larger, or the first NaN.
template <class V>
LAMINA_INLINE auto beats(V value, V best) {
    return ~(value <= best) & (best == best);
}

/// 2 * count elements as even and odd lanes.
template <class Arch, class T, class Count>
LAMINA_INLINE simd::Pair<simd::Vec<T, Arch>> load_pairs(const T* p, Count count) {
    constexpr int width = simd::Vec<T, Arch>::width;
    if constexpr (!std::is_same_v<Count, Index>) {
        return simd::deinterleave(simd::load<Arch>(p), simd::load<Arch>(p + width));
    } else {
        const Index first = 2 * count < width ? 2 * count : width;
        return simd::deinterleave(simd::load_partial<Arch>(p, first),
                                  simd::load_partial<Arch>(p + first, 2 * count - first));
    }
}
/// Stores, or adds, even and odd lanes as 2 * count elements.
template <class T, class Arch, class Count>
LAMINA_INLINE void put_pairs(T* p, simd::Vec<T, Arch> even, simd::Vec<T, Arch> odd, Count count, bool accumulate) {
    constexpr int width = simd::Vec<T, Arch>::width;
    const auto pair = simd::interleave(even, odd);
    const Index total = 2 * Index(count), first = total < width ? total : width;
    const auto put = [&](T* to, simd::Vec<T, Arch> v, Index n) LAMINA_INLINE_LAMBDA {
        if constexpr (!std::is_same_v<Count, Index>) simd::store(to, accumulate ? simd::load<Arch>(to) + v : v);
        else simd::store_partial(to, accumulate ? simd::load_partial<Arch>(to, n) + v : v, n);
    };
    put(p, pair.first, first);
    put(p + first, pair.second, total - first);
}

/// Calls f(row) for every row of outputs, several to a task.
template <class F>
void for_pooled_rows(Index rows, Index columns, F&& f) {
    parallel::for_range(rows, parallel::grain_for(columns), [&](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) f(row);
    });
}

}  // namespace detail

template <class Arch, class T>
void max_pool_2x2_forward(Index planes, Index in_h, Index in_w, const T* x, T* y) {
    const Index out_h = in_h / 2, out_w = in_w / 2;
    detail::for_pooled_rows(planes * out_h, out_w, [=](Index row) {
        const T* top = x + (row / out_h * in_h + row % out_h * 2) * in_w;
        T* out = y + row * out_w;
        simd::row<Arch, T>(out_w, [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
            const auto above = detail::load_pairs<Arch>(top + 2 * c, count);
            const auto below = detail::load_pairs<Arch>(top + in_w + 2 * c, count);
            const auto larger = [](auto a, auto b) LAMINA_INLINE_LAMBDA { return select(detail::beats(b, a), b, a); };
            simd::store_count(out + c, larger(larger(above.first, above.second), larger(below.first, below.second)),
                              count);
        });
    });
}

template <class Arch, class T>
void max_pool_2x2_grad_input(Index planes, Index in_h, Index in_w, const T* x, const T* dy, T* dx, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    const Index out_h = in_h / 2, out_w = in_w / 2;
    if (!accumulate && (in_h % 2 || in_w % 2)) {  // elements behind the last window
        for (Index i = 0; i < planes * in_h * in_w; ++i) dx[i] = T(0);
    }
    detail::for_pooled_rows(planes * out_h, out_w, [=](Index row) {
        const Index begin = (row / out_h * in_h + row % out_h * 2) * in_w;
        const T *top = x + begin, *grad = dy + row * out_w;
        T* out = dx + begin;
        simd::row<Arch, T>(out_w, [&](Index c, auto count) LAMINA_INLINE_LAMBDA {
            const auto above = detail::load_pairs<Arch>(top + 2 * c, count);
            const auto below = detail::load_pairs<Arch>(top + in_w + 2 * c, count);
            const V g = simd::load_count<Arch>(grad + c, count), none(T(0));
            const auto second = detail::beats(above.second, above.first);
            const V upper = select(second, above.second, above.first);
            const auto third = detail::beats(below.first, upper);
            const V best = select(third, below.first, upper);
            const auto fourth = detail::beats(below.second, best);
            detail::put_pairs(out + 2 * c, select(second | third | fourth, none, g),
                              select(second & ~(third | fourth), g, none), count, accumulate);
            detail::put_pairs(out + in_w + 2 * c, select(third & ~fourth, g, none), select(fourth, g, none), count,
                              accumulate);
        });
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
