#pragma once
// Rectifier with learned slopes (He et al., 2015).
#include <lamina/nn/observe.hpp>
#include <lamina/ops/activation.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// x above 0, a x below, with one slope or one for each channel of [N, C, …]; names are torch.nn.PReLU's.
template <Real T = float>
struct PReLU {
    static constexpr std::string_view kind = "PReLU";
    Parameter<T, 1> weight;  ///< [1] or [C]
    T initial;

    explicit PReLU(Index count = 1, T slope = T(0.25)) : weight(full<T>(Shape{count}, slope)), initial(slope) {}
    void reset(random::Rng&) { weight.fill(initial); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, prelu(x, weight));
    }
    static void members(auto& self, auto&& visit) { visit("weight", self.weight); }
};

}  // namespace lamina::inline LAMINA_ABI::nn
