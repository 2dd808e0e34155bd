#pragma once
// Depthwise convolution: every output channel sees one input channel. Forward and both gradients walk over planes
// copied into L1; nothing else is packed.
#include <lamina/kernels/conv/depthwise/direct_tile.hpp>
#include <lamina/kernels/conv/depthwise/tile.hpp>
#include <lamina/kernels/conv/depthwise/weight_tile.hpp>
#include <lamina/kernels/conv/finish.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Does every output channel see just one input channel, output o the input o / (out_channels / in_channels)?
inline bool depthwise_fits(const Conv2dGeometry& g) { return g.group_in() == 1; }

/// y = w * x, then the epilogue on lanes of y as `epilogue(y, output channel, position in the plane, count)`.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void depthwise_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue = {});

/// dx = dL/dx, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void depthwise_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate);

/// dw = dL/dw, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void depthwise_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate);

namespace detail {

inline constexpr int depthwise_column_slot = 13, depthwise_weight_slot = 14;  ///< of parallel::scratch

/// Convolves planes held by a strip.
template <class Arch, class T>
class DepthwiseRows {
public:
    explicit DepthwiseRows(const DepthwisePlane& plane)
        : h_(plane.h),
          w_(plane.w),
          strip_(plane),
          tiles_(depthwise_tiles<Arch, T>(plane.h)) {
        columns_ = parallel::scratch<Index>(w_.kernel, depthwise_column_slot);
        for (Index k = 0; k < w_.kernel; ++k) columns_[k] = strip_.column(k);
    }
    Index rows() const { return strip_.rows(); }
    Index planes() const { return strip_.planes(); }
    void fill(Index at, const T* plane, Index first, Index count) { strip_.fill(at, plane, first, count); }

    /// y's rows [first, first + count), which the strip begins with.
    void run(Index plane, const T* weight, T* y, Index first, Index count, bool accumulate) const {
        DepthwiseTask<T> task{strip_.at(plane, 0),
                              strip_.pitch(),
                              strip_.pitch() * h_.stride,
                              strip_.pitch() * h_.dilation,
                              columns_,
                              h_.kernel,
                              w_.kernel,
                              weight,
                              y + first * w_.out,
                              w_.out,
                              accumulate};
        for (Index left = count; left > 0;) {
            const Index rows = left >= 7 ? 7 : left >= 3 ? 3 : 1;
            (rows == 7 ? tiles_.seven : rows == 3 ? tiles_.three : tiles_.one)(task);
            task.strip += rows * task.row_step;
            task.y += rows * w_.out;
            left -= rows;
        }
    }

    /// Adds the weights' gradients of `count` output rows, which the strip begins with, to `dw`.
    void add_weights(Index plane, const T* dy, Index count, T* dw) const {
        depthwise_weight_tiles<Arch>(DepthwiseWeightTask<T>{strip_.at(plane, 0), strip_.pitch() * h_.stride,
                                                            strip_.pitch() * h_.dilation, columns_, dy, count, w_.out},
                                     h_.kernel, w_.kernel, dw);
    }

private:
    DepthwiseAxis h_, w_;
    DepthwiseStrip<Arch, T> strip_;
    DepthwiseTiles<T> tiles_;
    Index* columns_;
};

/// Calls f(begin, end, rows) for ranges of `count` items, where `rows` convolves planes in the way that suits them
/// best.
template <class Arch, class T, class F>
void depthwise_ranges(const DepthwisePlane& plane, Index count, Index work, const F& f) {
    using Narrow = typename depthwise_arch<Arch>::type;
    const Index grain = parallel::grain_for(work / simd::Vec<T, Narrow>::width);
    const auto with = [&]<class Rows>(const Rows*) {
        parallel::for_range(count, grain, [&](Index begin, Index end) {
            Rows rows(plane);
            f(begin, end, rows);
        });
    };
    if constexpr (simd::has_masked_loads<Arch>) {
        if (DepthwiseDirect<Arch, T>::fits(plane)) return with((const DepthwiseDirect<Arch, T>*)nullptr);
    }
    with((const DepthwiseRows<Narrow, T>*)nullptr);
}

}  // namespace detail

namespace detail {

template <class Arch, class T>
void depthwise_run(const Conv2dGeometry& g, const T* x, const T* w, T* y, const ConvFinish<T>& finish) {
    const Index multiplier = g.out_channels / g.in_channels, work = multiplier * g.plane() * g.taps();
    const auto range = [&](Index begin, Index end, auto& rows) {
        for (Index p = begin; p < end;) {
            // Planes of one image that fit together.
            const Index n = p / g.in_channels, c = p - n * g.in_channels;
            const Index planes = smaller(smaller(rows.planes(), end - p), g.in_channels - c);
            T* image = y + n * g.out_channels * g.plane();
            for (Index first = 0; first < g.out_h; first += rows.rows()) {
                const Index count = smaller(rows.rows(), g.out_h - first);
                for (Index i = 0; i < planes; ++i) rows.fill(i, x + (p + i) * g.in_plane(), first, count);
                for (Index i = 0; i < planes; ++i)
                    for (Index o = (c + i) * multiplier; o < (c + i + 1) * multiplier; ++o) {
                        rows.run(i, w + o * g.taps(), image + o * g.plane(), first, count, false);
                        T* done = image + o * g.plane() + first * g.out_w;
                        if (finish.epilogue)
                            finish.move(finish.epilogue, n, done, 0, done, 0, {o, o + 1},
                                        {first * g.out_w, (first + count) * g.out_w});
                    }
            }
            p += planes;
        }
    };
    depthwise_ranges<Arch, T>(forward_plane(g), g.batch * g.in_channels, work, range);
}

}  // namespace detail

template <class Arch, class T, class Epilogue>
void depthwise_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue) {
    detail::depthwise_run<Arch>(g, x, w, y, conv_finish<Arch, T>(epilogue));
}

template <class Arch, class T>
void depthwise_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate) {
    const Index multiplier = g.out_channels / g.in_channels, taps = g.taps();
    const auto range = [&](Index begin, Index end, auto& rows) {
        T* turned = parallel::scratch<T>(taps, detail::depthwise_weight_slot);
        for (Index p = begin; p < end; p += rows.planes()) {
            const Index planes = detail::smaller(rows.planes(), end - p);
            for (Index first = 0; first < g.in_h; first += rows.rows()) {
                const Index count = detail::smaller(rows.rows(), g.in_h - first);
                for (Index m = 0; m < multiplier; ++m) {
                    for (Index i = 0; i < planes; ++i)
                        rows.fill(i, dy + ((p + i) * multiplier + m) * g.plane(), first, count);
                    for (Index i = 0; i < planes; ++i) {
                        const T* weight = w + ((p + i) % g.in_channels * multiplier + m) * taps;
                        for (Index k = 0; k < taps; ++k) turned[k] = weight[taps - 1 - k];
                        rows.run(i, turned, dx + (p + i) * g.in_plane(), first, count, accumulate || m > 0);
                    }
                }
            }
        }
    };
    const Index work = multiplier * g.in_plane() * taps;
    detail::depthwise_ranges<Arch, T>(detail::gradient_plane(g), g.batch * g.in_channels, work, range);
}

template <class Arch, class T>
void depthwise_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate) {
    using Rows = typename detail::depthwise_arch<Arch>::type;
    const detail::DepthwisePlane plane = detail::forward_plane(g);
    const Index multiplier = g.out_channels / g.in_channels, taps = g.taps();
    const Index work = g.batch * multiplier * g.plane() * taps / simd::Vec<T, Rows>::width;
    // A task owns channels, so nothing is added to by two.
    parallel::for_range(g.in_channels, parallel::grain_for(work), [&](Index begin, Index end) {
        detail::DepthwiseRows<Rows, T> rows(plane);
        if (!accumulate)
            for (Index k = begin * multiplier * taps; k < end * multiplier * taps; ++k) dw[k] = T(0);
        for (Index n = 0; n < g.batch; ++n)
            for (Index c = begin; c < end; c += rows.planes()) {
                const Index planes = detail::smaller(rows.planes(), end - c);
                for (Index first = 0; first < g.out_h; first += rows.rows()) {
                    const Index count = detail::smaller(rows.rows(), g.out_h - first);
                    for (Index i = 0; i < planes; ++i)
                        rows.fill(i, x + (n * g.in_channels + c + i) * g.in_plane(), first, count);
                    for (Index o = c * multiplier; o < (c + planes) * multiplier; ++o) {
                        const T* grad = dy + (n * g.out_channels + o) * g.plane() + first * g.out_w;
                        rows.add_weights(o / multiplier - c, grad, count, dw + o * taps);
                    }
                }
            }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
