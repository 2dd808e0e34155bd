#pragma once
// The layers of a Transformer: attention and a pair of Linear layers, each with a residual sum and a LayerNorm in front
// of it (pre-norm) or behind the sum (post-norm). A. Vaswani et al., "Attention Is All You Need", 2017; R. Xiong et
// al., "On Layer Normalization in the Transformer Architecture", 2020.
#include <lamina/nn/chain.hpp>
#include <lamina/nn/dropout.hpp>
#include <lamina/nn/layer_norm.hpp>
#include <lamina/nn/multihead_attention.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of the layers of a Transformer.
struct TransformerConfig {
    Index dim_feedforward = 2048;
    double dropout = 0.1;  ///< of weights, between the Linear layers, and of each branch
    double layer_norm_eps = 1e-5;
    bool batch_first = false;  ///< [N, L, E] instead of [L, N, E]
    bool norm_first = false;   ///< pre-norm
    bool bias = true;          ///< of all Linear layers
};

namespace detail {

inline MultiheadAttentionConfig attention_config(const TransformerConfig& config) {
    return {.dropout = config.dropout, .bias = config.bias, .batch_first = config.batch_first};
}
/// x with a branch: x + branch(norm(x)), or norm(x + branch(x)).
template <class T, class Branch>
Tensor<T, 3> residual(const TransformerConfig& config, const LayerNorm<T>& norm, const Tensor<T, 3>& x,
                      const Branch& branch) {
    const auto sum = [&](const Tensor<T, 3>& y) { return x + dropout(y, config.dropout); };
    return config.norm_first ? sum(branch(norm(x))) : norm(sum(branch(x)));
}

}  // namespace detail

/// Self-attention and feed-forward with activation `F`; names are torch.nn.TransformerEncoderLayer's.
template <Real T = float, class F = ReLU>
struct TransformerEncoderLayer {
    static constexpr std::string_view kind = "TransformerEncoderLayer";
    using Masks = MultiheadMasks<T>;
    using Cache = KeyValueCache<T>;

    TransformerConfig options;
    MultiheadAttention<T> self_attn;
    Linear<T> linear1, linear2;
    LayerNorm<T> norm1, norm2;

    TransformerEncoderLayer(Index d_model, Index nhead, const TransformerConfig& config = {})
        : options(config),
          self_attn(d_model, nhead, detail::attention_config(config)),
          linear1(d_model, config.dim_feedforward, {.bias = config.bias}),
          linear2(config.dim_feedforward, d_model, {.bias = config.bias}),
          norm1(d_model, {.eps = config.layer_norm_eps}),
          norm2(d_model, {.eps = config.layer_norm_eps}) {}

    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Masks& masks = {}) const {
        return apply(x, [&](const Tensor<T, 3>& y) { return self_attn(y, masks); });
    }
    /// New tokens behind those in `cache`: the last rows of a causal pass over all.
    Tensor<T, 3> step(const Tensor<T, 3>& x, Cache& cache) const {
        return apply(x, [&](const Tensor<T, 3>& y) { return self_attn.step(y, cache); });
    }

    static void members(auto& self, auto&& visit) {
        visit("self_attn", self.self_attn);
        visit("linear1", self.linear1);
        visit("linear2", self.linear2);
        visit("norm1", self.norm1);
        visit("norm2", self.norm2);
    }

private:
    template <class Attend>
    Tensor<T, 3> apply(const Tensor<T, 3>& x, const Attend& attend) const {
        const auto y = detail::residual(options, norm1, x, attend);
        return observed(*this, detail::residual(options, norm2, y, [&](const Tensor<T, 3>& z) {
            return chain(z, linear1, F{}, Dropout{options.dropout}, linear2);
        }));
    }
};

/// Masked self-attention, attention to a memory, feed-forward; names are torch.nn.TransformerDecoderLayer's.
template <Real T = float, class F = ReLU>
struct TransformerDecoderLayer {
    static constexpr std::string_view kind = "TransformerDecoderLayer";
    using Masks = MultiheadMasks<T>;

    TransformerConfig options;
    MultiheadAttention<T> self_attn, multihead_attn;
    Linear<T> linear1, linear2;
    LayerNorm<T> norm1, norm2, norm3;

    TransformerDecoderLayer(Index d_model, Index nhead, const TransformerConfig& config = {})
        : options(config),
          self_attn(d_model, nhead, detail::attention_config(config)),
          multihead_attn(d_model, nhead, detail::attention_config(config)),
          linear1(d_model, config.dim_feedforward, {.bias = config.bias}),
          linear2(config.dim_feedforward, d_model, {.bias = config.bias}),
          norm1(d_model, {.eps = config.layer_norm_eps}),
          norm2(d_model, {.eps = config.layer_norm_eps}),
          norm3(d_model, {.eps = config.layer_norm_eps}) {}

    /// What decoding keeps of the tokens so far and of the memory.
    struct Cache {
        KeyValueCache<T> tokens, memory;
    };

    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Tensor<T, 3>& memory, const Masks& masks = {},
                            const Masks& memory_masks = {}) const {
        return apply(
            x, [&](const Tensor<T, 3>& y) { return self_attn(y, masks); },
            [&](const Tensor<T, 3>& y) { return multihead_attn(y, memory, memory, memory_masks); });
    }
    /// A cache for `step` over this memory.
    Cache start(const Tensor<T, 3>& memory) const { return {{}, multihead_attn.remember(memory, memory)}; }
    /// New tokens behind those in `cache`: the last rows of a causal pass over all.
    Tensor<T, 3> step(const Tensor<T, 3>& x, Cache& cache) const {
        return apply(
            x, [&](const Tensor<T, 3>& y) { return self_attn.step(y, cache.tokens); },
            [&](const Tensor<T, 3>& y) { return multihead_attn.recall(y, cache.memory); });
    }

    static void members(auto& self, auto&& visit) {
        visit("self_attn", self.self_attn);
        visit("multihead_attn", self.multihead_attn);
        visit("linear1", self.linear1);
        visit("linear2", self.linear2);
        visit("norm1", self.norm1);
        visit("norm2", self.norm2);
        visit("norm3", self.norm3);
    }

private:
    template <class Attend, class Recall>
    Tensor<T, 3> apply(const Tensor<T, 3>& x, const Attend& attend, const Recall& recall) const {
        const auto y = detail::residual(options, norm1, x, attend), z = detail::residual(options, norm2, y, recall);
        return observed(*this, detail::residual(options, norm3, z, [&](const Tensor<T, 3>& w) {
            return chain(w, linear1, F{}, Dropout{options.dropout}, linear2);
        }));
    }
};

/// A stack of equal layers and perhaps a last normalisation; names are torch.nn.TransformerEncoder's.
template <class Layer = TransformerEncoderLayer<float>>
struct TransformerEncoder {
    static constexpr std::string_view kind = "TransformerEncoder";
    using T = typename std::decay_t<decltype(std::declval<Layer>().norm1.weight)>::value_type::value_type;

    std::vector<Layer> layers;
    std::optional<LayerNorm<T>> norm;

    /// `count` layers of their own parameters, made by `make()`.
    template <class Make>
    TransformerEncoder(Index count, const Make& make, std::optional<LayerNorm<T>> last = {}) : norm(std::move(last)) {
        for (Index i = 0; i < count; ++i) layers.push_back(make());
    }
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const MultiheadMasks<T>& masks = {}) const {
        auto y = x;
        for (const Layer& layer : layers) y = layer(y, masks);
        return observed(*this, norm ? (*norm)(y) : y);
    }
    static void members(auto& self, auto&& visit) {
        visit("layers", self.layers);
        visit("norm", self.norm);
    }
};

/// The same of decoder layers; names are torch.nn.TransformerDecoder's.
template <class Layer = TransformerDecoderLayer<float>>
struct TransformerDecoder {
    static constexpr std::string_view kind = "TransformerDecoder";
    using T = typename std::decay_t<decltype(std::declval<Layer>().norm1.weight)>::value_type::value_type;

    std::vector<Layer> layers;
    std::optional<LayerNorm<T>> norm;

    template <class Make>
    TransformerDecoder(Index count, const Make& make, std::optional<LayerNorm<T>> last = {}) : norm(std::move(last)) {
        for (Index i = 0; i < count; ++i) layers.push_back(make());
    }
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Tensor<T, 3>& memory, const MultiheadMasks<T>& masks = {},
                            const MultiheadMasks<T>& memory_masks = {}) const {
        auto y = x;
        for (const Layer& layer : layers) y = layer(y, memory, masks, memory_masks);
        return observed(*this, norm ? (*norm)(y) : y);
    }
    static void members(auto& self, auto&& visit) {
        visit("layers", self.layers);
        visit("norm", self.norm);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
