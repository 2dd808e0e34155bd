#pragma once
// Pointwise mathematics written once: a generic functor over lanes becomes the forward row (run on Vec) and the
// gradient row (run on dual numbers of lanes) of a pointwise plan. Nobody writes the derivative.
#include <lamina/kernels/broadcast_sum.hpp>
#include <lamina/simd/dual.hpp>

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

/// Runs `function` for the elements from `done` on, fewer than a vector's `width`, as a row of one whole vector: padded
/// with zeros in and out of buffers, so that a row function holds its arithmetic once.
inline void map_tail(const void* f, PointwiseRowFunction function, const PointwiseRow& row, Index done, Index width,
                     Index element_size, int inputs, int outputs) {
    alignas(64) std::byte buffer[pointwise_max_operands][64];
    const auto bytes = std::size_t((row.count - done) * element_size);
    const auto padded = [&](std::byte* to, const void* from) {
        std::memset(to, 0, 64);
        std::memcpy(to, static_cast<const std::byte*>(from) + done * element_size, bytes);
        return to;
    };
    PointwiseRow tail;
    tail.count = width;
    for (int k = 0; k < inputs; ++k) {
        tail.step[k] = row.step[k];
        tail.in[k] = row.step[k] ? padded(buffer[k], row.in[k]) : row.in[k];
    }
    for (int k = 0; k < outputs; ++k) {
        tail.out[k] = row.out[k] ? padded(buffer[inputs + k], row.out[k]) : nullptr;
        for (int j = 0; j < k; ++j)  // an operand used twice: its second gradient adds to the first
            if (row.out[j] == row.out[k]) tail.out[k] = tail.out[j];
        tail.accumulate[k] = row.accumulate[k];
        tail.stream[k] = false;
    }
    function(f, tail);
    for (int k = 0; k < outputs; ++k)
        if (row.out[k]) std::memcpy(static_cast<std::byte*>(row.out[k]) + done * element_size, tail.out[k], bytes);
}

/// Stores around the caches if asked to.
template <class T, class Arch>
LAMINA_INLINE void put(T* p, simd::Vec<T, Arch> v, bool stream) {
    if (stream) simd::stream(p, v);
    else simd::store(p, v);
}

/// The whole vectors of a forward row; returns where the tail begins.
template <class Arch, class T, class F, std::size_t... K>
LAMINA_INLINE Index map_vectors(const F f, const PointwiseRow& r, std::index_sequence<K...>) {
    using V = simd::Vec<T, Arch>;
    const T* const x[] = {static_cast<const T*>(r.in[K])...};
    // Ands away the index of an operand that is one value repeated, without a branch.
    const Index walk[] = {-r.step[K]...};
    T* const y = static_cast<T*>(r.out[0]);
    const Index whole = r.count / V::width * V::width;
    const bool stream = r.stream[0];
    for (Index i = 0; i < whole; i += V::width) put(y + i, V(f(simd::load<Arch>(x[K] + (i & walk[K]))...)), stream);
    if (stream) simd::stream_fence();
    return whole;
}

/// The whole vectors of a gradient row.
template <class Arch, class T, int Active, class F, std::size_t... K>
LAMINA_INLINE Index map_gradient_vectors(const F f, const PointwiseRow& r, std::index_sequence<K...>) {
    using V = simd::Vec<T, Arch>;
    using D = simd::Dual<V, Active>;
    constexpr std::size_t operands = sizeof...(K);
    const T* const x[] = {static_cast<const T*>(r.in[K])...};
    const Index walk[] = {-r.step[K]...};
    const T* const dy = static_cast<const T*>(r.in[operands]);
    const Index dy_walk = -r.step[operands], whole = r.count / V::width * V::width;
    for (Index i = 0; i < whole; i += V::width) {
        const auto operand = [&]<std::size_t k>(std::integral_constant<std::size_t, k>) LAMINA_INLINE_LAMBDA {
            const V v = simd::load<Arch>(x[k] + (i & walk[k]));
            if constexpr (k < std::size_t(Active)) return D::variable(v, int(k));
            else return v;
        };
        const D y = f(operand(std::integral_constant<std::size_t, K>{})...);
        const V upstream = simd::load<Arch>(dy + (i & dy_walk));
        simd::unroll<Active>([&](auto k) LAMINA_INLINE_LAMBDA {
            if (T* const out = static_cast<T*>(r.out[k])) {
                const V g = upstream * y.grad[k];
                if (r.accumulate[k]) simd::store(out + i, simd::load<Arch>(out + i) + g);
                else put(out + i, g, r.stream[k]);
            }
        });
    }
    bool streamed = false;
    for (int k = 0; k < Active; ++k) streamed = streamed || r.stream[k];
    if (streamed) simd::stream_fence();
    return whole;
}

}  // namespace detail

template <class Arch, class T, class F, int Operands>
void map_row(const void* f, const PointwiseRow& row) {
    const Index done =
        detail::map_vectors<Arch, T>(*static_cast<const F*>(f), row, std::make_index_sequence<std::size_t(Operands)>{});
    if (done < row.count)
        detail::map_tail(f, map_row<Arch, T, F, Operands>, row, done, simd::Vec<T, Arch>::width, sizeof(T), Operands,
                         1);
}

template <class Arch, class T, class F, int Operands, int Active>
void map_gradient_row(const void* f, const PointwiseRow& row) {
    const Index done = detail::map_gradient_vectors<Arch, T, Active>(*static_cast<const F*>(f), row,
                                                                     std::make_index_sequence<std::size_t(Operands)>{});
    if (done < row.count)
        detail::map_tail(f, map_gradient_row<Arch, T, F, Operands, Active>, row, done, simd::Vec<T, Arch>::width,
                         sizeof(T), Operands + 1, Active);
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
