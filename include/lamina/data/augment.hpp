#pragma once
// Random changes of images [C, H, W] that leave their meaning: flips, crops, colours; and mixtures of samples.
#include <lamina/core/create.hpp>
#include <lamina/random/rng.hpp>

#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::data {

/// The image mirrored left to right.
template <Real T>
Tensor<T, 3> flip_horizontal(const Tensor<T, 3>& image) {
    const Tensor<T, 3> dense = image.is_contiguous() ? image : image.clone();
    auto out = empty<T>(image.shape());
    const Index width = image.dim(2);
    T* y = out.mutable_data();
    for (Index row = 0; row < image.dim(0) * image.dim(1); ++row)
        std::reverse_copy(dense.data() + row * width, dense.data() + (row + 1) * width, y + row * width);
    return out;
}
/// The same with probability p.
template <Real T>
Tensor<T, 3> random_flip(const Tensor<T, 3>& image, random::Rng& rng, double p = 0.5) {
    return rng.bernoulli(p) ? flip_horizontal(image) : image;
}

/// The window [C, height, width] of the image whose corner is at (top, left), which may lie outside; `fill` there.
template <Real T>
Tensor<T, 3> crop(const Tensor<T, 3>& image, Index top, Index left, Index height, Index width, double fill = 0) {
    require<ValueError>(height >= 0 && width >= 0, "crop: height and width must not be negative but are ", height,
                        " and ", width);
    const Tensor<T, 3> dense = image.is_contiguous() ? image : image.clone();
    auto out = full<T>(Shape{image.dim(0), height, width}, T(fill));
    T* y = out.mutable_data();
    const Index rows = image.dim(1), columns = image.dim(2);
    const Index from = left > 0 ? 0 : -left, to = columns - left < width ? columns - left : width;
    for (Index c = 0; c < image.dim(0); ++c)
        for (Index r = 0; r < height; ++r) {
            const Index source = top + r;
            if (source < 0 || source >= rows || from >= to) continue;
            const T* row = dense.data() + (c * rows + source) * columns + left;
            std::copy(row + from, row + to, y + (c * height + r) * width + from);
        }
    return out;
}
/// A random window of the image's own size after `padding` more pixels of `fill` on every side: the standard
/// augmentation of CIFAR with padding 4.
template <Real T>
Tensor<T, 3> random_crop(const Tensor<T, 3>& image, random::Rng& rng, Index padding, double fill = 0) {
    const Index top = rng.integer(-padding, padding + 1), left = rng.integer(-padding, padding + 1);
    return crop(image, top, left, image.dim(1), image.dim(2), fill);
}

/// How far colours may move: factors are drawn from [max(0, 1 - x), 1 + x].
struct ColorJitter {
    double brightness = 0.4, contrast = 0.4, saturation = 0.4;
};
/// Brightness, contrast and saturation of an RGB image in [0, 1] by random factors, in random order; clamped to [0, 1]
/// after each (torchvision.transforms.ColorJitter without hue). Throws ShapeError unless the image has 3 channels.
template <Real T>
Tensor<T, 3> color_jitter(const Tensor<T, 3>& image, random::Rng& rng, const ColorJitter& o = {}) {
    require(image.dim(0) == 3, "color_jitter: the image must have 3 channels but has shape ", image.shape());
    auto out = image.clone();
    T* x = out.mutable_data();
    const Index plane = image.dim(1) * image.dim(2);
    const auto grey = [&](Index i) {
        return 0.2989 * double(x[i]) + 0.587 * double(x[plane + i]) + 0.114 * double(x[2 * plane + i]);
    };
    const auto blend = [&](Index i, double factor, double with) {
        const double v = factor * double(x[i]) + (1 - factor) * with;
        x[i] = T(v < 0 ? 0 : v > 1 ? 1 : v);
    };
    const auto factor = [&](double spread) { return rng.uniform<double>(spread < 1 ? 1 - spread : 0, 1 + spread); };
    int order[3] = {0, 1, 2};
    std::swap(order[2], order[rng.integer(0, 3)]);
    std::swap(order[1], order[rng.integer(0, 2)]);
    const double by[3] = {factor(o.brightness), factor(o.contrast), factor(o.saturation)};
    for (int kind : order) {
        double mean = 0;
        if (kind == 1)
            for (Index i = 0; i < plane; ++i) mean += grey(i) / double(plane);
        for (Index i = 0; i < plane; ++i) {
            const double with = kind == 0 ? 0 : kind == 1 ? mean : grey(i);
            for (Index c = 0; c < 3; ++c) blend(c * plane + i, by[kind], with);
        }
    }
    return out;
}

/// (x - mean[c]) / std[c] for every channel of [C, H, W]. Throws ShapeError for another number of channels.
template <Real T>
Tensor<T, 3> normalize_channels(const Tensor<T, 3>& image, const std::vector<double>& mean,
                                const std::vector<double>& std) {
    require(Index(mean.size()) == image.dim(0) && Index(std.size()) == image.dim(0),
            "normalize_channels: mean and std must have a number for each channel but have ", Index(mean.size()),
            " and ", Index(std.size()), " (image ", image.shape(), ")");
    auto out = image.clone();
    T* x = out.mutable_data();
    const Index plane = image.dim(1) * image.dim(2);
    for (Index c = 0; c < image.dim(0); ++c) {
        const T shift = T(mean[std::size_t(c)]), scale = T(1 / std[std::size_t(c)]);
        for (Index i = c * plane; i < (c + 1) * plane; ++i) x[i] = (x[i] - shift) * scale;
    }
    return out;
}

namespace detail {

/// A number of the gamma distribution of shape `a` and scale 1. G. Marsaglia, W. Tsang, ACM TOMS 26, 2000.
inline double draw_gamma(random::Rng& rng, double a) {
    if (a < 1) return draw_gamma(rng, a + 1) * std::pow(1 - rng.uniform<double>(), 1 / a);
    const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
        const double radius = std::sqrt(-2 * std::log(1 - rng.uniform<double>()));
        const double x = radius * std::cos(6.283185307179586 * rng.uniform<double>()), v = 1 + c * x;
        if (v <= 0) continue;
        const double cube = v * v * v, u = 1 - rng.uniform<double>();
        if (std::log(u) < 0.5 * x * x + d - d * cube + d * std::log(cube)) return d * cube;
    }
}

}  // namespace detail

/// A number of the beta distribution. Throws ValueError unless a and b are positive.
inline double draw_beta(random::Rng& rng, double a, double b) {
    require<ValueError>(a > 0 && b > 0, "draw_beta: a and b must be positive but are ", a, " and ", b);
    const double x = detail::draw_gamma(rng, a), y = detail::draw_gamma(rng, b);
    return x + y > 0 ? x / (x + y) : 0.5;
}

/// A batch mixed with itself in another order.
template <class T, int R>
struct Mixed {
    Tensor<T, R> inputs;   ///< share x[i] + (1 - share) x[other[i]]
    Tensor<T, 2> targets;  ///< the same of one-hot labels [N, classes]
    double share;
};
/// Mixup of a batch [N, …] and its labels [N] with a share drawn from Beta(alpha, alpha). H. Zhang et al., mixup:
/// Beyond Empirical Risk Minimization, ICLR 2018. Throws ShapeError for another number of labels, ValueError for a
/// label outside [0, classes).
template <Real T, int R>
Mixed<T, R> mixup(const Tensor<T, R>& inputs, const Tensor<std::int64_t, 1>& labels, Index classes, random::Rng& rng,
                  double alpha = 0.2) {
    const Index n = inputs.dim(0), each = n > 0 ? inputs.numel() / n : 0;
    require(labels.dim(0) == n, "mixup: there must be a label for each input but there are ", labels.shape(), " for ",
            inputs.shape());
    const double share = draw_beta(rng, alpha, alpha);
    std::vector<Index> other(static_cast<std::size_t>(n));
    for (Index i = 0; i < n; ++i) other[std::size_t(i)] = i;
    for (Index i = n - 1; i > 0; --i) std::swap(other[std::size_t(i)], other[std::size_t(rng.integer(0, i + 1))]);
    const Tensor<T, R> dense = inputs.is_contiguous() ? inputs : inputs.clone();
    Mixed<T, R> out{empty<T>(inputs.shape()), zeros<T>(Shape{n, classes}), share};
    T *y = out.inputs.mutable_data(), *t = out.targets.mutable_data();
    for (Index i = 0; i < n; ++i) {
        const Index j = other[std::size_t(i)];
        const T *a = dense.data() + i * each, *b = dense.data() + j * each;
        for (Index k = 0; k < each; ++k) y[i * each + k] = T(share) * a[k] + T(1 - share) * b[k];
        const std::int64_t first = labels(i), second = labels(j);
        require<ValueError>(first >= 0 && first < classes, "mixup: label ", i, " must lie in [0, ", classes,
                            ") but is ", first);
        require<ValueError>(second >= 0 && second < classes, "mixup: label ", j, " must lie in [0, ", classes,
                            ") but is ", second);
        t[i * classes + first] += T(share);
        t[i * classes + second] += T(1 - share);
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::data
