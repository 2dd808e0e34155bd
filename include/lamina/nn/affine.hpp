#pragma once
// The scale and shift that normalisations learn after dividing.
#include <lamina/nn/module.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// A scale and a shift for each channel, 1 and 0 at first; neither where the layer learns none.
template <Real T>
struct Affine {
    std::optional<Parameter<T, 1>> weight, bias;  ///< [channels]

    Affine(Index channels, bool learned) {
        if (!learned) return;
        weight.emplace(ones<T>(Shape{channels}));
        bias.emplace(Shape{channels});
    }
    void reset(random::Rng&) {
        if (weight) weight->fill(T(1));
        if (bias) bias->fill(T(0));
    }
    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
