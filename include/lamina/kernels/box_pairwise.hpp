#pragma once
// A measure of every pair of two sets of boxes [n, 4] and [m, 4]: one box against vectors of the others, which are
// transposed once.
#include <lamina/kernels/box_metrics.hpp>
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/scratch.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y[n, m] = f(a[n], b[m]).
template <class Arch = simd::native, class T, class F>
void box_pairwise_forward(const F& f, Index n, const T* a, Index m, const T* b, T* y);

/// da[n, 4] (+)= sum over m of dy[n, m] * df / da.
template <class Arch = simd::native, class T, class F>
void box_pairwise_gradient_a(const F& f, Index n, const T* a, Index m, const T* b, const T* dy, T* da, bool accumulate);

/// db[m, 4] (+)= sum over n of dy[n, m] * df / db.
template <class Arch = simd::native, class T, class F>
void box_pairwise_gradient_b(const F& f, Index n, const T* a, Index m, const T* b, const T* dy, T* db, bool accumulate);

namespace detail {

inline constexpr int box_slot = 12;

/// The four columns of boxes [m, 4], each dense, in scratch memory of this thread.
template <class Arch, class T>
const T* box_columns_of(const T* boxes, Index m) {
    T* const columns = parallel::scratch<T>(4 * m, box_slot);
    simd::row<Arch, T>(m, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
        const auto box = load_columns<4, Arch>(boxes + 4 * j, count);
        simd::unroll<4>([&](auto k) LAMINA_INLINE_LAMBDA { simd::store_count(columns + k * m + j, box.c[k], count); });
    });
    return columns;
}

template <class Arch, class T, class Count>
LAMINA_INLINE Columns<simd::Vec<T, Arch>, 4> load_soa(const T* columns, Index m, Index j, Count count) {
    return {{simd::load_count<Arch>(columns + j, count), simd::load_count<Arch>(columns + m + j, count),
             simd::load_count<Arch>(columns + 2 * m + j, count), simd::load_count<Arch>(columns + 3 * m + j, count)}};
}

template <class Arch, class T>
LAMINA_INLINE Columns<simd::Vec<T, Arch>, 4> broadcast_box(const T* box) {
    using V = simd::Vec<T, Arch>;
    return {{V(box[0]), V(box[1]), V(box[2]), V(box[3])}};
}

template <class V>
LAMINA_INLINE Columns<simd::Dual<V, 4>, 4> as_variables(const Columns<V, 4>& x) {
    using D = simd::Dual<V, 4>;
    return {{D::variable(x.c[0], 0), D::variable(x.c[1], 1), D::variable(x.c[2], 2), D::variable(x.c[3], 3)}};
}

}  // namespace detail

template <class Arch, class T, class F>
void box_pairwise_forward(const F& f, Index n, const T* a, Index m, const T* b, T* y) {
    if (n == 0 || m == 0) return;
    const T* const columns = detail::box_columns_of<Arch>(b, m);
    const bool around = n * m * Index(sizeof(T)) >= stream_threshold_bytes;
    parallel::for_range(n, parallel::grain_for(4 * m), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const auto p = detail::broadcast_box<Arch>(a + 4 * i);
            T* const out = y + i * m;
            simd::row<Arch, T>(m, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
                const auto v = f(p, detail::load_soa<Arch>(columns, m, j, count)).c[0];
                if constexpr (!std::is_same_v<decltype(count), Index>) {
                    if (around) return simd::stream(out + j, v);
                }
                simd::store_count(out + j, v, count);
            });
        }
        if (around) simd::stream_fence();
    });
}

template <class Arch, class T, class F>
void box_pairwise_gradient_a(const F& f, Index n, const T* a, Index m, const T* b, const T* dy, T* da,
                             bool accumulate) {
    using V = simd::Vec<T, Arch>;
    const T* const columns = detail::box_columns_of<Arch>(b, m);
    parallel::for_range(n, parallel::grain_for(16 * m), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const auto p = detail::as_variables(detail::broadcast_box<Arch>(a + 4 * i));
            V sum[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
            simd::row<Arch, T>(m, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
                const auto r = f(p, detail::load_soa<Arch>(columns, m, j, count)).c[0];
                const V up = simd::load_count<Arch>(dy + i * m + j, count);
                simd::unroll<4>([&](auto k)
                                    LAMINA_INLINE_LAMBDA { sum[k] += detail::only_first(up * r.grad[k], count); });
            });
            for (int k = 0; k < 4; ++k) da[4 * i + k] = reduce_add(sum[k]) + (accumulate ? da[4 * i + k] : T(0));
        }
    });
}

template <class Arch, class T, class F>
void box_pairwise_gradient_b(const F& f, Index n, const T* a, Index m, const T* b, const T* dy, T* db,
                             bool accumulate) {
    using V = simd::Vec<T, Arch>;
    constexpr Index width = V::width;
    parallel::for_range(m, (parallel::grain_for(16 * n) + width - 1) / width * width, [&](Index begin, Index end) {
        simd::row<Arch, T>(end - begin, [&](Index at, auto count) LAMINA_INLINE_LAMBDA {
            const Index j = begin + at;
            const auto g = detail::as_variables(detail::load_columns<4, Arch>(b + 4 * j, count));
            Columns<V, 4> sum{{V(T(0)), V(T(0)), V(T(0)), V(T(0))}};
            if (accumulate) sum = detail::load_columns<4, Arch>(db + 4 * j, count);
            for (Index i = 0; i < n; ++i) {
                const auto r = f(detail::broadcast_box<Arch>(a + 4 * i), g).c[0];
                const V up = simd::load_count<Arch>(dy + i * m + j, count);
                simd::unroll<4>([&](auto k) LAMINA_INLINE_LAMBDA { sum.c[k] += up * r.grad[k]; });
            }
            detail::store_columns<4, Arch>(db + 4 * j, sum, count);
        });
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
