#pragma once
// From feature maps to feature vectors.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/reshape.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// All dimensions after the first merged into one: [N, …] to [N, features].
struct Flatten {
    static constexpr std::string_view kind = "Flatten";
    template <Element T, int R>
    Tensor<T, 2> operator()(const Tensor<T, R>& x) const {
        return observed(*this, flatten<1>(x));
    }
    static void members(auto&, auto&&) {}
};

/// Hands its input on; takes the place of a layer that is left out.
struct Identity {
    static constexpr std::string_view kind = "Identity";
    template <Element T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, x);
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
