#pragma once
// A causal language model over any mixer of tokens: embedding, blocks, norm, logits. One type for softmax attention,
// linear attention and gated units, whole sequences in training and step by step in generation.
#include <lamina/nn/embedding.hpp>
#include <lamina/nn/sequence_mixer.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Options of LanguageModel.
struct LanguageModelConfig {
    Index vocabulary = 256;  ///< bytes; token 0 separates texts
    Index width = 128;
    Index layers = 4;
    Index window = 1;  ///< tokens that an embedding sees: its own and those before it
    nn::MixerBlockConfig block = {};
};

/// Logits of the next token for each token of [B, n]. `Mixer` is a causal sequence mixer.
template <class Mixer, Real T = float, class F = nn::GELU>
struct LanguageModel {
    static constexpr std::string_view kind = "LanguageModel";
    using Block = nn::MixerBlock<Mixer, T, F>;

    LanguageModelConfig options;
    std::vector<nn::Embedding<T>> embeddings;  ///< number j is for the token j places back; their sum counts
    std::vector<Block> blocks;
    nn::LayerNorm<T> norm;
    nn::Linear<T> head;

    /// `make()` gives a new mixer for each layer. Throws ValueError for a window under 1.
    template <class Make>
    LanguageModel(const LanguageModelConfig& config, const Make& make)
        : options(config),
          norm(config.width),
          head(config.width, config.vocabulary) {
        require<ValueError>(config.window >= 1, "LanguageModel: window must be at least 1 but is ", config.window);
        for (Index i = 0; i < config.window; ++i) embeddings.emplace_back(config.vocabulary, config.width);
        for (Index i = 0; i < config.layers; ++i) blocks.emplace_back(config.width, make(), config.block);
    }

    /// Logits [B, n, vocabulary].
    Tensor<T, 3> operator()(const Tensor<std::int64_t, 2>& tokens) const {
        auto x = embed(before(tokens.dim(0)), tokens);
        for (const Block& block : blocks) x = block(x);
        return nn::observed(*this, nn::chain(x, norm, head));
    }

    /// What generation keeps of the tokens so far.
    struct Cache {
        std::vector<typename Block::Cache> blocks;
        Tensor<std::int64_t, 2> recent;  ///< the last window - 1 tokens
    };
    /// Logits for new tokens [B, n] behind those in `cache`: the last rows of a pass over all.
    Tensor<T, 3> step(const Tensor<std::int64_t, 2>& tokens, Cache& cache) const {
        const Index n = tokens.dim(1);
        cache.blocks.resize(blocks.size());
        if (!cache.recent.defined()) cache.recent = before(tokens.dim(0));
        const auto x = embed(cache.recent, tokens);
        cache.recent = slice(cat<std::int64_t, 2>({cache.recent, tokens}, 1), 1, n, n + options.window - 1).clone();
        auto y = empty<T>(x.shape());
        for (Index i = 0; i < n; ++i) {  // some mixers take one token at a time
            auto token = slice(x, 1, i, i + 1);
            for (std::size_t b = 0; b < blocks.size(); ++b) token = blocks[b].step(token, cache.blocks[b]);
            view::slice(y, 1, i, i + 1).assign(token);
        }
        return nn::chain(y, norm, head);
    }

    static void members(auto& self, auto&& visit) {
        visit("embeddings", self.embeddings);
        visit("blocks", self.blocks);
        visit("norm", self.norm);
        visit("head", self.head);
    }

private:
    /// What stands before the first token: separators.
    Tensor<std::int64_t, 2> before(Index batch) const { return zeros<std::int64_t>(Shape{batch, options.window - 1}); }
    Tensor<T, 3> embed(const Tensor<std::int64_t, 2>& old, const Tensor<std::int64_t, 2>& tokens) const {
        const Index n = tokens.dim(1), back = options.window - 1;
        const auto all = cat<std::int64_t, 2>({old, tokens}, 1);
        auto x = embeddings[0](tokens);
        for (Index j = 1; j <= back; ++j) x = x + embeddings[std::size_t(j)](slice(all, 1, back - j, back - j + n));
        return x;
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
