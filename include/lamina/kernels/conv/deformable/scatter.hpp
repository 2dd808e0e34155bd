#pragma once
// The gradient of the matrix of columns of a deformable convolution, taken back to the image, the offsets and the mask.
#include <lamina/kernels/conv/deformable/sample.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// A gradient to be written, or added to when `accumulate`; nobody wants it when `data` is null.
template <class T>
struct DeformGradient {
    T* data = nullptr;
    bool accumulate = false;
};

namespace detail {

/// The gradients of one image.
template <class T>
struct DeformScatter {
    const T* image;  ///< [in_h, in_w, channels]
    const T* zeros;  ///< as many channels of zeros
    T* dx;           ///< as the image, added to; null if not wanted
    T* spare;        ///< a row of channels for what falls outside
    DeformGradient<T> offset, mask;
};

/// Takes back the gradient `columns` of the outputs [positions).
template <class Arch, class T>
void deform_scatter(const DeformGeometry& g, const DeformField<T>& field, const DeformScatter<T>& to, Piece positions,
                    const T* columns) {
    using V = simd::Vec<T, Arch>;
    const auto put = [](const DeformGradient<T>& grad, Index at, T value) {
        if (grad.data) grad.data[at] = grad.accumulate ? grad.data[at] + value : value;
    };
    for (Index group = 0; group < g.offset_groups; ++group)
        for (Index tap = 0; tap < g.taps(); ++tap)
            for (Index at = positions.begin; at < positions.end; ++at) {
                const DeformPlace<T> place = field.place(g, group, tap, at);
                const T factor = field.factor(g, group, tap, at);
                const T* from[4];
                T* into[4];
                V weight[4], dot[4];
                for (int i = 0; i < 4; ++i) {
                    from[i] = place.at[i] < 0 ? to.zeros : to.image + place.at[i];
                    into[i] = place.at[i] < 0 || !to.dx ? to.spare : to.dx + place.at[i];
                    weight[i] = V(place.at[i] < 0 ? T(0) : place.weight(i) * factor);
                    dot[i] = V(T(0));
                }
                const T* row = columns + (at - positions.begin) * g.columns();
                deform_runs(g, group, tap, [&](Index c, Index column, Index n) LAMINA_INLINE_LAMBDA {
                    if (to.offset.data || to.mask.data)
                        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                            const V d = simd::load_count<Arch>(row + column + i, count);
                            simd::unroll<4>([&](auto k) LAMINA_INLINE_LAMBDA {
                                dot[k] = fma(d, simd::load_count<Arch>(from[k] + c + i, count), dot[k]);
                            });
                        });
                    if (to.dx)
                        simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                            const V d = simd::load_count<Arch>(row + column + i, count);
                            simd::unroll<4>([&](auto k) LAMINA_INLINE_LAMBDA {
                                T* out = into[k] + c + i;
                                simd::store_count(out, fma(d, weight[k], simd::load_count<Arch>(out, count)), count);
                            });
                        });
                });
                if (!to.offset.data && !to.mask.data) continue;
                T sum[4];
                for (int i = 0; i < 4; ++i) sum[i] = simd::reduce_add(dot[i]);
                const Index element = (group * g.taps() + tap) * g.plane() + at;
                const Index shift = element + (group * g.taps() + tap) * g.plane();
                const T down = place.down, right = place.right;
                put(to.mask, element,
                    place.weight(0) * sum[0] + place.weight(1) * sum[1] + place.weight(2) * sum[2] +
                        place.weight(3) * sum[3]);
                put(to.offset, shift, factor * ((1 - right) * (sum[2] - sum[0]) + right * (sum[3] - sum[1])));
                put(to.offset, shift + g.plane(), factor * ((1 - down) * (sum[1] - sum[0]) + down * (sum[3] - sum[2])));
            }
}

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
