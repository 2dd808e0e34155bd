#pragma once
// Pooling layers for signals [N, C, L]; options are those of the ops.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/lp_pool.hpp>
#include <lamina/ops/pool_1d.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Largest element of each window, `MaxPool1d{{.kernel = 2}}`.
struct MaxPool1d {
    static constexpr std::string_view kind = "MaxPool1d";
    MaxPool1dOptions options;
    template <Real T>
    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, max_pool1d(x, options));
    }
    static void members(auto&, auto&&) {}
};

/// Mean of each window.
struct AvgPool1d {
    static constexpr std::string_view kind = "AvgPool1d";
    AvgPool1dOptions options;
    template <Real T>
    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, avg_pool1d(x, options));
    }
    static void members(auto&, auto&&) {}
};

/// Means over a fixed number of windows.
struct AdaptiveAvgPool1d {
    static constexpr std::string_view kind = "AdaptiveAvgPool1d";
    Index output = 1;
    template <Real T>
    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, adaptive_avg_pool1d(x, output));
    }
    static void members(auto&, auto&&) {}
};

/// Largest elements of a fixed number of windows.
struct AdaptiveMaxPool1d {
    static constexpr std::string_view kind = "AdaptiveMaxPool1d";
    Index output = 1;
    template <Real T>
    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, adaptive_max_pool1d(x, output));
    }
    static void members(auto&, auto&&) {}
};

/// p-norm of each window, `LpPool1d{{.norm = 2, .kernel = 3}}`.
struct LPPool1d {
    static constexpr std::string_view kind = "LPPool1d";
    LpPool1dOptions options;
    template <Real T>
    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, lp_pool1d(x, options));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
