#pragma once
// Layers that pool everything behind [N, C].
#include <lamina/nn/observe.hpp>
#include <lamina/ops/pool_global.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Mean over all positions, [N, C, 1, ...].
struct GlobalAvgPool {
    static constexpr std::string_view kind = "GlobalAvgPool";
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, global_avg_pool(x));
    }
    static void members(auto&, auto&&) {}
};

/// Largest element over all positions, [N, C, 1, ...].
struct GlobalMaxPool {
    static constexpr std::string_view kind = "GlobalMaxPool";
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, global_max_pool(x));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
