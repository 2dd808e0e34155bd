#pragma once
// Transposed convolution: the gradient of a convolution with respect to its input, as a layer of its own.
#include <lamina/kernels/conv/conv2d.hpp>
#include <lamina/kernels/conv/strided.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [batch, in_channels, in_h, in_w] of the convolution `g` that x [batch, out_channels, out_h, out_w] would be the
/// result of, then the epilogue on lanes of y as `epilogue(y, channel, position in the plane, count)`. w is that
/// convolution's weight [out_channels, in_channels / groups, kernel_h, kernel_w].
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void conv_transpose2d_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue = {});

template <class Arch, class T, class Epilogue>
void conv_transpose2d_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue) {
    const int tile = detail::winograd_wanted<T>(g, ConvAlgorithm::automatic);
    if (tile == 0) return strided_grad_input<Arch>(g, x, w, y, false, epilogue);
    winograd_grad_input<Arch>(g, tile, x, w, y, false);
    if constexpr (!std::is_same_v<Epilogue, NoEpilogue>)
        parallel::for_range(g.batch * g.in_channels, parallel::grain_for(g.in_plane()), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) {
                const Index n = i / g.in_channels, c = i % g.in_channels;
                const auto& of_image = detail::epilogue_of_image(epilogue, n);
                const auto finish = detail::erase_epilogue<Arch, T>(of_image);
                finish.apply(finish.self, y + n * g.in_channels * g.in_plane(), g.in_plane(), {c, c + 1},
                             {0, g.in_plane()});
            }
        });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
