#pragma once
// A layer whose weight is learned in polar form (Salimans and Kingma, 2016).
#include <lamina/nn/reparametrized.hpp>
#include <lamina/ops/weight_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// `layer` with the weight g v / |v|; names are those of torch.nn.utils.weight_norm: weight_g, weight_v, and the
/// layer's own but its weight. The start is the layer's weight.
template <class Layer>
struct WeightNorm {
    static constexpr std::string_view kind = "WeightNorm";
    Layer layer;
    using Weight = decltype(Layer::weight);
    Weight weight_g, weight_v;

    explicit WeightNorm(Layer inner)
        : layer(std::move(inner)),
          weight_g(detail::row_shape(layer.weight.shape())),
          weight_v(layer.weight.clone()) {
        measure();
    }
    void reset(random::Rng& rng) {
        layer.reset(rng);
        AnyTensor(weight_v).assign(AnyTensor(layer.weight));
        measure();
    }
    template <class X>
    auto operator()(const X& x) const {
        return observed(*this, detail::with_weight(layer, x, weight_norm(weight_v, weight_g)));
    }
    /// The layer with the weight as it now stands: for inference, which can then prepare it once.
    Layer baked() const {
        Layer plain = layer;
        plain.weight = Weight(weight_norm(weight_v, weight_g));
        return plain;
    }
    static void members(auto& self, auto&& visit) {
        detail::other_members(self.layer, visit);
        visit("weight_g", self.weight_g);
        visit("weight_v", self.weight_v);
    }

private:
    /// The lengths of the rows of v.
    void measure() {
        const Index n = weight_v.dim(0), count = n ? weight_v.numel() / n : 0;
        const auto lengths = norm(reshape(weight_v.detach(), Shape{n, count}), axes<1>, keepdim);
        std::copy_n(lengths.data(), n, weight_g.mutable_data());
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
