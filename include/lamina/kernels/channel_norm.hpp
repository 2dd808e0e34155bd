#pragma once
// What group norm and batch norm share. An array [rows, spatial], a row for each (image, channel); the statistics and
// factors of row r are those of entry r % period: period = channels for batch norm, all rows for group norm. Like layer
// norm, values are taken relative to a `shift` near their mean, so that a large mean costs no digits.
#include <lamina/kernels/policy.hpp>
#include <lamina/kernels/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Rows of `spatial` elements whose statistics repeat every `period` rows. `rows` is a multiple of `period`.
struct ChannelGeometry {
    Index rows, spatial, period;
};

/// Statistics by entry [period]: shift, mean relative to it, 1 / sqrt(variance + eps).
template <class T>
struct ChannelStatistics {
    const T *shift, *mean, *rstd;
};

/// sums[r] = sum over the row of (x - shift), or of (x - shift - mean)^2 where `mean` is not null.
template <class Arch = simd::native, class T>
void channel_moments(const ChannelGeometry& g, const T* x, const T* shift, const T* mean, T* sums);
/// The same for rows of one element.
template <class Arch = simd::native, class T>
void single_moments(const ChannelGeometry& g, const T* x, const T* shift, const T* mean, T* sums);
/// Leaves lanes as they are.
struct Unchanged {
    LAMINA_INLINE auto operator()(auto x) const { return x; }
};
/// y = f((x - shift - mean) scale + bias), `scale` and `bias` by entry, `f` on lanes.
template <class Arch = simd::native, class T, class F = Unchanged>
void channel_affine(const ChannelGeometry& g, const T* x, const T* shift, const T* mean, const T* scale, const T* bias,
                    T* y, const F& f = {});
/// sum_dy[r] = sum of dy, sum_dyh[r] = sum of dy h over the row, h = (x - shift - mean) rstd.
template <class Arch = simd::native, class T>
void channel_gradient_sums(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* dy, T* sum_dy,
                           T* sum_dyh);
/// The same for rows of one element.
template <class Arch = simd::native, class T>
void single_gradient_sums(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* dy, T* sum_dy,
                          T* sum_dyh);
/// dx (+)= a dy + b h + c, the factors by entry.
template <class Arch = simd::native, class T>
void channel_grad_input(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* dy, const T* a,
                        const T* b, const T* c, T* dx, bool accumulate);

namespace detail {

inline constexpr int channel_slot = 10;  ///< scratch of one sum for each image

/// Calls f(element, count, lanes) for runs of vectors of rows of one element, where lanes(p) are the entries' values
/// p[…] that belong to them.
template <class Arch, class T, class F>
void for_single_rows(const ChannelGeometry& g, F&& f) {
    parallel::for_range(g.rows / g.period, parallel::grain_for(2 * g.period), [&](Index begin, Index end) {
        for (Index block = begin; block < end; ++block)
            simd::row<Arch, T>(g.period, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                f(block * g.period + i, count,
                  [&](const T* p) LAMINA_INLINE_LAMBDA { return simd::load_count<Arch>(p + i, count); });
            });
    });
}
/// The same for rows of any length: lanes(p) are one value where there are more elements.
template <class Arch, class T, class F>
void for_channel_rows(const ChannelGeometry& g, bool stream, F&& f) {
    using V = simd::Vec<T, Arch>;
    if (g.spatial == 1) return for_single_rows<Arch, T>(g, f);
    parallel::for_range(g.rows, parallel::grain_for(2 * g.spatial), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) {
            const auto same = [e = r % g.period](const T* p) LAMINA_INLINE_LAMBDA { return V(p[e]); };
            simd::row<Arch, T>(g.spatial,
                               [&](Index i, auto count) LAMINA_INLINE_LAMBDA { f(r * g.spatial + i, count, same); });
        }
        if (stream) simd::stream_fence();
    });
}

}  // namespace detail

template <class Arch, class T>
void single_moments(const ChannelGeometry& g, const T* x, const T* shift, const T* mean, T* sums) {
    detail::for_single_rows<Arch, T>(g, [&](Index at, auto count, auto lanes) LAMINA_INLINE_LAMBDA {
        auto d = simd::load_count<Arch>(x + at, count) - lanes(shift);
        if (mean) d -= lanes(mean), d *= d;
        simd::store_count(sums + at, d, count);
    });
}

template <class Arch, class T>
void channel_moments(const ChannelGeometry& g, const T* x, const T* shift, const T* mean, T* sums) {
    using V = simd::Vec<T, Arch>;
    if (g.spatial == 1) return single_moments<Arch>(g, x, shift, mean, sums);
    parallel::for_range(g.rows, parallel::grain_for(g.spatial), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) {
            const T* in = x + r * g.spatial;
            const V first = shift[r % g.period], middle = mean ? mean[r % g.period] : T(0);
            sums[r] = detail::tree_reduce<Sum, Arch, T>(g.spatial, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V d = (simd::load_count<Arch>(in + i, count) - first) - middle;
                return mean ? d * d : d;
            });
        }
    });
}

template <class Arch, class T, class F>
void channel_affine(const ChannelGeometry& g, const T* x, const T* shift, const T* mean, const T* scale, const T* bias,
                    T* y, const F& f) {
    const bool stream = g.spatial > 1 && g.rows * g.spatial * Index(sizeof(T)) >= stream_threshold_bytes;
    const auto value = [&](Index at, auto count, const auto& lanes) LAMINA_INLINE_LAMBDA {
        return f(fma((simd::load_count<Arch>(x + at, count) - lanes(shift)) - lanes(mean), lanes(scale), lanes(bias)));
    };
    if (stream)
        detail::for_channel_rows<Arch, T>(g, true, [&](Index at, auto count, auto lanes) LAMINA_INLINE_LAMBDA {
            if constexpr (std::is_same_v<decltype(count), Index>)
                simd::store_partial(y + at, value(at, count, lanes), count);
            else simd::stream(y + at, value(at, count, lanes));
        });
    else
        detail::for_channel_rows<Arch, T>(g, false, [&](Index at, auto count, auto lanes) LAMINA_INLINE_LAMBDA {
            simd::store_count(y + at, value(at, count, lanes), count);
        });
}

template <class Arch, class T>
void single_gradient_sums(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* dy, T* sum_dy,
                          T* sum_dyh) {
    detail::for_single_rows<Arch, T>(g, [&](Index at, auto count, auto lanes) LAMINA_INLINE_LAMBDA {
        const auto up = simd::load_count<Arch>(dy + at, count);
        const auto h = ((simd::load_count<Arch>(x + at, count) - lanes(s.shift)) - lanes(s.mean)) * lanes(s.rstd);
        simd::store_count(sum_dy + at, up, count);
        simd::store_count(sum_dyh + at, up * h, count);
    });
}

template <class Arch, class T>
void channel_gradient_sums(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* dy, T* sum_dy,
                           T* sum_dyh) {
    using V = simd::Vec<T, Arch>;
    if (g.spatial == 1) return single_gradient_sums<Arch>(g, s, x, dy, sum_dy, sum_dyh);
    parallel::for_range(g.rows, parallel::grain_for(2 * g.spatial), [&](Index begin, Index end) {
        for (Index r = begin; r < end; ++r) {
            const T *in = x + r * g.spatial, *up = dy + r * g.spatial;
            const Index e = r % g.period;
            const V first = s.shift[e], middle = s.mean[e];
            sum_dy[r] = detail::reduce_row<Sum, Arch>(g.spatial, up, T(0), AsIs{});
            sum_dyh[r] =
                s.rstd[e] * detail::tree_reduce<Sum, Arch, T>(g.spatial, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    return ((simd::load_count<Arch>(in + i, count) - first) - middle) *
                           simd::load_count<Arch>(up + i, count);
                });
        }
    });
}

template <class Arch, class T>
void channel_grad_input(const ChannelGeometry& g, const ChannelStatistics<T>& s, const T* x, const T* dy, const T* a,
                        const T* b, const T* c, T* dx, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    detail::for_channel_rows<Arch, T>(g, false, [&](Index at, auto count, auto lanes) LAMINA_INLINE_LAMBDA {
        const V h = ((simd::load_count<Arch>(x + at, count) - lanes(s.shift)) - lanes(s.mean)) * lanes(s.rstd);
        V v = fma(simd::load_count<Arch>(dy + at, count), lanes(a), fma(h, lanes(b), lanes(c)));
        if (accumulate) v += simd::load_count<Arch>(dx + at, count);
        simd::store_count(dx + at, v, count);
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
