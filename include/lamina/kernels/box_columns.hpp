#pragma once
// Functions of boxes: rows of four interleaved coordinates become four vectors of lanes in registers, so that [n, 4]
// is read and written as it lies, without transposed copies. Gradients come from dual numbers, as in map.hpp.
#include <lamina/parallel/reduce.hpp>
#include <lamina/simd/dual.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// One lane each of K columns: a box (x1, y1, x2, y2), a point (x, y) or a number.
template <class V, int K>
struct Columns {
    V c[K > 0 ? K : 1];
};

/// y[n, C] = f(a[n, A], b[n, B]), times weight[n] where there is one. `f` takes Columns of lanes and returns Columns.
/// With B = 0 there is no b and `f` gets an empty one.
template <int A, int B, int C, class Arch = simd::native, class T, class F>
void columns_forward(const F& f, Index n, const T* a, const T* b, const T* weight, T* y);

/// Sum of f(a, b) * weight over the rows, for a function of one column.
template <int A, int B, class Arch = simd::native, class T, class F>
double columns_sum(const F& f, Index n, const T* a, const T* b, const T* weight);

/// Gradient of columns_forward by its operand number `Which`, from dy [n, C], or from the one number *dy for all rows.
template <int Which, int A, int B, int C, class Arch = simd::native, class T, class F>
void columns_gradient(const F& f, Index n, const T* a, const T* b, const T* weight, const T* dy, bool dy_is_scalar,
                      T* dx, bool accumulate);

namespace detail {

/// Rows in one task.
inline constexpr Index columns_grain = 8192;

/// How many of `count` rows' K columns lie in vector number `part`: a constant for whole vectors.
template <int K, int Width>
LAMINA_INLINE simd::FullTag<Width> part_of(simd::FullTag<Width>, int) {
    return {};
}
template <int K, int Width>
LAMINA_INLINE Index part_of(Index count, int part) {
    const Index left = count * K - Index(part) * Width;
    return left < 0 ? 0 : left < Width ? left : Width;
}

template <int K, class Arch, class T, class Count>
LAMINA_INLINE Columns<simd::Vec<T, Arch>, K> load_columns(const T* p, Count count) {
    using V = simd::Vec<T, Arch>;
    Columns<V, K> r;
    if constexpr (K == 0) r.c[0] = V(T(0));
    V in[K > 0 ? K : 1];
    simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
        const auto part = part_of<K, V::width>(count, k);
        // An absent part may start past the end of the array: its address must not even be formed.
        in[k] = Index(part) > 0 ? simd::load_count<Arch>(p + k * V::width, part) : V(T(0));
    });
    if constexpr (K == 1) r.c[0] = in[0];
    if constexpr (K == 2) {
        const auto xy = deinterleave(in[0], in[1]);
        r = {{xy.first, xy.second}};
    }
    if constexpr (K == 4) {
        const auto low = deinterleave(in[0], in[1]), high = deinterleave(in[2], in[3]);
        const auto x = deinterleave(low.first, high.first), y = deinterleave(low.second, high.second);
        r = {{x.first, y.first, x.second, y.second}};
    }
    return r;
}

template <int K, class Arch, class T, class Count>
LAMINA_INLINE void store_columns(T* p, const Columns<simd::Vec<T, Arch>, K>& v, Count count) {
    using V = simd::Vec<T, Arch>;
    V out[K];
    if constexpr (K == 1) out[0] = v.c[0];
    if constexpr (K == 2) {
        const auto xy = interleave(v.c[0], v.c[1]);
        out[0] = xy.first, out[1] = xy.second;
    }
    if constexpr (K == 4) {
        const auto x = interleave(v.c[0], v.c[2]), y = interleave(v.c[1], v.c[3]);
        const auto low = interleave(x.first, y.first), high = interleave(x.second, y.second);
        out[0] = low.first, out[1] = low.second, out[2] = high.first, out[3] = high.second;
    }
    simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
        const auto part = part_of<K, V::width>(count, k);
        if (Index(part) > 0) simd::store_count(p + k * V::width, out[k], part);
    });
}

/// The rows of `count` lanes are numbers 1 … count, the rest of the vector is nothing.
template <class T, class Arch, int Width>
LAMINA_INLINE simd::Vec<T, Arch> only_first(simd::Vec<T, Arch> v, simd::FullTag<Width>) {
    return v;
}
template <class T, class Arch>
LAMINA_INLINE simd::Vec<T, Arch> only_first(simd::Vec<T, Arch> v, Index count) {
    return select(simd::first_lanes<T, Arch>(count), v, simd::Vec<T, Arch>(T(0)));
}

}  // namespace detail

template <int A, int B, int C, class Arch, class T, class F>
void columns_forward(const F& f, Index n, const T* a, const T* b, const T* weight, T* y) {
    parallel::for_range(n, detail::columns_grain, [&](Index begin, Index end) {
        simd::row<Arch, T>(end - begin, [&](Index at, auto count) LAMINA_INLINE_LAMBDA {
            const Index i = begin + at;
            Columns<simd::Vec<T, Arch>, C> r =
                f(detail::load_columns<A, Arch>(a + i * A, count), detail::load_columns<B, Arch>(b + i * B, count));
            if (weight) {
                const auto w = simd::load_count<Arch>(weight + i, count);
                simd::unroll<C>([&](auto c) LAMINA_INLINE_LAMBDA { r.c[c] *= w; });
            }
            detail::store_columns<C, Arch>(y + i * C, r, count);
        });
    });
}

template <int A, int B, class Arch, class T, class F>
double columns_sum(const F& f, Index n, const T* a, const T* b, const T* weight) {
    using V = simd::Vec<T, Arch>;
    const auto sum_of = [&](Index begin, Index end) {
        V total(T(0));
        simd::row<Arch, T>(end - begin, [&](Index at, auto count) LAMINA_INLINE_LAMBDA {
            const Index i = begin + at;
            V term = f(detail::load_columns<A, Arch>(a + i * A, count), detail::load_columns<B, Arch>(b + i * B, count))
                         .c[0];
            if (weight) term *= simd::load_count<Arch>(weight + i, count);
            total += detail::only_first(term, count);
        });
        return double(reduce_add(total));
    };
    return parallel::reduce(n, detail::columns_grain, 0.0, sum_of, [](double x, double y) { return x + y; });
}

template <int Which, int A, int B, int C, class Arch, class T, class F>
void columns_gradient(const F& f, Index n, const T* a, const T* b, const T* weight, const T* dy, bool dy_is_scalar,
                      T* dx, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    constexpr int K = Which == 0 ? A : B;
    using D = simd::Dual<V, K>;
    parallel::for_range(n, detail::columns_grain, [&](Index begin, Index end) {
        simd::row<Arch, T>(end - begin, [&](Index at, auto count) LAMINA_INLINE_LAMBDA {
            const Index i = begin + at;
            const auto x = detail::load_columns<A, Arch>(a + i * A, count);
            const auto z = detail::load_columns<B, Arch>(b + i * B, count);
            Columns<D, K> variable;
            simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
                if constexpr (Which == 0) variable.c[k] = D::variable(x.c[k], k);
                else variable.c[k] = D::variable(z.c[k], k);
            });
            Columns<D, C> r;
            if constexpr (Which == 0) r = f(variable, z);
            else r = f(x, variable);
            Columns<V, C> up;
            if (dy_is_scalar) simd::unroll<C>([&](auto c) LAMINA_INLINE_LAMBDA { up.c[c] = V(*dy); });
            else up = detail::load_columns<C, Arch>(dy + i * C, count);
            if (weight) {
                const V w = simd::load_count<Arch>(weight + i, count);
                simd::unroll<C>([&](auto c) LAMINA_INLINE_LAMBDA { up.c[c] *= w; });
            }
            Columns<V, K> g;
            simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA {
                g.c[k] = up.c[0] * r.c[0].grad[k];
                simd::unroll<C - 1>(
                    [&](auto c) LAMINA_INLINE_LAMBDA { g.c[k] = fma(up.c[c + 1], r.c[c + 1].grad[k], g.c[k]); });
            });
            if (accumulate) {
                const auto old = detail::load_columns<K, Arch>(dx + i * K, count);
                simd::unroll<K>([&](auto k) LAMINA_INLINE_LAMBDA { g.c[k] += old.c[k]; });
            }
            detail::store_columns<K, Arch>(dx + i * K, g, count);
        });
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
