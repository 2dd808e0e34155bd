#pragma once
// The gradient of a strided convolution's input, which is also the transposed convolution. The places of the result
// fall into phases by their remainder modulo the stride; each is a convolution of stride 1 with some of the taps, and
// the phases are interleaved. Nothing is multiplied by inserted zeros, and nothing is scattered.
#include <lamina/kernels/conv/depthwise/depthwise.hpp>
#include <lamina/kernels/conv/direct/forward.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::kernels {

/// dx = dL/dx of a convolution of sizes `g`, or is added to when `accumulate`; then the epilogue on lanes of dx as
/// `epilogue(dx, input channel, position in the plane, count)`. For any stride, kernel, dilation and groups.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void strided_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate,
                        const Epilogue& epilogue = {});

namespace detail {

/// The places `first`, `first` + stride, … of an axis of dx, `count` of them, and the taps they see: tap `tap` and
/// every `step`-th after it. They are a convolution of dy with these taps turned round.
struct StridedPhase {
    Index first, count, tap, step, taps, pad, dilation;
};
inline StridedPhase strided_phase(Index in, Index kernel, Index stride, Index pad, Index dilation, Index phase) {
    StridedPhase p{};
    // Place i = stride q + phase - pad, for q from this one on.
    const Index q = pad > phase ? ceil_div(pad - phase, stride) : -((phase - pad) / stride);
    p.first = stride * q + phase - pad;
    p.count = p.first < in ? ceil_div(in - p.first, stride) : 0;
    while (p.tap < kernel && p.tap < stride && p.tap * dilation % stride != phase) ++p.tap;
    if (p.tap == stride || p.tap >= kernel) return p;
    for (p.step = 1; p.step * dilation % stride != 0;) ++p.step;
    p.taps = (kernel - 1 - p.tap) / p.step + 1;
    p.dilation = p.step * dilation / stride;
    // It sees dy at q - shift, where a tap's shift is (tap * dilation - phase) / stride.
    p.pad = (p.taps - 1) * p.dilation + (p.tap * dilation - phase) / stride - q;
    return p;
}

/// One transposed convolution.
template <class Arch, class T>
class StridedGradInput {
public:
    static constexpr int weight_slot = 5, plane_slot = 6, row_slot = 7;  ///< of parallel::scratch
    static constexpr Index bytes = 1 << 20;                              ///< of phases that are held at a time

    StridedGradInput(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate)
        : g_(g),
          dy_(dy),
          dx_(dx),
          accumulate_(accumulate),
          depthwise_(g.group_in() == 1 && g.group_out() == 1) {
        take_phases(w);
    }

    template <class Epilogue>
    void run(const Epilogue& epilogue) {
        const Index plane = ceil_div(g_.in_h, g_.stride_h) * ceil_div(g_.in_w, g_.stride_w);
        const Index image = g_.in_channels * plane;
        const Index images = larger(1, smaller(g_.batch, bytes / Index(sizeof(T)) / larger(1, image * g_.stride_w)));
        T* planes = parallel::scratch<T>(g_.stride_w * images * image, plane_slot);
        for (Index n = 0; n < g_.batch; n += images) {
            const Piece batch{n, smaller(n + images, g_.batch)};
            for (Index py = 0; py < g_.stride_h; ++py) {
                for (Index px = 0; px < g_.stride_w; ++px)
                    convolve(batch, phases_[std::size_t(py * g_.stride_w + px)], planes + px * images * image);
                interleave(batch, py, planes, images * image, epilogue);
            }
        }
    }

private:
    /// A pair of phases: its sizes as a convolution of dy, and its weights.
    struct Phase {
        StridedPhase h, w;
        Conv2dGeometry g;
        const T* taps;
        DirectWeights<T, Arch> packed;
    };

    void take_phases(const T* w) {
        T* to = parallel::scratch<T>(g_.out_channels * g_.depth(), weight_slot);
        phases_.resize(std::size_t(g_.stride_h * g_.stride_w));
        for (Index i = 0; i < g_.stride_h * g_.stride_w; ++i) {
            Phase& p = phases_[std::size_t(i)];
            p.h = strided_phase(g_.in_h, g_.kernel_h, g_.stride_h, g_.pad_h, g_.dilation_h, i / g_.stride_w);
            p.w = strided_phase(g_.in_w, g_.kernel_w, g_.stride_w, g_.pad_w, g_.dilation_w, i % g_.stride_w);
            p.g = {0, g_.out_channels, g_.out_h, g_.out_w,     g_.in_channels, p.h.taps,  p.w.taps,  1,
                   1, p.h.pad,         p.w.pad,  p.h.dilation, p.w.dilation,   g_.groups, p.h.count, p.w.count};
            p.taps = to;
            if (p.g.taps() == 0 || p.g.plane() == 0) continue;
            take_taps(p, w, to);
            if (!depthwise_) p.packed = packed_direct(DirectPlan<Arch, T>(p.g), DirectSource<T>{nullptr, to, true});
            to += g_.out_channels * g_.group_in() * p.g.taps();
        }
    }
    /// The taps of a phase from each of the kernels w. A depthwise convolution wants them turned round at once.
    void take_taps(const Phase& p, const T* w, T* to) const {
        const Index kernels = g_.out_channels * g_.group_in(), taps = p.g.taps();
        parallel::for_range(kernels, parallel::grain_for(taps), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) {
                const T* from = w + i * g_.taps();
                T* out = depthwise_ ? to + (i + 1) * taps - 1 : to + i * taps;
                for (Index y = p.h.tap; y < g_.kernel_h; y += p.h.step)
                    for (Index x = p.w.tap; x < g_.kernel_w; x += p.w.step) {
                        *out = from[y * g_.kernel_w + x];
                        out += depthwise_ ? -1 : 1;
                    }
            }
        });
    }

    /// Computes one phase of some images.
    void convolve(Piece batch, const Phase& p, T* planes) const {
        Conv2dGeometry g = p.g;
        g.batch = batch.size();
        const Index size = g.batch * g.out_channels * g.plane();
        const T* from = dy_ + batch.begin * g_.out_channels * g_.plane();
        if (size == 0) return;
        if (g.taps() == 0) fill_zero<Arch>(planes, size);
        else if (depthwise_) depthwise_forward<Arch>(g, from, p.taps, planes);
        else direct_forward<Arch>(g, from, p.packed, planes);
    }

    /// Puts the phases `py` of some images in their places.
    template <class Epilogue>
    void interleave(Piece batch, Index py, const T* planes, Index step, const Epilogue& epilogue) const {
        const Index channels = g_.in_channels;
        const Phase* phases = &phases_[std::size_t(py * g_.stride_w)];
        const StridedPhase& h = phases[0].h;
        const Index count = batch.size() * channels, grain = parallel::grain_for(h.count * g_.in_w);
        parallel::for_range(count, grain, [&](Index begin, Index end) {
            T* sums = accumulate_ ? parallel::scratch<T>(g_.in_w, row_slot) : nullptr;
            for (Index i = begin; i < end; ++i) {
                const Index n = batch.begin + i / channels, c = i % channels;
                const auto& of_image = epilogue_of_image(epilogue, n);
                const auto finish = erase_epilogue<Arch, T>(of_image);
                T* image = dx_ + n * channels * g_.in_plane();
                for (Index r = 0; r < h.count; ++r) {
                    const Index at = (h.first + r * g_.stride_h) * g_.in_w;
                    T* row = image + c * g_.in_plane() + at;
                    merge(phases, planes, step, i * h.count + r, sums ? sums : row);
                    if (sums)
                        simd::for_each_vec<Arch>(
                            g_.in_w, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a + b; }, row, (const T*)row,
                            (const T*)sums);
                    if (finish.apply) finish.apply(finish.self, image, g_.in_plane(), {c, c + 1}, {at, at + g_.in_w});
                }
            }
        });
    }

    /// A row of dx from row `r` of each phase, the phases' planes `step` elements apart.
    void merge(const Phase* phases, const T* planes, Index step, Index r, T* to) const {
        const Index stride = g_.stride_w;
        if (stride == 2) {
            // One of the two begins at 0, the other at 1.
            const Index even = phases[0].w.first, pairs = g_.in_w / 2;
            const T* a = planes + even * step + r * phases[even].w.count;
            const T* b = planes + (1 - even) * step + r * phases[1 - even].w.count;
            simd::row<Arch, T>(pairs, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const auto pair =
                    simd::interleave(simd::load_count<Arch>(a + i, count), simd::load_count<Arch>(b + i, count));
                const Index both = 2 * Index(count), lanes = simd::Vec<T, Arch>::width;
                if (both == 2 * lanes) {
                    simd::store(to + 2 * i, pair.first);
                    simd::store(to + 2 * i + lanes, pair.second);
                } else {
                    simd::store_partial(to + 2 * i, pair.first, smaller(both, lanes));
                    simd::store_partial(to + 2 * i + lanes, pair.second, larger(0, both - lanes));
                }
            });
            if (g_.in_w % 2 != 0) to[g_.in_w - 1] = a[pairs];
            return;
        }
        for (Index px = 0; px < stride; ++px) {
            const StridedPhase& w = phases[px].w;
            const T* from = planes + px * step + r * w.count;
            for (Index i = 0; i < w.count; ++i) to[w.first + i * stride] = from[i];
        }
    }

    std::vector<Phase> phases_;
    Conv2dGeometry g_;
    const T* dy_;
    T* dx_;
    bool accumulate_, depthwise_;
};

}  // namespace detail

template <class Arch, class T, class Epilogue>
void strided_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate,
                        const Epilogue& epilogue) {
    if (g.batch * g.in_channels * g.in_plane() > 0)
        detail::StridedGradInput<Arch, T>(g, dy, w, dx, accumulate).run(epilogue);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
