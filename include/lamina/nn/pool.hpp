#pragma once
// Pooling layers; options are those of the ops.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/lp_pool.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Largest element of each window, `MaxPool2d{{.kernel = 2}}`.
struct MaxPool2d {
    static constexpr std::string_view kind = "MaxPool2d";
    MaxPool2dOptions options;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, max_pool2d(x, options));
    }
    static void members(auto&, auto&&) {}
};

/// Mean of each window.
struct AvgPool2d {
    static constexpr std::string_view kind = "AvgPool2d";
    AvgPool2dOptions options;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, avg_pool2d(x, options));
    }
    static void members(auto&, auto&&) {}
};

/// Means over a fixed number of windows, `AdaptiveAvgPool2d{1}` for the whole plane.
struct AdaptiveAvgPool2d {
    static constexpr std::string_view kind = "AdaptiveAvgPool2d";
    Size2 output = 1;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, adaptive_avg_pool2d(x, output));
    }
    static void members(auto&, auto&&) {}
};

/// Largest elements of a fixed number of windows.
struct AdaptiveMaxPool2d {
    static constexpr std::string_view kind = "AdaptiveMaxPool2d";
    Size2 output = 1;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, adaptive_max_pool2d(x, output));
    }
    static void members(auto&, auto&&) {}
};

/// p-norm of each window, `LPPool2d{{.norm = 2, .kernel = 3}}`.
struct LPPool2d {
    static constexpr std::string_view kind = "LPPool2d";
    LpPool2dOptions options;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, lp_pool2d(x, options));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
