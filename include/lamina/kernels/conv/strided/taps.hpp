#pragma once
// The weights of a strided convolution sorted by phase, in one pass over them.
#include <lamina/kernels/conv/strided/plan.hpp>
#include <lamina/kernels/conv/strided_copy.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// A tap of every kernel and where it goes: from w[i * taps + from] to to[i * step + to] for kernel i.
struct TapMove {
    Index from, to, step;
};
/// Moves taps of the kernels [kernels), some kernels at a time, so that their lines stay in L1.
template <class T>
void move_taps(const std::vector<TapMove>& moves, Piece kernels, Index taps, const T* w, T* to) {
    constexpr Index block = 32;
    for (Index first = kernels.begin; first < kernels.end; first += block) {
        const Index end = smaller(first + block, kernels.end);
        for (const TapMove& m : moves) {
            const T* source = w + m.from;
            T* target = to + m.to;
            for (Index i = first; i < end; ++i) target[i * m.step] = source[i * taps];
        }
    }
}

/// The phases' weights one behind the other, each [out_channels, group_in, taps], turned round if `backwards`.
template <class Arch, class T>
void take_phase_taps(const StridedPlan<Arch, T>& plan, const T* w, T* to, bool backwards) {
    const Conv2dGeometry& g = plan.g();
    const Index kernels = g.out_channels * g.group_in();
    std::vector<TapMove> moves;
    Index base = 0;
    for (const auto& p : plan.phases) {
        const Index taps = p.g.taps();
        plan.each_tap(p, [&](Index y, Index x, Index tap) {
            const Index at = y * p.w.taps + x;
            moves.push_back({tap, base + (backwards ? taps - 1 - at : at), taps});
        });
        base += kernels * taps;
    }
    parallel::for_range(kernels, parallel::grain_for(g.taps()), [&](Index begin, Index end) {
        move_taps(moves, {begin, end}, g.taps(), w, to);
    });
}

/// All phases' taps as weights [phases, in_channels, out_channels, 3, 3] of one convolution.
template <class Arch, class T>
void take_winograd_taps(const StridedPlan<Arch, T>& plan, const T* w, T* to) {
    const Conv2dGeometry& g = plan.g();
    const Index out = g.out_channels, in = g.in_channels;
    std::vector<TapMove> moves;
    for (Index i = 0; i < plan.places(); ++i) {
        const auto& p = plan.phases[std::size_t(i)];
        plan.each_tap(p, [&](Index y, Index x, Index tap) {
            // Tap y of a phase, counted from its last, is at shift y * dilation - pad.
            const Index row = (p.h.taps - 1 - y) * p.h.dilation - p.h.pad + plan.winograd.pad_h;
            const Index column = (p.w.taps - 1 - x) * p.w.dilation - p.w.pad + plan.winograd.pad_w;
            moves.push_back({tap, i * in * out * 9 + row * 3 + column, 9});
        });
    }
    parallel::for_range(in, parallel::grain_for(9 * plan.places() * out), [&](Index c0, Index c1) {
        for (Index i = 0; i < plan.places(); ++i) fill_zero<Arch>(to + (i * in + c0) * out * 9, (c1 - c0) * out * 9);
        for (Index c = c0; c < c1; ++c) move_taps(moves, {0, out}, in * g.taps(), w + c * g.taps(), to + c * out * 9);
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
