#pragma once
// A chain of layers that is itself a layer.
#include <lamina/nn/chain.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// `Sequential net{Conv2d(1, 8, {.kernel = 3}), ReLU{}, Flatten{}, Linear(…)}`; names are the positions 0, 1, 2 …
template <class... Layers>
struct Sequential {
    std::tuple<Layers...> layers;

    explicit Sequential(Layers... in_order) : layers(std::move(in_order)...) {}

    template <Element T, int R>
    auto operator()(const Tensor<T, R>& x) const {
        return std::apply([&](const auto&... layer) { return chain(x, layer...); }, layers);
    }
    /// The layer at position `I`.
    template <std::size_t I>
    auto& get() {
        return std::get<I>(layers);
    }
    template <std::size_t I>
    const auto& get() const {
        return std::get<I>(layers);
    }
    static void members(auto& self, auto&& visit) {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (visit(message(Index(I)), std::get<I>(self.layers)), ...); }
        (std::index_sequence_for<Layers...>{});
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
