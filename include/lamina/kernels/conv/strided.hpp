#pragma once
// The gradient of a strided convolution's input, which is also the transposed convolution. The places of the result
// fall into phases by their remainder modulo the stride; each is a convolution of stride 1 with some of the taps, and
// the phases are interleaved. Nothing is multiplied by inserted zeros, and nothing is scattered. Where every phase sees
// at most 3 x 3 places and has taps enough, all phases are one Winograd convolution.
#include <lamina/kernels/conv/depthwise/depthwise.hpp>
#include <lamina/kernels/conv/direct/forward.hpp>
#include <lamina/kernels/conv/strided/taps.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Weights laid out once for many calls with one `strided_choice`.
template <class T, class Arch = simd::native>
struct StridedWeights {
    std::vector<std::vector<T>> taps;            ///< of each phase; depthwise
    std::vector<DirectWeights<T, Arch>> phases;  ///< direct
    WinogradWeights<T, Arch> winograd;
};
template <class Arch = simd::native, class T>
StridedWeights<T, Arch> strided_prepare(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* w);

/// Sizes with equal choices can share prepared weights.
template <class T, class Arch = simd::native>
Index strided_choice(const Conv2dGeometry& g, ConvAlgorithm algorithm);

/// Is strided_grad_input likely to beat the product with the matrix of patches, as a gradient with weights that are
/// sorted anew in each call? It is right for all sizes.
inline bool strided_grad_input_pays(const Conv2dGeometry& g) {
    return g.stride_h * g.stride_w > 1 && g.taps() > 1 && g.group_in() >= 8 && g.batch * g.plane() >= 200;
}

/// dx = dL/dx of a convolution of sizes `g`, or is added to when `accumulate`; then the epilogue on lanes of dx as
/// `epilogue(dx, input channel, position in the plane, count)`. For any stride, kernel, dilation and groups.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void strided_grad_input(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const T* w, T* dx,
                        bool accumulate, const Epilogue& epilogue = {});
/// The same with weights prepared for the choice of these sizes.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void strided_grad_input(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const StridedWeights<T, Arch>& w,
                        T* dx, bool accumulate, const Epilogue& epilogue = {});

namespace detail {

/// Where the results of a phase are: planes with rows `pitch` apart.
template <class T>
struct PhasePlanes {
    const T* data;
    Index image, channel, pitch;
};

/// One transposed convolution.
template <class Arch, class T>
class StridedGradInput {
public:
    static constexpr int weight_slot = 5, plane_slot = 6, row_slot = 7;  ///< of parallel::scratch
    static constexpr Index bytes = 1 << 20;                              ///< of phases that are held at a time

    StridedGradInput(const StridedPlan<Arch, T>& plan, const T* dy, T* dx, bool accumulate)
        : plan_(plan),
          g_(plan.g()),
          dy_(dy),
          dx_(dx),
          accumulate_(accumulate) {}

    /// With prepared weights, or with w as it is.
    template <class Epilogue>
    void run(const StridedWeights<T, Arch>& ready, const T* w, const Epilogue& epilogue) {
        const Index held = plan_.uses_winograd ? plan_.places() : g_.stride_w;
        const Index plane = plan_.uses_winograd ? plan_.winograd.plane()
                                                : ceil_div(g_.in_h, g_.stride_h) * ceil_div(g_.in_w, g_.stride_w);
        const Index image = held * g_.in_channels * plane;
        const Index images = larger(1, smaller(g_.batch, bytes / Index(sizeof(T)) / larger(1, image)));
        T* planes = parallel::scratch<T>(images * image, plane_slot);
        sources_.resize(std::size_t(held));
        for (Index n = 0; n < g_.batch; n += images) {
            const Piece batch{n, smaller(n + images, g_.batch)};
            if (plan_.uses_winograd) convolve_all(batch, ready, w, planes);
            for (Index py = 0; py < g_.stride_h; ++py) {
                if (plan_.uses_winograd) {
                    interleave(batch, py, &sources_[std::size_t(py * g_.stride_w)], epilogue);
                    continue;
                }
                for (Index px = 0; px < g_.stride_w; ++px)
                    convolve(batch, py * g_.stride_w + px, ready, planes + px * images * g_.in_channels * plane,
                             sources_[std::size_t(px)]);
                interleave(batch, py, sources_.data(), epilogue);
            }
        }
    }

private:
    /// All phases of some images at once.
    void convolve_all(Piece batch, const StridedWeights<T, Arch>& ready, const T* w, T* planes) {
        Conv2dGeometry g = plan_.winograd;
        g.batch = batch.size();
        const T* from = dy_ + batch.begin * g.in_channels * g.in_plane();
        if (w) winograd_forward<Arch>(g, plan_.tile, from, w, planes);
        else winograd_forward<Arch>(g, from, ready.winograd, planes);
        const Index plane = g.plane(), channels = g_.in_channels;
        for (std::size_t i = 0; i < sources_.size(); ++i)
            sources_[i] = {planes + Index(i) * channels * plane, g.out_channels * plane, plane, g.out_w};
    }

    /// One phase of some images.
    void convolve(Piece batch, Index phase, const StridedWeights<T, Arch>& ready, T* planes,
                  PhasePlanes<T>& source) const {
        Conv2dGeometry g = plan_.phases[std::size_t(phase)].g;
        g.batch = batch.size();
        source = {planes, g.out_channels * g.plane(), g.plane(), g.out_w};
        const Index size = g.batch * g.out_channels * g.plane();
        const T* from = dy_ + batch.begin * g.in_channels * g.in_plane();
        if (size == 0) return;
        if (g.taps() == 0) fill_zero<Arch>(planes, size);
        else if (plan_.depthwise) depthwise_forward<Arch>(g, from, ready.taps[std::size_t(phase)].data(), planes);
        else direct_forward<Arch>(g, from, ready.phases[std::size_t(phase)], planes);
    }

    /// Puts the phases `py` of some images in their places.
    template <class Epilogue>
    void interleave(Piece batch, Index py, const PhasePlanes<T>* sources, const Epilogue& epilogue) const {
        const Index channels = g_.in_channels;
        const auto* phases = &plan_.phases[std::size_t(py * g_.stride_w)];
        const StridedPhase& h = phases[0].h;
        const Index count = batch.size() * channels, grain = parallel::grain_for(h.count * g_.in_w);
        parallel::for_range(count, grain, [&](Index begin, Index end) {
            T* sums = accumulate_ ? parallel::scratch<T>(g_.in_w, row_slot) : nullptr;
            for (Index i = begin; i < end; ++i) {
                const Index n = i / channels, c = i % channels;
                const auto& of_image = epilogue_of_image(epilogue, batch.begin + n);
                const auto finish = erase_epilogue<Arch, T>(of_image);
                T* image = dx_ + (batch.begin + n) * channels * g_.in_plane();
                for (Index r = 0; r < h.count; ++r) {
                    const Index at = (h.first + r * g_.stride_h) * g_.in_w;
                    T* row = image + c * g_.in_plane() + at;
                    const auto from = [&](Index px) {
                        return sources[px].data + n * sources[px].image + c * sources[px].channel +
                               r * sources[px].pitch;
                    };
                    merge(phases, from, sums ? sums : row);
                    if (sums)
                        simd::for_each_vec<Arch>(
                            g_.in_w, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a + b; }, row, (const T*)row,
                            (const T*)sums);
                    if (finish.apply) finish.apply(finish.self, image, g_.in_plane(), {c, c + 1}, {at, at + g_.in_w});
                }
            }
        });
    }

    /// A row of dx from the rows `from(px)` of its phases.
    template <class From>
    void merge(const typename StridedPlan<Arch, T>::Phase* phases, const From& from, T* to) const {
        const Index stride = g_.stride_w;
        if (stride == 2) {
            // One of the two begins at 0, the other at 1.
            const Index even = phases[0].w.first, pairs = g_.in_w / 2, lanes = simd::Vec<T, Arch>::width;
            const T *a = from(even), *b = from(1 - even);
            simd::row<Arch, T>(pairs, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const auto pair =
                    simd::interleave(simd::load_count<Arch>(a + i, count), simd::load_count<Arch>(b + i, count));
                const Index both = 2 * Index(count);
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
            const T* row = from(px);
            for (Index i = 0; i < w.count; ++i) to[w.first + i * stride] = row[i];
        }
    }

    const StridedPlan<Arch, T>& plan_;
    const Conv2dGeometry& g_;
    const T* dy_;
    T* dx_;
    bool accumulate_;
    std::vector<PhasePlanes<T>> sources_;
};

template <class Arch, class T>
StridedWeights<T, Arch> prepare_strided(const StridedPlan<Arch, T>& plan, const T* w) {
    StridedWeights<T, Arch> ready;
    const Conv2dGeometry& g = plan.g();
    const Index kernels = g.out_channels * g.group_in(), count = plan.places();
    if (plan.uses_winograd) {
        T* taps = parallel::scratch<T>(count * kernels * 9, StridedGradInput<Arch, T>::weight_slot);
        take_winograd_taps(plan, w, taps);
        ready.winograd = winograd_prepare<Arch>(plan.winograd, plan.tile, taps);
        return ready;
    }
    // A depthwise convolution wants its taps turned round at once.
    (plan.depthwise ? ready.taps.resize(std::size_t(count)) : ready.phases.resize(std::size_t(count)));
    T* taps = parallel::scratch<T>(kernels * g.taps(), StridedGradInput<Arch, T>::weight_slot);
    take_phase_taps(plan, w, taps, plan.depthwise);
    for (Index i = 0; i < count; ++i) {
        const Conv2dGeometry& p = plan.phases[std::size_t(i)].g;
        const Index size = kernels * p.taps();
        if (size > 0 && plan.depthwise) ready.taps[std::size_t(i)].assign(taps, taps + size);
        if (size > 0 && !plan.depthwise)
            ready.phases[std::size_t(i)] = packed_direct(DirectPlan<Arch, T>(p), DirectSource<T>{nullptr, taps, true});
        taps += size;
    }
    return ready;
}

}  // namespace detail

template <class Arch, class T>
StridedWeights<T, Arch> strided_prepare(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* w) {
    return detail::prepare_strided(detail::StridedPlan<Arch, T>(g, algorithm), w);
}

template <class T, class Arch>
Index strided_choice(const Conv2dGeometry& g, ConvAlgorithm algorithm) {
    const detail::StridedPlan<Arch, T> plan(g, algorithm);
    if (plan.uses_winograd) return plan.tile;
    Index choice = 1;
    for (const auto& p : plan.phases)
        choice = choice * 31 % (Index(1) << 40) +
                 (plan.depthwise || p.g.taps() == 0 ? 7 : 8 + detail::DirectPlan<Arch, T>(p.g).channel_lanes);
    return choice * 8 + 1;
}

template <class Arch, class T, class Epilogue>
void strided_grad_input(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const T* w, T* dx,
                        bool accumulate, const Epilogue& epilogue) {
    if (g.batch * g.in_channels * g.in_plane() == 0) return;
    const detail::StridedPlan<Arch, T> plan(g, algorithm);
    detail::StridedGradInput<Arch, T> job(plan, dy, dx, accumulate);
    if (!plan.uses_winograd) return job.run(detail::prepare_strided(plan, w), nullptr, epilogue);
    T* taps = parallel::scratch<T>(plan.places() * g.out_channels * g.group_in() * 9, job.weight_slot);
    detail::take_winograd_taps(plan, w, taps);
    job.run({}, taps, epilogue);
}

template <class Arch, class T, class Epilogue>
void strided_grad_input(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const StridedWeights<T, Arch>& w,
                        T* dx, bool accumulate, const Epilogue& epilogue) {
    if (g.batch * g.in_channels * g.in_plane() == 0) return;
    const detail::StridedPlan<Arch, T> plan(g, algorithm);
    detail::StridedGradInput<Arch, T>(plan, dy, dx, accumulate).run(w, nullptr, epilogue);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
