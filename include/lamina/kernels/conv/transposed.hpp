#pragma once
// Transposed convolution: the gradient of a convolution with respect to its input, as an operation of its own.
#include <lamina/kernels/conv/strided.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [batch, in_channels, in_h, in_w] of the convolution `g` that x [batch, out_channels, out_h, out_w] would be the
/// result of, then the epilogue on lanes of y as `epilogue(y, channel, position in the plane, count)`. `w` is that
/// convolution's weight [out_channels, in_channels / groups, kernel_h, kernel_w], or prepared by strided_prepare.
template <class Arch = simd::native, class T, class Weights, class Epilogue = NoEpilogue>
void conv_transpose2d_forward(const Conv2dGeometry& g, ConvAlgorithm algorithm, const T* x, const Weights& w, T* y,
                              const Epilogue& epilogue = {}) {
    strided_grad_input<Arch>(g, algorithm, x, w, y, false, epilogue);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
