#pragma once
// Two-dimensional convolution by whichever kernel suits its sizes: Winograd's transforms, a sum for each channel, or
// the plain sum.
#include <lamina/kernels/conv/algorithm.hpp>
#include <lamina/kernels/conv/depthwise/depthwise.hpp>
#include <lamina/kernels/conv/direct/grad_input.hpp>
#include <lamina/kernels/conv/direct/grad_weight.hpp>
#include <lamina/kernels/conv/im2col.hpp>
#include <lamina/kernels/conv/live_taps.hpp>
#include <lamina/kernels/conv/pixel_pairs.hpp>
#include <lamina/kernels/conv/strided.hpp>
#include <lamina/kernels/conv/whole.hpp>
#include <lamina/kernels/conv/winograd/forward.hpp>
#include <lamina/kernels/conv/winograd/grad_weight.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The kernel that computes a convolution, and how it wants its weights.
struct Conv2dChoice {
    enum class Kernel : std::uint8_t { direct, depthwise, winograd } kernel;
    std::uint8_t layout = 0;  ///< Winograd's tile; whether a direct convolution's lanes are channels
    bool operator==(const Conv2dChoice&) const = default;
};
template <class T, class Arch = simd::native>
Conv2dChoice conv2d_choice(const Conv2dGeometry& g, ConvAlgorithm algorithm);

/// Weights laid out once for many convolutions of one choice. Those that a kernel reads as they are must live on.
template <class T, class Arch = simd::native>
struct Conv2dWeights {
    Conv2dChoice choice;
    const T* plain;
    DirectWeights<T, Arch> direct;
    WinogradWeights<T, Arch> winograd;
};
template <class Arch = simd::native, class T>
Conv2dWeights<T, Arch> conv2d_prepare(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* w);

/// y = w * x, then the epilogue on lanes of y as `epilogue(y, output channel, position in the plane, count)`; an
/// epilogue with a member `image(n)` is asked for each image's own.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void conv2d_forward(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* x, const T* w, T* y,
                    const Epilogue& epilogue = {});
/// The same with weights prepared for the choice of these sizes.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void conv2d_forward(const Conv2dGeometry& g, const T* x, const Conv2dWeights<T, Arch>& w, T* y,
                    const Epilogue& epilogue = {});

/// dx = dL/dx, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void conv2d_grad_input(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const T* w, T* dx,
                       bool accumulate);

/// dw = dL/dw, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void conv2d_grad_weight(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const T* x, T* dw,
                        bool accumulate);

namespace detail {

/// The tile of Winograd's algorithm, or 0 when another one is better or wanted.
template <class T>
int winograd_wanted(const Conv2dGeometry& g, ConvAlgorithm algorithm) {
    if (algorithm == ConvAlgorithm::direct || !winograd_fits(g)) return 0;
    if (algorithm == ConvAlgorithm::automatic) return winograd_tile<T>(g);
    return algorithm == ConvAlgorithm::winograd_2 ? 2 : 4;
}

/// Calls `whole()` where that is enough, or `fewer(taps)` where taps can be left out; true when it did either.
template <class Whole, class Fewer>
bool conv2d_simpler(const Conv2dGeometry& g, ConvAlgorithm algorithm, Whole&& whole, Fewer&& fewer) {
    if (algorithm != ConvAlgorithm::automatic) return false;
    if (whole_fits(g)) return whole(), true;
    const LiveTaps taps(g);
    return taps.fewer() ? fewer(taps), true : false;
}
template <class T>
T* elements(const Ref<Storage>& storage) {
    return reinterpret_cast<T*>(storage->data());
}

}  // namespace detail

template <class T, class Arch>
Conv2dChoice conv2d_choice(const Conv2dGeometry& g, ConvAlgorithm algorithm) {
    using Kernel = Conv2dChoice::Kernel;
    if (const int tile = detail::winograd_wanted<T>(g, algorithm)) return {Kernel::winograd, std::uint8_t(tile)};
    if (depthwise_fits(g)) return {Kernel::depthwise};
    return {Kernel::direct, detail::DirectPlan<Arch, T>(g).channel_lanes};
}

template <class Arch, class T>
Conv2dWeights<T, Arch> conv2d_prepare(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* w) {
    Conv2dWeights<T, Arch> prepared{conv2d_choice<T, Arch>(g, algorithm), w, {}, {}};
    const auto& [kernel, layout] = prepared.choice;
    if (kernel == Conv2dChoice::Kernel::winograd) prepared.winograd = winograd_prepare<Arch>(g, layout, w);
    if (kernel == Conv2dChoice::Kernel::direct) prepared.direct = direct_prepare<Arch>(g, w);
    return prepared;
}

namespace detail {

template <class Arch, class T>
void conv2d_run(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* x, const T* w, T* y,
                const ConvFinish<T>& finish) {
    const auto fewer = [&](const LiveTaps& taps) {
        const auto live = taps.pick(w);
        conv2d_run<Arch>(taps.live, algorithm, x, elements<T>(live), y, finish);
    };
    if (conv2d_simpler(
            g, algorithm, [&] { whole_forward<Arch>(g, x, w, y, finish); }, fewer))
        return;
    const auto [kernel, layout] = conv2d_choice<T, Arch>(g, algorithm);
    switch (kernel) {
        case Conv2dChoice::Kernel::winograd: return winograd_forward<Arch>(g, layout, x, w, y, finish);
        case Conv2dChoice::Kernel::depthwise: return depthwise_forward<Arch>(g, x, w, y, finish);
        case Conv2dChoice::Kernel::direct: return direct_forward<Arch>(g, x, w, y, finish);
    }
}

template <class Arch, class T>
void conv2d_run(const Conv2dGeometry& g, const T* x, const Conv2dWeights<T, Arch>& w, T* y,
                const ConvFinish<T>& finish) {
    switch (w.choice.kernel) {
        case Conv2dChoice::Kernel::winograd: return winograd_forward<Arch>(g, x, w.winograd, y, finish);
        case Conv2dChoice::Kernel::depthwise: return depthwise_forward<Arch>(g, x, w.plain, y, finish);
        case Conv2dChoice::Kernel::direct: return direct_forward<Arch>(g, x, w.direct, y, finish);
    }
}

}  // namespace detail

template <class Arch, class T, class Epilogue>
void conv2d_forward(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* x, const T* w, T* y,
                    const Epilogue& epilogue) {
    detail::conv2d_run<Arch>(g, algorithm, x, w, y, conv_finish<Arch, T>(epilogue));
}
template <class Arch, class T, class Epilogue>
void conv2d_forward(const Conv2dGeometry& g, const T* x, const Conv2dWeights<T, Arch>& w, T* y,
                    const Epilogue& epilogue) {
    detail::conv2d_run<Arch>(g, x, w, y, conv_finish<Arch, T>(epilogue));
}

template <class Arch, class T>
void conv2d_grad_input(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const T* w, T* dx,
                       bool accumulate) {
    const auto fewer = [&](const LiveTaps& taps) {
        const auto live = taps.pick(w);
        conv2d_grad_input<Arch>(taps.live, algorithm, dy, detail::elements<T>(live), dx, accumulate);
    };
    if (detail::conv2d_simpler(
            g, algorithm, [&] { whole_grad_input<Arch>(g, dy, w, dx, accumulate); }, fewer))
        return;
    if (const int tile = detail::winograd_wanted<T>(g, algorithm))
        return winograd_grad_input<Arch>(g, tile, dy, w, dx, accumulate);
    if (depthwise_fits(g)) return depthwise_grad_input<Arch>(g, dy, w, dx, accumulate);
    if (direct_grad_input_fits(g) && !g.pointwise()) return direct_grad_input<Arch>(g, dy, w, dx, accumulate);
    if (strided_grad_input_pays(g)) return strided_grad_input<Arch>(g, algorithm, dy, w, dx, accumulate);
    im2col_grad_input<Arch>(g, dy, w, dx, accumulate);
}

template <class Arch, class T>
void conv2d_grad_weight(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* dy, const T* x, T* dw,
                        bool accumulate) {
    const auto fewer = [&](const LiveTaps& taps) {
        const auto live = taps.room<T>();
        conv2d_grad_weight<Arch>(taps.live, algorithm, dy, x, detail::elements<T>(live), false);
        taps.spread(detail::elements<T>(live), dw, accumulate);
    };
    if (detail::conv2d_simpler(
            g, algorithm, [&] { whole_grad_weight<Arch>(g, dy, x, dw, accumulate); }, fewer))
        return;
    if (algorithm == ConvAlgorithm::automatic && pixel_pairs_pay(g))
        return pixel_pairs_grad_weight<Arch>(g, dy, x, dw, accumulate);
    if (detail::winograd_wanted<T>(g, algorithm)) return winograd_grad_weight<Arch>(g, dy, x, dw, accumulate);
    if (depthwise_fits(g)) return depthwise_grad_weight<Arch>(g, dy, x, dw, accumulate);
    if (direct_grad_weight_fits(g)) return direct_grad_weight<Arch>(g, dy, x, dw, accumulate);
    im2col_grad_weight<Arch>(g, dy, x, dw, accumulate);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
