#pragma once
// Attention without softmax as a layer: projections of fast-transformers' AttentionLayer around a feature map.
#include <lamina/nn/linear.hpp>
#include <lamina/ops/feature_maps.hpp>
#include <lamina/ops/linear_attention_forms.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Feature maps to choose from; any type with such members is one, `attention` being optional.
struct EluFeatures {
    static constexpr Index count(Index width) { return width; }  ///< features of a head of that width
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return elu_plus_one(x);
    }
    /// All of linear_attention at once, where features need not be kept.
    template <Real T>
    static Tensor<T, 4> attention(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v,
                                  const LinearAttentionOptions& options) {
        return elu_attention(q, k, v, options);
    }
};
struct ReluFeatures {
    static constexpr Index count(Index width) { return width; }
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return relu_features(x, 1e-3);
    }
};
/// Similarity 1 + cos(q, k).
struct CosineFeatures {
    static constexpr Index count(Index width) { return width + 1; }
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return cosine_features(x);
    }
};

/// Options of LinearSelfAttention.
struct LinearSelfAttentionConfig {
    bool causal = false;
    bool bias = true;
    double eps = 1e-6;
};

/// Linear attention of `heads` heads with feature map `Map` over x [B, n, width].
template <Real T = float, class Map = EluFeatures>
struct LinearSelfAttention {
    static constexpr std::string_view kind = "LinearSelfAttention";

    LinearSelfAttentionConfig options;
    Index heads;
    Linear<T> query_projection, key_projection, value_projection, out_projection;
    Map map{};

    /// Throws ValueError unless `num_heads` divides `width`.
    LinearSelfAttention(Index width, Index num_heads, const LinearSelfAttentionConfig& config = {})
        : options(config),
          heads(num_heads),
          query_projection(width, width, {.bias = config.bias}),
          key_projection(width, width, {.bias = config.bias}),
          value_projection(width, width, {.bias = config.bias}),
          out_projection(width, width, {.bias = config.bias}) {
        require<ValueError>(num_heads > 0 && width % num_heads == 0,
                            "LinearSelfAttention: the number of heads must divide the width (", num_heads, " and ",
                            width, ")");
    }

    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const { return (*this)(x, x); }
    /// Queries of `x`, keys and values of `memory` [B, m, width].
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Tensor<T, 3>& memory) const {
        const auto y =
            attend(apart(query_projection(x)), apart(key_projection(memory)), apart(value_projection(memory)));
        return observed(*this, out_projection(reshape(y, x.shape())));
    }

    /// Sums over the tokens so far: constant in their number.
    using Cache = std::optional<LinearAttentionState<T>>;
    /// New tokens behind those in `cache`: the last rows of a causal pass over all.
    Tensor<T, 3> step(const Tensor<T, 3>& x, Cache& cache) const {
        const Index batch = x.dim(0), width = x.dim(2) / heads;
        if (!cache) cache.emplace(batch, heads, Map::count(width), width);
        const auto q = map(apart(query_projection(x))), k = map(apart(key_projection(x))),
                   v = apart(value_projection(x));
        auto y = empty<T>(v.shape());
        for (Index i = 0; i < x.dim(1); ++i) {
            const auto token = [i](const auto& t) { return view::select(t, 1, i); };
            token(y).assign(cache->step(token(q), token(k), token(v), how()));
        }
        return out_projection(reshape(y, x.shape()));
    }

    static void members(auto& self, auto&& visit) {
        visit("query_projection", self.query_projection);
        visit("key_projection", self.key_projection);
        visit("value_projection", self.value_projection);
        visit("out_projection", self.out_projection);
    }

private:
    LinearAttentionOptions how() const {
        return {.causal = options.causal, .eps = options.eps, .heads = HeadLayout::inside};
    }
    Tensor<T, 4> attend(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v) const {
        if constexpr (requires { Map::attention(q, k, v, how()); }) return Map::attention(q, k, v, how());
        else return linear_attention(map(q), map(k), v, how());
    }
    Tensor<T, 4> apart(const Tensor<T, 3>& x) const {
        return reshape(x, Shape{x.dim(0), x.dim(1), heads, x.dim(2) / heads});
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
