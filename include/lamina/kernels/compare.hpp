#pragma once
// Pointwise rows where element types differ or are not lane types: comparisons, selection, integer arithmetic, casts.
// Elements go through local blocks of 64, which every compiler turns into vector code, tails included.
#include <lamina/kernels/pointwise.hpp>

#include <type_traits>
#include <utility>

namespace lamina::inline LAMINA_ABI::kernels {

/// Row of y[i] = f(x0[i], x1[i], …) for one element at a time: inputs of the types X, output R.
template <class R, class F, class... X>
void element_row(const void* f, const PointwiseRow& row);

/// Row of y = c ? x0 : x1: inputs c (bool), x0, x1.
template <class T>
void select_row(const void*, const PointwiseRow& row);
/// Row of its gradients: inputs c, dy; outputs dx0, dx1.
template <class T>
void select_gradient_row(const void*, const PointwiseRow& row);

namespace detail {

inline constexpr Index block = 64;

/// Up to 64 elements of an operand; past `count` they repeat its first, so that no element is ever invented.
template <class T>
struct Block {
    T v[block];
    LAMINA_INLINE Block(const void* from, Index step, Index i, Index count) {
        const T* p = static_cast<const T*>(from) + i * step;
        if (step == 1 && count == block) {
            std::memcpy(static_cast<void*>(v), p, sizeof v);
        } else {
            const T first = *p;
            for (Index j = 0; j < block; ++j) v[j] = first;
            if (step == 1) std::memcpy(static_cast<void*>(v), p, std::size_t(count) * sizeof(T));
        }
    }
};

template <class R, class F, class... X, std::size_t... K>
LAMINA_INLINE void element_row(const F f, const PointwiseRow& r, std::index_sequence<K...>) {
    R* const y = static_cast<R*>(r.out[0]);
    for (Index i = 0; i < r.count; i += block) {
        const Index count = r.count - i < block ? r.count - i : block;
        R out[block];
        [&](const Block<X>&... x) LAMINA_INLINE_LAMBDA {
            for (Index j = 0; j < block; ++j) out[j] = f(x.v[j]...);
        }(Block<X>(r.in[K], r.step[K], i, count)...);
        std::memcpy(static_cast<void*>(y + i), out, std::size_t(count) * sizeof(R));
    }
}

}  // namespace detail

template <class R, class F, class... X>
void element_row(const void* f, const PointwiseRow& row) {
    detail::element_row<R, F, X...>(*static_cast<const F*>(f), row, std::index_sequence_for<X...>{});
}

template <class T>
void select_row(const void*, const PointwiseRow& row) {
    struct Select {
        LAMINA_INLINE T operator()(bool c, T a, T b) const { return c ? a : b; }
    };
    const Select f;
    element_row<T, Select, bool, T, T>(&f, row);
}

template <class T>
void select_gradient_row(const void*, const PointwiseRow& r) {
    for (Index i = 0; i < r.count; i += detail::block) {
        const Index count = r.count - i < detail::block ? r.count - i : detail::block;
        const detail::Block<bool> c(r.in[0], r.step[0], i, count);
        const detail::Block<T> dy(r.in[1], r.step[1], i, count);
        for (int k = 0; k < 2; ++k) {
            T* const out = static_cast<T*>(r.out[k]) + i;
            if (!r.out[k]) continue;
            T g[detail::block];
            for (Index j = 0; j < detail::block; ++j) g[j] = c.v[j] == (k == 0) ? dy.v[j] : T(0);
            if (r.accumulate[k]) {
                for (Index j = 0; j < count; ++j) out[j] += g[j];
            } else {
                std::memcpy(static_cast<void*>(out), g, std::size_t(count) * sizeof(T));
            }
        }
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels
