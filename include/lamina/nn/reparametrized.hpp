#pragma once
// Layers whose weight is computed from other parameters at each call.
#include <lamina/nn/observe.hpp>

namespace lamina::inline LAMINA_ABI::nn::detail {

/// `layer` applied to `x` with `weight` for its own; what it shares with the layer keeps its gradients.
template <class Layer, class X, class T, int R>
auto with_weight(const Layer& layer, const X& x, const Tensor<T, R>& weight) {
    Layer other = layer;
    static_cast<Tensor<T, R>&>(other.weight) = weight;
    return other(x);
}
/// The members of `layer` but its weight.
void other_members(auto& layer, auto&& visit) {
    std::remove_cvref_t<decltype(layer)>::members(layer, [&](std::string_view name, auto& member) {
        if (name != "weight") visit(name, member);
    });
}
/// [n, 1, 1, …] for a weight of n rows.
template <int R>
Shape<R> row_shape(const Shape<R>& weight) {
    Shape<R> shape = weight;
    for (int d = 1; d < R; ++d) shape[d] = 1;
    return shape;
}

}  // namespace lamina::inline LAMINA_ABI::nn::detail
