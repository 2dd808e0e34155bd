#pragma once
// Images brought to the size a detector wants without changing their proportions, and the way back for its boxes;
// normalisation of colours.
#include <lamina/core/size2.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/pad.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/vision/boxes.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Options of letterbox.
struct LetterboxOptions {
    Size2 size;                 ///< of the result
    double fill = 114.0 / 255;  ///< colour of the margins
    bool enlarge = true;        ///< smaller images grow; else they keep their size
    bool centred = true;        ///< margins on both sides; else the image lies at the top left
};

/// Where an image lies in its letterbox.
struct LetterboxPlace {
    Size2 image, size;                ///< of the image before, and of the result
    double scale_y = 1, scale_x = 1;  ///< exact, sides being whole pixels
    Index top = 0, left = 0;          ///< of the image in the result

    /// Boxes [N, 4] (x1, y1, x2, y2) of the image, in the letterbox. Throws ShapeError.
    template <Real T>
    Tensor<T, 2> place(const Tensor<T, 2>& boxes) const {
        detail::require_columns("LetterboxPlace", "boxes", boxes, 4);
        const T x = T(scale_x), y = T(scale_y), u = T(left), v = T(top);
        return boxes * Tensor<T, 1>{x, y, x, y} + Tensor<T, 1>{u, v, u, v};
    }
    /// Boxes [N, 4] of the letterbox, in the image and held to it. Throws ShapeError.
    template <Real T>
    Tensor<T, 2> restore(const Tensor<T, 2>& boxes) const {
        detail::require_columns("LetterboxPlace", "boxes", boxes, 4);
        const T x = T(1 / scale_x), y = T(1 / scale_y), u = T(left), v = T(top);
        return clip_boxes((boxes - Tensor<T, 1>{u, v, u, v}) * Tensor<T, 1>{x, y, x, y}, double(image.h),
                          double(image.w));
    }
};

/// Where an image of this size comes to lie. Throws ValueError for sizes that are not positive.
inline LetterboxPlace letterbox_place(Size2 image, const LetterboxOptions& o) {
    require<ValueError>(image.h > 0 && image.w > 0 && o.size.h > 0 && o.size.w > 0,
                        "letterbox: sizes must be positive (image ", image, ", size ", o.size, ")");
    const double fit_y = double(o.size.h) / double(image.h), fit_x = double(o.size.w) / double(image.w);
    double scale = fit_y < fit_x ? fit_y : fit_x;
    if (!o.enlarge && scale > 1) scale = 1;
    const auto side = [&](Index n, Index most) {
        const Index rounded = Index(double(n) * scale + 0.5);
        return rounded < 1 ? Index(1) : rounded < most ? rounded : most;
    };
    const Size2 inner{side(image.h, o.size.h), side(image.w, o.size.w)};
    LetterboxPlace place{image, o.size, double(inner.h) / double(image.h), double(inner.w) / double(image.w)};
    if (o.centred) place.top = (o.size.h - inner.h) / 2, place.left = (o.size.w - inner.w) / 2;
    return place;
}

/// An image in its letterbox.
template <class T>
struct Letterboxed {
    Tensor<T, 4> image;  ///< [N, C, h, w] of the options' size
    LetterboxPlace place;
};

/// Images [N, C, H, W] resized bilinearly into `size` with their proportions kept, the rest filled. Throws ValueError.
template <Real T>
Letterboxed<T> letterbox(const Tensor<T, 4>& images, const LetterboxOptions& o) {
    const auto place = letterbox_place({images.dim(2), images.dim(3)}, o);
    const Size2 inner{Index(place.scale_y * double(place.image.h) + 0.5),
                      Index(place.scale_x * double(place.image.w) + 0.5)};
    const auto resized = inner == place.image
                             ? images
                             : interpolate(images, {.size = {inner.h, inner.w}, .mode = InterpolateMode::linear});
    return {pad(resized, {place.left, o.size.w - inner.w - place.left, place.top, o.size.h - inner.h - place.top},
                {.value = o.fill}),
            place};
}

/// (x - mean[c]) / std[c] for channel c of `x` [N, C, H, W]. Throws ShapeError (torchvision.transforms.Normalize).
template <Real T>
Tensor<T, 4> normalize_channels(const Tensor<T, 4>& x, std::span<const double> mean, std::span<const double> std) {
    const Index channels = x.dim(1);
    require(Index(mean.size()) == channels && Index(std.size()) == channels,
            "normalize_channels: mean and std must have one number for each channel (", x.shape(), ", ", mean.size(),
            " and ", std.size(), ")");
    auto scale = empty<T>(Shape{1, channels, 1, 1}), shift = empty<T>(Shape{1, channels, 1, 1});
    for (Index c = 0; c < channels; ++c) {
        scale.mutable_data()[c] = T(1 / std[std::size_t(c)]);
        shift.mutable_data()[c] = T(mean[std::size_t(c)]);
    }
    return (x - shift) * scale;
}
template <Real T>
Tensor<T, 4> normalize_channels(const Tensor<T, 4>& x, std::initializer_list<double> mean,
                                std::initializer_list<double> std) {
    return normalize_channels(x, std::span<const double>(mean.begin(), mean.size()),
                              std::span<const double>(std.begin(), std.size()));
}

/// Means and deviations of RGB in [0, 1] over ImageNet, as most backbones expect them.
inline constexpr double imagenet_mean[] = {0.485, 0.456, 0.406}, imagenet_std[] = {0.229, 0.224, 0.225};

}  // namespace lamina::inline LAMINA_ABI::vision
