#pragma once
// A layer whose weight is divided by its largest singular value (Miyato et al., 2018).
#include <lamina/nn/init.hpp>
#include <lamina/nn/reparametrized.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/matmul.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/vector_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of SpectralNorm.
struct SpectralNormConfig {
    int power_iterations = 1;  ///< of each call in training
    double eps = 1e-12;
};

/// `layer` with the weight W / sigma(W), sigma from power iterations that go on from call to call in training; names
/// are those of torch.nn.utils.spectral_norm: weight_orig, weight_u, weight_v, and the layer's own but its weight.
template <class Layer>
struct SpectralNorm {
    static constexpr std::string_view kind = "SpectralNorm";
    using Weight = decltype(Layer::weight);
    using T = typename Weight::value_type;
    SpectralNormConfig options;
    Layer layer;
    Weight weight_orig;
    Buffer<T, 1> weight_u, weight_v;  ///< singular vectors: [rows], [columns]

    SpectralNorm(Layer inner, random::Rng& rng, const SpectralNormConfig& config = {})
        : options(config),
          layer(std::move(inner)),
          weight_orig(layer.weight.clone()),
          weight_u(Shape{rows()}),
          weight_v(Shape{columns()}) {
        draw(rng);
    }
    void reset(random::Rng& rng) {
        layer.reset(rng);
        AnyTensor(weight_orig).assign(AnyTensor(layer.weight));
        draw(rng);
    }
    template <class X>
    auto operator()(const X& x) const {
        return observed(*this, detail::with_weight(layer, x, weight()));
    }
    /// The weight that the layer works with; in training, after the power iterations.
    auto weight() const {
        const auto matrix = reshape(weight_orig, Shape{rows(), columns()});
        if (autograd::training()) iterate(matrix.detach());
        const auto u = reshape(weight_u.clone(), Shape{Index(1), rows()});
        const auto v = reshape(weight_v.clone(), Shape{columns(), Index(1)});
        const auto sigma = matmul(u, matmul(matrix, v));
        return reshape(matrix / sigma, weight_orig.shape());
    }
    static void members(auto& self, auto&& visit) {
        detail::other_members(self.layer, visit);
        visit("weight_orig", self.weight_orig);
        visit("weight_u", self.weight_u);
        visit("weight_v", self.weight_v);
    }

private:
    Index rows() const { return weight_orig.dim(0); }
    Index columns() const { return weight_orig.numel() / (rows() ? rows() : 1); }

    void draw(random::Rng& rng) {
        normal_(weight_u, rng, 0, 1);
        scale_to_one(weight_u);
        // A start that the first calls need not find: v belongs to u.
        const autograd::NoGrad off;
        const auto matrix = reshape(weight_orig.detach(), Shape{rows(), columns()});
        step(weight_v, matmul(reshape(weight_u.detach(), Shape{Index(1), rows()}), matrix));
    }
    void iterate(const Tensor<T, 2>& matrix) const {
        const autograd::NoGrad off;
        for (int i = 0; i < options.power_iterations; ++i) {
            step(weight_v, matmul(reshape(weight_u.detach(), Shape{Index(1), rows()}), matrix));
            step(weight_u, matmul(matrix, reshape(weight_v.detach(), Shape{columns(), Index(1)})));
        }
    }
    void step(Tensor<T, 1> to, const Tensor<T, 2>& from) const {
        std::copy_n(from.data(), to.numel(), to.mutable_data());
        scale_to_one(to);
    }
    void scale_to_one(Tensor<T, 1> x) const {
        const T length = norm(x.detach()).item();
        for (T& value : std::span<T>(x.mutable_data(), std::size_t(x.numel())))
            value /= length > T(options.eps) ? length : T(options.eps);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
