#pragma once
// The language model of the FLASH paper as FLASH-pytorch has it: sinusoidal positions with a learned weight, FLASH
// layers with ScaleNorm and shifted tokens. W. Hua et al., "Transformer Quality in Linear Time", ICML 2022.
#include <lamina/nn/embedding.hpp>
#include <lamina/nn/flash.hpp>
#include <lamina/nn/positions/sinusoidal.hpp>
#include <lamina/nn/scale_norm.hpp>
#include <lamina/nn/sequential.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Options of FlashTransformer; the defaults are FLASH-pytorch's.
struct FlashTransformerConfig {
    Index vocabulary = 20000;
    Index width = 512;
    Index layers = 12;
    Index group_size = 256;
    Index query_key_dim = 128;
    double expansion = 2;
    bool causal = false;
    double dropout = 0;  ///< of the quadratic weights
    bool laplace = false;
    bool shift_tokens = true;
};

/// Logits [B, n, vocabulary] of tokens [B, n]. `Norm` is nn::ScaleNorm or nn::LayerNorm.
template <Real T = float, class Norm = nn::ScaleNorm<T>>
struct FlashTransformer {
    static constexpr std::string_view kind = "FlashTransformer";

    FlashTransformerConfig options;
    nn::Embedding<T> token_emb;
    nn::ScaledSinusoid<T> abs_pos_emb;
    std::vector<nn::FLASH<T, Norm>> layers;
    nn::Sequential<nn::LayerNorm<T>, nn::Linear<T>> to_logits;

    explicit FlashTransformer(const FlashTransformerConfig& config = {})
        : options(config),
          token_emb(config.vocabulary, config.width),
          to_logits(nn::LayerNorm<T>(config.width), nn::Linear<T>(config.width, config.vocabulary)) {
        layers.reserve(std::size_t(config.layers));
        for (Index i = 0; i < config.layers; ++i)
            layers.emplace_back(config.width, nn::FlashConfig{.group_size = config.group_size,
                                                              .query_key_dim = config.query_key_dim,
                                                              .expansion = config.expansion,
                                                              .causal = config.causal,
                                                              .dropout = config.dropout,
                                                              .laplace = config.laplace,
                                                              .shift_tokens = config.shift_tokens});
    }

    /// `keep` [B, n] is true for tokens that are no padding.
    Tensor<T, 3> operator()(const Tensor<std::int64_t, 2>& tokens, const Optional<bool, 2>& keep = {}) const {
        auto x = abs_pos_emb(token_emb(tokens));
        for (const auto& layer : layers) x = layer(x, keep);
        return nn::observed(*this, to_logits(x));
    }

    /// What decoding keeps of the tokens so far.
    struct Cache {
        std::vector<typename nn::FLASH<T, Norm>::Cache> layers;
        Index size = 0;
    };
    /// Logits [B, 1, vocabulary] of one more token [B, 1]: the last row of a causal pass over all. Throws as FLASH.
    Tensor<T, 3> step(const Tensor<std::int64_t, 2>& token, Cache& cache) const {
        cache.layers.resize(layers.size());
        const nn::SinusoidConfig at{.order = nn::SinusoidOrder::halves, .offset = cache.size++};
        auto x = token_emb(token) + nn::sinusoidal_positions<T>(1, options.width, at) * abs_pos_emb.scale;
        for (std::size_t i = 0; i < layers.size(); ++i) x = layers[i].step(x, cache.layers[i]);
        return to_logits(x);
    }

    static void members(auto& self, auto&& visit) {
        visit("token_emb", self.token_emb);
        visit("abs_pos_emb", self.abs_pos_emb);
        visit("layers", self.layers);
        visit("to_logits", self.to_logits);
    }
};

/// The tensors of a FLASH-pytorch checkpoint by lamina's names: `to_hidden.0.weight` there is `to_hidden.weight` here,
/// and frequencies are no state. For GAU, FLASH and FlashTransformer.
inline StateDict from_flash_pytorch(const StateDict& state) {
    StateDict out;
    for (const auto& [name, tensor] : state) {
        std::string plain = name;
        for (const std::string_view part : {"to_hidden.0.", "to_qk.0.", "to_out.0."})
            if (const auto at = plain.find(part); at != plain.npos) plain.erase(at + part.size() - 2, 2);
        if (!plain.ends_with("rotary_pos_emb.freqs") && !plain.ends_with("abs_pos_emb.inv_freq"))
            out.insert(plain, tensor);
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::models
