#pragma once
// Convolution by a kernel that covers the whole image, so that each image has one output a channel: a product of
// matrices [batch, depth] and [out_channels, depth].
#include <lamina/kernels/conv/finish.hpp>
#include <lamina/kernels/gemm/gemm.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Does a convolution of these sizes see each image as a whole, once?
inline bool whole_fits(const Conv2dGeometry& g) {
    const bool covered = g.kernel_h == g.in_h && g.kernel_w == g.in_w && g.pad_h == 0 && g.pad_w == 0;
    const bool dense = (g.dilation_h == 1 || g.kernel_h == 1) && (g.dilation_w == 1 || g.kernel_w == 1);
    return covered && dense && g.groups == 1 && g.plane() == 1;
}

/// y = w * x, then the epilogue.
template <class Arch = simd::native, class T>
void whole_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const ConvFinish<T>& finish);

/// dx = dL/dx, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void whole_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate);

/// dw = dL/dw, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void whole_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate);

template <class Arch, class T>
void whole_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const ConvFinish<T>& finish) {
    const Index depth = g.depth(), out = g.out_channels;
    gemm<Arch>({g.batch, out, depth}, row_major(x, depth), transposed(w, depth), y, out);
    if (!finish.epilogue) return;
    for (Index n = 0; n < g.batch; ++n, y += out) finish.move(finish.epilogue, n, y, 1, y, 1, {0, out}, {0, 1});
}

template <class Arch, class T>
void whole_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate) {
    const Index depth = g.depth(), out = g.out_channels;
    gemm<Arch>({g.batch, depth, out}, row_major(dy, out), row_major(w, depth), dx, depth, accumulate);
}

template <class Arch, class T>
void whole_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate) {
    const Index depth = g.depth(), out = g.out_channels;
    gemm<Arch>({out, depth, g.batch}, transposed(dy, out), row_major(x, depth), dw, depth, accumulate);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
