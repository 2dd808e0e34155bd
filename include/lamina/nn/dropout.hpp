#pragma once
// Dropout as a layer: active exactly while a training tape records.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/dropout.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Sets elements to 0 with probability `p` in training and divides the others by 1 - p.
struct Dropout {
    static constexpr std::string_view kind = "Dropout";
    double p = 0.5;
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, dropout(x, p));
    }
    static void members(auto&, auto&&) {}
};

/// Drops whole examples with probability `p` in training, at the end of a residual branch: stochastic depth.
struct DropPath {
    static constexpr std::string_view kind = "DropPath";
    double p = 0;
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, drop_path(x, p));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
