#pragma once
// Initial values that give a convolution a meaning from the start: bilinear upsampling, nearest upsampling before a
// pixel shuffle, the identity.
#include <lamina/nn/init.hpp>

namespace lamina::inline LAMINA_ABI::nn::init {

/// Bilinear upsampling for a transposed convolution weight [in, out / groups, Kh, Kw] of kernel 2f - f % 2 and stride f
/// (Long et al. 2015). Meant for one channel a group; of more, the first `outputs` are filled alike and the others kept
/// (CenterNet fills one).
template <Real T>
void bilinear(Tensor<T, 4>& weight, Index outputs = 1) {
    const auto factor = [](Index i, Index kernel) {
        const Index half = (kernel + 1) / 2;
        const double centre = (2.0 * double(half) - 1 - double(half % 2)) / (2.0 * double(half));
        return 1 - std::abs(double(i) / double(half) - centre);
    };
    const Index h = weight.dim(2), w = weight.dim(3);
    auto values = weight.clone();
    T* to = values.mutable_data();
    for (Index i = 0; i < values.numel(); ++i)
        if (i / (h * w) % weight.dim(1) < outputs) to[i] = T(factor(i / w % h, h) * factor(i % w, w));
    weight.assign(values);
}

/// Nearest upsampling by `scale` through a convolution weight [channels scale², in, Kh, Kw] and pixel_shuffle (Aitken
/// et al. 2017): the filters of each result channel are copies of one, which `draw(filters)` sets, such as
/// `[&](auto& w) { init::kaiming_normal(w, rng); }`. Throws ShapeError when the channels do not divide.
template <Real T, class Draw>
void icnr(Tensor<T, 4>& weight, Index scale, Draw&& draw) {
    const Index copies = scale * scale;
    require(scale > 0 && weight.dim(0) % copies == 0, "icnr: output channels must be a multiple of scale² = ", copies,
            " but are ", weight.dim(0), " (weight ", weight.shape(), ")");
    Tensor<T, 4> filters = empty<T>(Shape{weight.dim(0) / copies, weight.dim(1), weight.dim(2), weight.dim(3)});
    draw(filters);
    const Index size = weight.dim(1) * weight.dim(2) * weight.dim(3);
    auto values = empty<T>(weight.shape());
    T* to = values.mutable_data();
    for (Index i = 0; i < values.numel(); ++i) to[i] = filters.data()[i / size / copies * size + i % size];
    weight.assign(values);
}

/// The identity for a convolution weight [out, in / groups, …]: one at the centre of the filter of each output's own
/// input, as many as there are inputs for; the rest zeros. Throws ValueError when outputs do not divide into groups
/// (torch.nn.init.dirac_).
template <Real T, int R>
void dirac(Tensor<T, R>& weight, Index groups = 1) {
    static_assert(R >= 3 && R <= 5, "dirac: weights of convolutions have 3 to 5 dimensions");
    require<ValueError>(groups > 0 && weight.dim(0) % groups == 0,
                        "dirac: output channels must divide into groups but are ", weight.dim(0), " in ", groups,
                        " (weight ", weight.shape(), ")");
    const Index out = weight.dim(0) / groups, in = weight.dim(1);
    Index centre = 0, size = 1;
    for (int d = 2; d < R; ++d) centre = centre * weight.dim(d) + weight.dim(d) / 2, size *= weight.dim(d);
    auto values = zeros<T>(weight.shape());
    T* to = values.mutable_data();
    for (Index group = 0; group < groups; ++group)
        for (Index c = 0; c < out && c < in; ++c) to[((group * out + c) * in + c) * size + centre] = T(1);
    weight.assign(values);
}

}  // namespace lamina::inline LAMINA_ABI::nn::init
