#pragma once
// The sum of each channel of a feature map: the gradient of a convolution's bias.
#include <lamina/parallel/for.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// out[c] (+)= sum over n and i of x[n, c, i] for x [batch, channels, plane], dense. One task owns a channel and adds
/// its planes in order.
template <class Arch = simd::native, class T>
void channel_sum(Index batch, Index channels, Index plane, const T* x, T* out, bool accumulate);

template <class Arch, class T>
void channel_sum(Index batch, Index channels, Index plane, const T* x, T* out, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    parallel::for_range(channels, parallel::grain_for(batch * plane / V::width), [&](Index begin, Index end) {
        for (Index c = begin; c < end; ++c) {
            T sum = accumulate ? out[c] : T(0);
            for (Index n = 0; n < batch; ++n) {
                const T* p = x + (n * channels + c) * plane;
                V lanes[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
                Index i = 0;
                for (; i + 4 * V::width <= plane; i += 4 * V::width)
                    for (int j = 0; j < 4; ++j) lanes[j] += simd::load<Arch>(p + i + j * V::width);
                simd::row<Arch, T>(plane - i, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
                    lanes[0] += simd::load_count<Arch>(p + i + j, count);
                });
                sum += simd::reduce_add((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
            }
            out[c] = sum;
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
