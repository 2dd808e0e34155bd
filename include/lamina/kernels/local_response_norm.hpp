#pragma once
// Local response normalisation: each pixel is divided by a power of the mean square of its neighbours in the channels.
// Pixels are lanes.
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/math/pow.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// `images` x `channels` dense planes of `pixels`; `size` neighbours, channel c being number size / 2 of its own.
struct LocalResponseGeometry {
    Index images, channels, pixels, size;
    double alpha, beta, k;
};

/// y = x / (k + alpha / size * sum of the neighbours' squares)^beta; `scale`, unless null, receives the base.
template <class Arch = simd::native, class T>
void local_response_norm_forward(const LocalResponseGeometry& g, const T* x, T* y, T* scale);
/// dx (+)= the gradient, from the `scale` of the forward pass.
template <class Arch = simd::native, class T>
void local_response_norm_grad_input(const LocalResponseGeometry& g, const T* x, const T* scale, const T* dy, T* dx,
                                    bool accumulate);

namespace detail {

inline constexpr int response_slot = 4;  ///< scratch of a column of channels

/// Calls f(offset of the first channel's pixels, count) for lanes of pixels of every image.
template <class Arch, class T, class F>
void for_pixel_lanes(const LocalResponseGeometry& g, F&& f) {
    constexpr Index block = 256;
    const Index blocks = (g.pixels + block - 1) / block;
    parallel::for_range(
        g.images * blocks, parallel::grain_for(block * g.channels * g.size), [&](Index begin, Index end) {
            for (Index task = begin; task < end; ++task) {
                const Index first = task % blocks * block, base = task / blocks * g.channels * g.pixels + first;
                simd::row<Arch, T>(g.pixels - first < block ? g.pixels - first : block,
                                   [&](Index i, auto count) LAMINA_INLINE_LAMBDA { f(base + i, count); });
            }
        });
}

}  // namespace detail

template <class Arch, class T>
void local_response_norm_forward(const LocalResponseGeometry& g, const T* x, T* y, T* scale) {
    using V = simd::Vec<T, Arch>;
    const Index before = g.size / 2, after = (g.size - 1) / 2;
    const V share = T(g.alpha / double(g.size)), power = T(-g.beta), start = T(g.k);
    detail::for_pixel_lanes<Arch, T>(g, [&](Index at, auto count) LAMINA_INLINE_LAMBDA {
        for (Index c = 0; c < g.channels; ++c) {
            V sum(T(0));
            const Index from = c < before ? 0 : c - before, to = c + after < g.channels ? c + after : g.channels - 1;
            for (Index j = from; j <= to; ++j) {
                const V v = simd::load_count<Arch>(x + at + j * g.pixels, count);
                sum = fma(v, v, sum);
            }
            const Index here = at + c * g.pixels;
            const V base = fma(sum, share, start);
            if (scale) simd::store_count(scale + here, base, count);
            simd::store_count(y + here, simd::load_count<Arch>(x + here, count) * pow(base, power), count);
        }
    });
}

template <class Arch, class T>
void local_response_norm_grad_input(const LocalResponseGeometry& g, const T* x, const T* scale, const T* dy, T* dx,
                                    bool accumulate) {
    using V = simd::Vec<T, Arch>;
    const Index before = g.size / 2, after = (g.size - 1) / 2;
    const V power = T(-g.beta), both = T(-2 * g.alpha * g.beta / double(g.size));
    detail::for_pixel_lanes<Arch, T>(g, [&](Index at, auto count) LAMINA_INLINE_LAMBDA {
        // Of each channel dy scale^-beta, and that times x / scale, which its neighbours share.
        T* const direct = parallel::scratch<T>(2 * g.channels * V::width, detail::response_slot);
        T* const shared = direct + g.channels * V::width;
        for (Index c = 0; c < g.channels; ++c) {
            const Index here = at + c * g.pixels;
            const V base = simd::load_count<Arch>(scale + here, count);
            const V v = simd::load_count<Arch>(dy + here, count) * pow(base, power);
            simd::store(direct + c * V::width, v);
            simd::store(shared + c * V::width, v * simd::load_count<Arch>(x + here, count) / base);
        }
        for (Index c = 0; c < g.channels; ++c) {
            V sum(T(0));
            const Index from = c < after ? 0 : c - after, to = c + before < g.channels ? c + before : g.channels - 1;
            for (Index j = from; j <= to; ++j) sum += simd::load<Arch>(shared + j * V::width);
            const Index here = at + c * g.pixels;
            V v = fma(both * simd::load_count<Arch>(x + here, count), sum, simd::load<Arch>(direct + c * V::width));
            if (accumulate) v += simd::load_count<Arch>(dx + here, count);
            simd::store_count(dx + here, v, count);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
