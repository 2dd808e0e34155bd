#pragma once
// Convolution by a kernel that covers the whole image, so that each image has one output a channel: a product of
// matrices [batch, depth] and [out_channels, depth].
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/gemm/gemm.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Does a convolution of these sizes see each image as a whole, once?
inline bool whole_fits(const Conv2dGeometry& g) {
    const bool covered = g.kernel_h == g.in_h && g.kernel_w == g.in_w && g.pad_h == 0 && g.pad_w == 0;
    const bool dense = (g.dilation_h == 1 || g.kernel_h == 1) && (g.dilation_w == 1 || g.kernel_w == 1);
    return covered && dense && g.groups == 1 && g.plane() == 1;
}

/// y = w * x, then the epilogue, called as conv2d_forward's.
template <class Arch = simd::native, class T, class Epilogue>
void whole_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue);

/// dx = dL/dx, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void whole_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate);

/// dw = dL/dw, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void whole_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate);

template <class Arch, class T, class Epilogue>
void whole_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue) {
    const Index depth = g.depth(), out = g.out_channels;
    gemm<Arch>({g.batch, out, depth}, row_major(x, depth), transposed(w, depth), y, out);
    if constexpr (!std::is_same_v<Epilogue, NoEpilogue>) {
        for (Index n = 0; n < g.batch; ++n) {
            const auto& finish = detail::epilogue_of_image(epilogue, n);
            using Finish = std::decay_t<decltype(finish)>;
            detail::apply_epilogue<Arch, T, Finish>(&finish, y + n * out, 1, {0, out}, {0, 1});
        }
    }
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
