#pragma once
// Images as files have them, [H, W, C] bytes, and as networks take them, [C, H, W] numbers.
#include <lamina/core/create.hpp>

namespace lamina::inline LAMINA_ABI::io {

/// Bytes [H, W, C] as planes [C, H, W], times `scale`; the default maps 0..255 to 0..1.
template <Real T = float>
Tensor<T, 3> to_planes(const Tensor<std::uint8_t, 3>& image, std::type_identity_t<T> scale = T(1) / T(255)) {
    const auto pixels = image.is_contiguous() ? image : image.clone();
    const Index channels = pixels.dim(2), count = pixels.dim(0) * pixels.dim(1);
    auto out = empty<T>(Shape{channels, pixels.dim(0), pixels.dim(1)});
    T* y = out.mutable_data();
    for (Index c = 0; c < channels; ++c)
        for (Index i = 0; i < count; ++i) y[c * count + i] = T(pixels.data()[i * channels + c]) * scale;
    return out;
}

/// Planes [C, H, W] as bytes [H, W, C]: values times `scale`, rounded and clamped to 0..255; NaN becomes 0.
template <Real T>
Tensor<std::uint8_t, 3> to_pixels(const Tensor<T, 3>& planes, std::type_identity_t<T> scale = T(255)) {
    const auto dense = planes.is_contiguous() ? planes : planes.clone();
    const Index channels = dense.dim(0), count = dense.dim(1) * dense.dim(2);
    auto out = empty<std::uint8_t>(Shape{dense.dim(1), dense.dim(2), channels});
    std::uint8_t* y = out.mutable_data();
    for (Index c = 0; c < channels; ++c)
        for (Index i = 0; i < count; ++i) {
            const T value = dense.data()[c * count + i] * scale + T(0.5);
            y[i * channels + c] = value >= T(255) ? 255 : value > T(0) ? std::uint8_t(value) : 0;
        }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::io
