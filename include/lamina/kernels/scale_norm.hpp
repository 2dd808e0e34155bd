#pragma once
// ScaleNorm: rows divided by their root mean square, times one number.
#include <lamina/kernels/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [rows, n] = x * gain / max(sqrt(mean of x^2), eps).
template <class Arch = simd::native, class T>
void scale_norm_forward(Index rows, Index n, const T* x, T gain, double eps, T* y);
/// dx (+)= the gradient, unless null; dgain[r] = dy x / max(sqrt(mean of x^2), eps) summed over row r.
template <class Arch = simd::native, class T>
void scale_norm_gradients(Index rows, Index n, const T* x, T gain, double eps, const T* dy, T* dx, bool accumulate,
                          T* dgain);

namespace detail {

template <class Arch, class T>
T mean_square(Index n, const T* x) {
    return tree_reduce<Sum, Arch, T>(n,
                                     [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                                         const auto v = simd::load_count<Arch>(x + i, count);
                                         return v * v;
                                     }) /
           T(n);
}
template <class T>
T clamped_root(T square, double eps) {
    const T root = T(__builtin_sqrt(double(square)));
    return root < T(eps) ? T(eps) : root;  // NaN stays
}

}  // namespace detail

template <class Arch, class T>
void scale_norm_forward(Index rows, Index n, const T* x, T gain, double eps, T* y) {
    using V = simd::Vec<T, Arch>;
    parallel::for_range(rows, parallel::grain_for(2 * n), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) {
            const T* in = x + r * n;
            const V factor = gain / detail::clamped_root(detail::mean_square<Arch>(n, in), eps);
            simd::for_each_vec<Arch>(
                n, [&](V v) LAMINA_INLINE_LAMBDA { return v * factor; }, y + r * n, in);
        }
    });
}

template <class Arch, class T>
void scale_norm_gradients(Index rows, Index n, const T* x, T gain, double eps, const T* dy, T* dx, bool accumulate,
                          T* dgain) {
    using V = simd::Vec<T, Arch>;
    parallel::for_range(rows, parallel::grain_for(3 * n), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) {
            const T *in = x + r * n, *up = dy + r * n;
            const T square = detail::mean_square<Arch>(n, in), root = detail::clamped_root(square, eps);
            const T along = detail::tree_reduce<Sum, Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                return simd::load_count<Arch>(in + i, count) * simd::load_count<Arch>(up + i, count);
            });
            dgain[r] = along / root;
            if (!dx) continue;
            // Below eps the divisor is a constant.
            const V factor = gain / root, back = root > T(eps) ? along / (T(n) * square) : T(0);
            simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                T* const to = dx + r * n + i;
                V v = factor * fnma(back, simd::load_count<Arch>(in + i, count), simd::load_count<Arch>(up + i, count));
                if (accumulate) v += simd::load_count<Arch>(to, count);
                simd::store_count(to, v, count);
            });
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
