#pragma once
// Batch norm in training, one task a channel: its values come from memory once, for statistics and result together, and
// once more for all gradients.
#include <lamina/kernels/channel_norm.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// What batch norm finds out about each channel [channels]: shift (near the mean), mean relative to it, sum of squared
/// distances from the mean, 1 / sqrt(variance + eps).
template <class T>
struct BatchStatistics {
    T *shift, *mean, *squares, *rstd;
};

/// y = (x - mean) rstd weight + bias for an array [images, period, spatial] with spatial > 1; `weight` and `bias` may
/// be null. Fills the statistics.
template <class Arch = simd::native, class T>
void batch_norm_forward(const ChannelGeometry& g, const T* x, const T* weight, const T* bias, double eps, T* y,
                        const BatchStatistics<T>& s);
/// Sums of dy and of dy h for each channel, h the normalised x, and with `dx` its gradient: the batch's statistics
/// depend on x when `training`, else they are constants.
template <class Arch = simd::native, class T>
void batch_norm_gradients(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* weight,
                          const T* dy, bool training, T* sum_dy, T* sum_dyh, T* dx, bool accumulate);

namespace detail {

/// Sum over the images of sum(row), rows summed by the tree and then the images' sums by another.
template <class Arch, class T, class RowSum>
T sum_over_images(Index images, T* parts, const RowSum& row_sum) {
    for (Index n = 0; n < images; ++n) parts[n] = row_sum(n);
    return reduce_row<Sum, Arch>(images, parts, T(0), AsIs{});
}

}  // namespace detail

template <class Arch, class T>
void batch_norm_forward(const ChannelGeometry& g, const T* x, const T* weight, const T* bias, double eps, T* y,
                        const BatchStatistics<T>& s) {
    using V = simd::Vec<T, Arch>;
    const Index images = g.rows / g.period, n = g.spatial;
    const T count = T(images * n);
    const bool stream = g.rows * n * Index(sizeof(T)) >= stream_threshold_bytes;
    parallel::for_range(g.period, parallel::grain_for(3 * images * n), [&](Index begin, Index end) {
        T* parts = parallel::scratch<T>(images, detail::channel_slot);
        for (Index c = begin; c < end; ++c) {
            const auto row = [&](Index image) { return x + (image * g.period + c) * n; };
            const T shift = x[c * n];
            const V first = shift;
            const T mean =
                detail::sum_over_images<Arch>(images, parts,
                                              [&](Index image) LAMINA_INLINE_LAMBDA {
                                                  const T* in = row(image);
                                                  return detail::tree_reduce<Sum, Arch, T>(
                                                      n, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
                                                          return simd::load_count<Arch>(in + i, lanes) - first;
                                                      });
                                              }) /
                count;
            const V middle = mean;
            const T squares = detail::sum_over_images<Arch>(images, parts, [&](Index image) LAMINA_INLINE_LAMBDA {
                const T* in = row(image);
                return detail::tree_reduce<Sum, Arch, T>(n, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
                    const V d = (simd::load_count<Arch>(in + i, lanes) - first) - middle;
                    return d * d;
                });
            });
            const T rstd = T(1) / T(__builtin_sqrt(squares / count + T(eps)));
            s.shift[c] = shift, s.mean[c] = mean, s.squares[c] = squares, s.rstd[c] = rstd;
            const V scale = weight ? rstd * weight[c] : rstd, offset = bias ? bias[c] : T(0);
            for (Index image = 0; image < images; ++image) {
                const T* in = row(image);
                T* out = y + (in - x);
                simd::row<Arch, T>(n, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
                    const V v = fma((simd::load_count<Arch>(in + i, lanes) - first) - middle, scale, offset);
                    if (stream && lanes == V::width) simd::stream(out + i, v);
                    else simd::store_count(out + i, v, lanes);
                });
            }
        }
        if (stream) simd::stream_fence();
    });
}

template <class Arch, class T>
void batch_norm_gradients(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* weight,
                          const T* dy, bool training, T* sum_dy, T* sum_dyh, T* dx, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    const Index images = g.rows / g.period, n = g.spatial;
    const T count = T(images * n);
    const bool stream = !accumulate && g.rows * n * Index(sizeof(T)) >= stream_threshold_bytes;
    parallel::for_range(g.period, parallel::grain_for(4 * images * n), [&](Index begin, Index end) {
        T* parts = parallel::scratch<T>(images, detail::channel_slot);
        for (Index c = begin; c < end; ++c) {
            const auto offset = [&](Index image) { return (image * g.period + c) * n; };
            const V first = s.shift[c], middle = s.mean[c], scale = s.rstd[c];
            const auto hat = [&](const T* in, auto lanes) LAMINA_INLINE_LAMBDA {
                return ((simd::load_count<Arch>(in, lanes) - first) - middle) * scale;
            };
            sum_dy[c] = detail::sum_over_images<Arch>(images, parts, [&](Index image) LAMINA_INLINE_LAMBDA {
                return detail::reduce_row<Sum, Arch>(n, dy + offset(image), T(0), AsIs{});
            });
            sum_dyh[c] = detail::sum_over_images<Arch>(images, parts, [&](Index image) LAMINA_INLINE_LAMBDA {
                const T *in = x + offset(image), *up = dy + offset(image);
                return detail::tree_reduce<Sum, Arch, T>(n, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
                    return hat(in + i, lanes) * simd::load_count<Arch>(up + i, lanes);
                });
            });
            if (!dx) continue;
            const T factor = s.rstd[c] * (weight ? weight[c] : T(1));
            const V a = factor, b = training ? -factor * sum_dyh[c] / count : T(0),
                    shared = training ? -factor * sum_dy[c] / count : T(0);
            for (Index image = 0; image < images; ++image) {
                const T *in = x + offset(image), *up = dy + offset(image);
                T* out = dx + offset(image);
                simd::row<Arch, T>(n, [&](Index i, auto lanes) LAMINA_INLINE_LAMBDA {
                    V v = fma(simd::load_count<Arch>(up + i, lanes), a, fma(hat(in + i, lanes), b, shared));
                    if (accumulate) v += simd::load_count<Arch>(out + i, lanes);
                    if (stream && lanes == V::width) simd::stream(out + i, v);
                    else simd::store_count(out + i, v, lanes);
                });
            }
        }
        if (stream) simd::stream_fence();
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
