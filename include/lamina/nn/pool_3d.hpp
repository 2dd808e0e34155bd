#pragma once
// Pooling layers for volumes [N, C, D, H, W]; options are those of the ops.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/pool_3d.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Largest element of each window, `MaxPool3d{{.kernel = 2}}`.
struct MaxPool3d {
    static constexpr std::string_view kind = "MaxPool3d";
    MaxPool3dOptions options;
    template <Real T>
    Tensor<T, 5> operator()(const Tensor<T, 5>& x) const {
        return observed(*this, max_pool3d(x, options));
    }
    static void members(auto&, auto&&) {}
};

/// Mean of each window.
struct AvgPool3d {
    static constexpr std::string_view kind = "AvgPool3d";
    AvgPool3dOptions options;
    template <Real T>
    Tensor<T, 5> operator()(const Tensor<T, 5>& x) const {
        return observed(*this, avg_pool3d(x, options));
    }
    static void members(auto&, auto&&) {}
};

/// Means over a fixed number of windows.
struct AdaptiveAvgPool3d {
    static constexpr std::string_view kind = "AdaptiveAvgPool3d";
    Size3 output = 1;
    template <Real T>
    Tensor<T, 5> operator()(const Tensor<T, 5>& x) const {
        return observed(*this, adaptive_avg_pool3d(x, output));
    }
    static void members(auto&, auto&&) {}
};

/// Largest elements of a fixed number of windows.
struct AdaptiveMaxPool3d {
    static constexpr std::string_view kind = "AdaptiveMaxPool3d";
    Size3 output = 1;
    template <Real T>
    Tensor<T, 5> operator()(const Tensor<T, 5>& x) const {
        return observed(*this, adaptive_max_pool3d(x, output));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
