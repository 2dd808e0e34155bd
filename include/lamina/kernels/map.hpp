#pragma once
// Pointwise mathematics written once: a generic functor over lanes becomes the forward row (run on Vec) and the
// gradient row (run on dual numbers of lanes) of a pointwise plan. Nobody writes the derivative.
#include <lamina/kernels/broadcast_sum.hpp>
#include <lamina/simd/dual.hpp>
#include <lamina/simd/row.hpp>

#include <utility>

namespace lamina::inline LAMINA_ABI::kernels {

/// Row of y[i] = f(x0[i], x1[i], …): inputs x0 …, one output y. All are T; `f` is generic over lanes.
template <class Arch, class T, class F, int Operands>
void map_row(const void* f, const PointwiseRow& row);

/// Row of the gradients of f: inputs x0 …, dy; outputs dx0 …. Of the operands the first `Active` are differentiated,
/// the rest are held constant.
template <class Arch, class T, class F, int Operands, int Active>
void map_gradient_row(const void* f, const PointwiseRow& row);

/// y = f(x…) over n contiguous elements: the whole machinery for plain arrays.
template <class Arch = simd::native, class T, class F, class... X>
void map_forward(const F& f, Index n, T* y, const X*... x);

namespace detail {

/// Stores whole vectors around the caches if asked to, tails always through them.
template <class T, class Arch, class Count>
LAMINA_INLINE void put(T* p, simd::Vec<T, Arch> v, Count count, bool stream) {
    if constexpr (!std::is_same_v<Count, Index>) {
        if (stream) return simd::stream(p, v);
    }
    simd::store_count(p, v, count);
}

template <class Arch, class T, class F, std::size_t... K>
LAMINA_INLINE void map_row(const F f, const PointwiseRow& r, std::index_sequence<K...>) {
    const T* const x[] = {static_cast<const T*>(r.in[K])...};
    // Ands away the index of an operand that is one value repeated, without a branch.
    const Index walk[] = {-r.step[K]...};
    T* const y = static_cast<T*>(r.out[0]);
    const bool stream = r.stream[0];
    simd::row<Arch, T>(r.count, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        put(y + i, simd::Vec<T, Arch>(f(simd::load_count<Arch>(x[K] + (i & walk[K]), count)...)), count, stream);
    });
    if (stream) simd::stream_fence();
}

template <class Arch, class T, int Active, class F, std::size_t... K>
LAMINA_INLINE void map_gradient_row(const F f, const PointwiseRow& r, std::index_sequence<K...>) {
    using V = simd::Vec<T, Arch>;
    using D = simd::Dual<V, Active>;
    constexpr std::size_t operands = sizeof...(K);
    const T* const x[] = {static_cast<const T*>(r.in[K])...};
    const Index walk[] = {-r.step[K]...};
    const T* const dy = static_cast<const T*>(r.in[operands]);
    const Index dy_walk = -r.step[operands];
    simd::row<Arch, T>(r.count, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        const auto operand = [&]<std::size_t k>(std::integral_constant<std::size_t, k>) LAMINA_INLINE_LAMBDA {
            const V v = simd::load_count<Arch>(x[k] + (i & walk[k]), count);
            if constexpr (k < std::size_t(Active)) return D::variable(v, int(k));
            else return v;
        };
        const D y = f(operand(std::integral_constant<std::size_t, K>{})...);
        const V upstream = simd::load_count<Arch>(dy + (i & dy_walk), count);
        simd::unroll<Active>([&](auto k) LAMINA_INLINE_LAMBDA {
            if (T* const out = static_cast<T*>(r.out[k])) {
                const V g = upstream * y.grad[k];
                if (r.accumulate[k]) simd::store_count(out + i, simd::load_count<Arch>(out + i, count) + g, count);
                else put(out + i, g, count, r.stream[k]);
            }
        });
    });
    bool streamed = false;
    for (int k = 0; k < Active; ++k) streamed = streamed || r.stream[k];
    if (streamed) simd::stream_fence();
}

}  // namespace detail

template <class Arch, class T, class F, int Operands>
void map_row(const void* f, const PointwiseRow& row) {
    detail::map_row<Arch, T>(*static_cast<const F*>(f), row, std::make_index_sequence<std::size_t(Operands)>{});
}

template <class Arch, class T, class F, int Operands, int Active>
void map_gradient_row(const void* f, const PointwiseRow& row) {
    detail::map_gradient_row<Arch, T, Active>(*static_cast<const F*>(f), row,
                                              std::make_index_sequence<std::size_t(Operands)>{});
}

template <class Arch, class T, class F, class... X>
void map_forward(const F& f, Index n, T* y, const X*... x) {
    const Index one = 1;
    PointwisePlan plan;
    plan.set_shape(&n, 1);
    (plan.add_input(x, Index(sizeof(X)), &n, &one, 1), ...);
    plan.add_output(y, Index(sizeof(T)), &n, &one, 1);
    plan.collapse();
    pointwise_run(plan, &f, map_row<Arch, T, F, int(sizeof...(X))>);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
