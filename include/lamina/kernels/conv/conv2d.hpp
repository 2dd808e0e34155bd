#pragma once
// Two-dimensional convolution by whichever kernel suits its sizes.
#include <lamina/kernels/conv/algorithm.hpp>
#include <lamina/kernels/conv/im2col.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y = w * x, then the epilogue on lanes of y as `epilogue(y, output channel, position in the plane, count)`.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void conv2d_forward(const Conv2dGeometry& g, ConvAlgorithm, const T* x, const T* w, T* y,
                    const Epilogue& epilogue = {});

/// dx = dL/dx, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void conv2d_grad_input(const Conv2dGeometry& g, ConvAlgorithm, const T* dy, const T* w, T* dx, bool accumulate);

/// dw = dL/dw, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void conv2d_grad_weight(const Conv2dGeometry& g, ConvAlgorithm, const T* dy, const T* x, T* dw, bool accumulate);

template <class Arch, class T, class Epilogue>
void conv2d_forward(const Conv2dGeometry& g, ConvAlgorithm, const T* x, const T* w, T* y, const Epilogue& epilogue) {
    im2col_forward<Arch>(g, x, w, y, epilogue);
}

template <class Arch, class T>
void conv2d_grad_input(const Conv2dGeometry& g, ConvAlgorithm, const T* dy, const T* w, T* dx, bool accumulate) {
    im2col_grad_input<Arch>(g, dy, w, dx, accumulate);
}

template <class Arch, class T>
void conv2d_grad_weight(const Conv2dGeometry& g, ConvAlgorithm, const T* dy, const T* x, T* dw, bool accumulate) {
    im2col_grad_weight<Arch>(g, dy, x, dw, accumulate);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
