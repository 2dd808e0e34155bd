#pragma once
// The gradient of a convolution's input at stride 1: the convolution of the result's gradient with the weights turned
// round, input and output channels exchanged.
#include <lamina/kernels/conv/direct/forward.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Does direct_grad_input compute these sizes?
inline bool direct_grad_input_fits(const Conv2dGeometry& g) { return g.stride_h == 1 && g.stride_w == 1; }

/// dx = dL/dx, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void direct_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate);

template <class Arch, class T>
void direct_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate) {
    Conv2dGeometry back = g;
    back.in_channels = g.out_channels;
    back.out_channels = g.in_channels;
    back.in_h = g.out_h;
    back.in_w = g.out_w;
    back.out_h = g.in_h;
    back.out_w = g.in_w;
    // Negative where the margin was wider than the kernel reaches: then the outermost outputs are left out.
    back.pad_h = (g.kernel_h - 1) * g.dilation_h - g.pad_h;
    back.pad_w = (g.kernel_w - 1) * g.dilation_w - g.pad_w;
    detail::run_direct<Arch>(back, dy, detail::DirectSource<T>{nullptr, w, true}, dx, accumulate,
                             conv_finish<Arch, T>(NoEpilogue{}));
}

}  // namespace lamina::inline LAMINA_ABI::kernels
