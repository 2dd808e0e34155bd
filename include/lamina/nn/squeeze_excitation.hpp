#pragma once
// Channels weighed by what the whole image holds (Hu et al., 2018).
#include <lamina/nn/chain.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/pool.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// x times gate(fc2(relu(fc1(mean of x)))), a factor for each channel of [N, C, H, W]; names are torchvision's. The
/// gate is Sigmoid, or Hardsigmoid in MobileNetV3.
template <class Gate = Sigmoid, Real T = float>
struct SqueezeExcitation {
    static constexpr std::string_view kind = "SqueezeExcitation";
    Conv2d<T> fc1, fc2;

    SqueezeExcitation(Index channels, Index squeezed)
        : fc1(channels, squeezed, {.kernel = 1}),
          fc2(squeezed, channels, {.kernel = 1}) {}

    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, x * chain(adaptive_avg_pool2d(x, 1), fc1, ReLU{}, fc2, Gate{}));
    }
    static void members(auto& self, auto&& visit) {
        visit("fc1", self.fc1);
        visit("fc2", self.fc2);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
