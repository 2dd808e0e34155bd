#pragma once
// How the gradient of a strided convolution's input falls into phases: places of the result with one remainder modulo
// the stride, each a convolution of stride 1 with some of the taps.
#include <lamina/kernels/conv/algorithm.hpp>
#include <lamina/kernels/conv/winograd/forward.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::kernels::detail {

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

/// The phases of one strided convolution.
template <class Arch, class T>
class StridedPlan {
public:
    /// A pair of phases, and its sizes as a convolution of dy.
    struct Phase {
        StridedPhase h, w;
        Conv2dGeometry g;
    };
    std::vector<Phase> phases;  ///< [stride_h, stride_w]
    bool depthwise;             ///< one channel to one channel
    Conv2dGeometry winograd;    ///< all phases as channels of one 3 x 3 convolution,
    bool uses_winograd;         ///< if that pays,
    int tile = 4;               ///< with this tile

    StridedPlan(const Conv2dGeometry& g, ConvAlgorithm algorithm)
        : depthwise(g.group_in() == 1 && g.group_out() == 1),
          winograd{},
          uses_winograd(false),
          g_(g) {
        for (Index py = 0; py < g.stride_h; ++py)
            for (Index px = 0; px < g.stride_w; ++px) {
                const auto h = strided_phase(g.in_h, g.kernel_h, g.stride_h, g.pad_h, g.dilation_h, py);
                const auto w = strided_phase(g.in_w, g.kernel_w, g.stride_w, g.pad_w, g.dilation_w, px);
                phases.push_back({h, w, phase_geometry(h, w)});
            }
        if (algorithm != ConvAlgorithm::direct) choose_winograd(algorithm);
    }
    const Conv2dGeometry& g() const { return g_; }
    Index places() const { return g_.stride_h * g_.stride_w; }

    /// Calls f(row, column, tap) for each tap of a phase: its place among those of the phase, and in the whole kernel.
    template <class F>
    void each_tap(const Phase& p, const F& f) const {
        for (Index i = 0, y = p.h.tap; i < p.h.taps; ++i, y += p.h.step)
            for (Index j = 0, x = p.w.tap; j < p.w.taps; ++j, x += p.w.step) f(i, j, y * g_.kernel_w + x);
    }

private:
    Conv2dGeometry phase_geometry(const StridedPhase& h, const StridedPhase& w) const {
        return {g_.batch, g_.out_channels, g_.out_h, g_.out_w,   g_.in_channels, h.taps,    w.taps,  1,
                1,        h.pad,           w.pad,    h.dilation, w.dilation,     g_.groups, h.count, w.count};
    }
    void choose_winograd(ConvAlgorithm algorithm) {
        Conv2dGeometry all = g_;
        all.in_channels = g_.out_channels, all.in_h = g_.out_h, all.in_w = g_.out_w;
        all.out_channels = places() * g_.in_channels;
        all.kernel_h = all.kernel_w = 3, all.stride_h = all.stride_w = all.dilation_h = all.dilation_w = 1;
        all.out_h = all.out_w = all.pad_h = all.pad_w = 0;
        for (const Phase& p : phases) {
            if (p.g.taps() == 0) return;
            all.pad_h = larger(all.pad_h, p.h.pad), all.pad_w = larger(all.pad_w, p.w.pad);
            all.out_h = larger(all.out_h, p.h.count), all.out_w = larger(all.out_w, p.w.count);
        }
        const auto fits = [](const StridedPhase& p, Index pad) { return (p.taps - 1) * p.dilation - p.pad + pad < 3; };
        for (const Phase& p : phases)
            if (!fits(p.h, all.pad_h) || !fits(p.w, all.pad_w)) return;
        if (!winograd_fits(all)) return;
        // F4 takes 2.25 multiplications a place instead of taps, but reads 36 numbers a kernel and place.
        const Index tiles = all.batch * ceil_div(all.out_h, 4) * ceil_div(all.out_w, 4);
        const bool pays = 4 * g_.taps() >= 13 * places() && tiles >= 12 && winograd_tile<T>(all) == 4;
        uses_winograd = algorithm == ConvAlgorithm::automatic ? pays : true;
        tile = algorithm == ConvAlgorithm::winograd_2 ? 2 : 4;
        winograd = all;
    }

    Conv2dGeometry g_;
};

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
