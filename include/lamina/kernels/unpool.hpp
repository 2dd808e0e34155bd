#pragma once
// Un-pooling by positions: what max pooling took from a plane goes back where it was.
#include <lamina/parallel/for.hpp>

#include <cstring>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [planes, area] = 0 but for y[indices[i]] = x[i], `count` of them in each plane; of equal positions the last wins.
template <class T>
void unpool_forward(Index planes, Index count, Index area, const T* x, const std::int64_t* indices, T* y);
/// dx [planes, count] (+)= dy[indices[i]].
template <class T>
void unpool_grad_input(Index planes, Index count, Index area, const std::int64_t* indices, const T* dy, T* dx,
                       bool accumulate);

template <class T>
void unpool_forward(Index planes, Index count, Index area, const T* x, const std::int64_t* indices, T* y) {
    parallel::for_range(planes, parallel::grain_for(count + area / 8), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane) {
            T* const to = y + plane * area;
            std::memset(static_cast<void*>(to), 0, std::size_t(area) * sizeof(T));
            for (Index i = plane * count; i < (plane + 1) * count; ++i) to[indices[i]] = x[i];
        }
    });
}

template <class T>
void unpool_grad_input(Index planes, Index count, Index area, const std::int64_t* indices, const T* dy, T* dx,
                       bool accumulate) {
    parallel::for_range(planes, parallel::grain_for(count), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane)
            for (Index i = plane * count; i < (plane + 1) * count; ++i) {
                const T up = dy[plane * area + indices[i]];
                dx[i] = accumulate ? dx[i] + up : up;
            }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
