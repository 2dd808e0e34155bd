#pragma once
// Layers that resize; options are those of interpolate.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/interpolate.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// `Upsample{{.scale_factor = 2, .mode = InterpolateMode::bilinear}}`; nearest by default (torch.nn.Upsample).
struct Upsample {
    static constexpr std::string_view kind = "Upsample";
    InterpolateOptions options;
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, interpolate(x, options));
    }
    static void members(auto&, auto&&) {}
};

/// Nearest pixels, `UpsamplingNearest2d{.scale_factor = 2}`.
struct UpsamplingNearest2d {
    static constexpr std::string_view kind = "UpsamplingNearest2d";
    PerDimension<Index> size{};
    PerDimension<double> scale_factor{};
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, interpolate(x, {.size = size, .scale_factor = scale_factor}));
    }
    static void members(auto&, auto&&) {}
};

/// Bilinear with aligned corners, unlike Upsample's default, as in PyTorch: `UpsamplingBilinear2d{.scale_factor = 2}`.
struct UpsamplingBilinear2d {
    static constexpr std::string_view kind = "UpsamplingBilinear2d";
    PerDimension<Index> size{};
    PerDimension<double> scale_factor{};
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, interpolate(x, {.size = size,
                                               .scale_factor = scale_factor,
                                               .mode = InterpolateMode::bilinear,
                                               .coordinates = PixelCoordinates::align_corners}));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
