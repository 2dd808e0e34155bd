#pragma once
// Taps of a kernel that meet nothing but margins, as the outer ones do in the last stages of a network over small
// images: a 3x3 convolution of images of one pixel is a pointwise one. They are left out of what is computed.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The rectangle of taps outside of which none meets the image.
struct LiveTaps {
    Conv2dGeometry all, live;  ///< sizes with all taps, and with those of the rectangle
    Index top = 0, left = 0;   ///< its first tap

    explicit LiveTaps(const Conv2dGeometry& g) : all(g), live(g) {
        top = cut(g.in_h, g.out_h, g.stride_h, g.dilation_h, live.kernel_h, live.pad_h);
        left = cut(g.in_w, g.out_w, g.stride_w, g.dilation_w, live.kernel_w, live.pad_w);
    }
    /// Is there anything to leave out?
    bool fewer() const { return live.taps() < all.taps(); }

    /// Weights of the live taps.
    template <class T>
    Ref<Storage> pick(const T* w) const {
        auto storage = room<T>();
        T* const to = reinterpret_cast<T*>(storage->data());
        each_run([&](Index begin, Index end) {
            for (Index i = 0; i < live.taps(); ++i) {
                const T* const from = w + place(i);
                for (Index plane = begin; plane < end; ++plane) to[plane * live.taps() + i] = from[plane * all.taps()];
            }
        });
        return storage;
    }
    /// Room for them, or for their gradients.
    template <class T>
    Ref<Storage> room() const {
        return Storage::allocate(std::size_t(planes() * live.taps()) * sizeof(T));
    }
    /// Gradients of the live taps to those of all, whose others are zero; adds when `accumulate`.
    template <class T>
    void spread(const T* from, T* dw, bool accumulate) const {
        each_run([&](Index begin, Index end) {
            for (Index i = begin * all.taps(); i < end * all.taps() && !accumulate; ++i) dw[i] = T(0);
            for (Index i = 0; i < live.taps(); ++i) {
                T* const to = dw + place(i);
                for (Index plane = begin; plane < end; ++plane) to[plane * all.taps()] += from[plane * live.taps() + i];
            }
        });
    }

private:
    /// Cuts one direction and returns the first tap that is left; leaves alone what would need a negative margin.
    static Index cut(Index in, Index out, Index stride, Index dilation, Index& kernel, Index& pad) {
        Index first = 0, last = kernel - 1;
        while (first < last && (out - 1) * stride + first * dilation - pad < 0) ++first;
        while (last > first && last * dilation - pad >= in) --last;
        if (first * dilation > pad) return 0;
        kernel = last - first + 1;
        pad -= first * dilation;
        return first;
    }
    Index planes() const { return all.out_channels * all.group_in(); }
    /// Where live tap i stands among all.
    Index place(Index i) const { return (top + i / live.kernel_w) * all.kernel_w + left + i % live.kernel_w; }
    /// Calls f(begin, end) for runs of planes whose taps fit L1.
    template <class F>
    void each_run(F f) const {
        const Index run = 1 + 2048 / all.taps();
        parallel::for_range(planes(), parallel::grain_for(all.taps()), [&](Index begin, Index end) {
            for (Index plane = begin; plane < end; plane += run) f(plane, plane + run < end ? plane + run : end);
        });
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
