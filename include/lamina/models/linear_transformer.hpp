#pragma once
// The linear attention transformer by the names of lucidrains/linear-attention-transformer: efficient attention whose
// first heads may look at their neighbourhood with a softmax instead (Z. Shen et al., WACV 2021).
#include <lamina/nn/chain.hpp>
#include <lamina/nn/embedding.hpp>
#include <lamina/nn/layer_norm.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/ops/attention.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/linear_attention_forms.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Options of LinearTransformer and of its layers.
struct LinearTransformerConfig {
    Index vocabulary = 256;
    Index width = 512;
    Index layers = 6;
    Index longest = 8192;  ///< of a sequence
    Index heads = 8;
    Index head_width = 64;
    bool causal = false;
    Index local_heads = 0;  ///< of the heads, the first ones
    Index window = 128;     ///< local heads see their own window and its neighbours; also the rows of the positions
    Index blind_spot = 1;   ///< causal linear heads see the blocks of this many tokens before their own; 1: all tokens
};

namespace detail {

/// Softmax attention of heads side by side in q, k, v [B, n, h * d] within windows: a query sees its own window, the
/// one before and, unless causal, the one after. `keep` [B, n] is true for keys that are no padding. Memory grows with
/// n alone.
template <Real T>
Tensor<T, 3> local_attention(const Tensor<T, 3>& q, const Tensor<T, 3>& k, const Tensor<T, 3>& v, Index heads,
                             Index window, bool causal, const Optional<bool, 2>& keep = {}) {
    const Index batch = q.dim(0), n = q.dim(1), count = (n + window - 1) / window, rest = count * window - n;
    const Index around = causal ? 2 : 3;
    /// [B * count, window or around * window, width]
    const auto windows = [&](const Tensor<T, 3>& x) {
        const Shape<3> shape{batch * count, window, x.dim(2)};
        return reshape(rest ? cat<T, 3>({x, zeros<T>(Shape{batch, rest, x.dim(2)})}, 1) : x, shape);
    };
    const auto with_neighbours = [&](const Tensor<T, 3>& x) {
        const Index width = x.dim(2);
        const auto own = reshape(windows(x), Shape{batch, count, window, width});
        const auto none = zeros<T>(Shape{batch, Index(1), window, width});
        std::vector<Tensor<T, 4>> parts{cat<T, 4>({none, slice(own, 1, 0, count - 1)}, 1), own};
        if (!causal) parts.push_back(cat<T, 4>({slice(own, 1, 1, count), none}, 1));
        return reshape(cat<T, 4>(parts, 2), Shape{batch * count, around * window, width});
    };
    auto mask = empty<bool>(Shape{batch * count, Index(1), window, around * window});
    bool* may = mask.mutable_data();
    const auto there = [&](Index b, Index i) { return i >= 0 && i < n && (!keep || (*keep)(b, i)); };
    for (Index b = 0; b < batch; ++b)
        for (Index i = 0; i < count * window; ++i)
            for (Index j = 0; j < around * window; ++j) {
                const Index key = (i / window - 1) * window + j;
                *may++ = there(b, key) && (!causal || key <= i);
            }
    const auto y = multi_head_attention(windows(q), with_neighbours(k), with_neighbours(v), heads, mask);
    return slice(reshape(y, Shape{batch, count * window, v.dim(2)}), 1, 0, n);
}

}  // namespace detail

/// Attention whose first heads are local and whose other heads are linear.
template <Real T = float>
struct LinearTransformerAttention {
    static constexpr std::string_view kind = "LinearTransformerAttention";

    LinearTransformerConfig options;
    nn::Linear<T> to_q, to_k, to_v, to_out;

    /// Throws ValueError for more local heads than heads.
    explicit LinearTransformerAttention(const LinearTransformerConfig& config)
        : options(config),
          to_q(config.width, config.heads * config.head_width, {.bias = false}),
          to_k(config.width, config.heads * config.head_width, {.bias = false}),
          to_v(config.width, config.heads * config.head_width, {.bias = false}),
          to_out(config.heads * config.head_width, config.width) {
        require<ValueError>(config.local_heads >= 0 && config.local_heads <= config.heads,
                            "LinearTransformerAttention: local heads must lie in [0, ", config.heads, "] but are ",
                            config.local_heads);
    }

    /// x [B, n, width]; `keep` [B, n] is true for tokens that are no padding.
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        const auto q = to_q(x), k = to_k(x), v = to_v(x);
        const Index d = options.head_width, local = options.local_heads * d, all = options.heads * d;
        std::vector<Tensor<T, 3>> parts;
        if (local > 0)
            parts.push_back(detail::local_attention(slice(q, 2, 0, local), slice(k, 2, 0, local), slice(v, 2, 0, local),
                                                    options.local_heads, options.window, options.causal, keep));
        if (all > local) {
            const auto heads = [&](const Tensor<T, 3>& t) {
                const Shape<4> apart{x.dim(0), x.dim(1), options.heads - options.local_heads, d};
                return permute(reshape(slice(t, 2, local, all), apart), {0, 2, 1, 3});
            };
            LinearAttentionOptions how{.causal = options.causal, .scale = 1 / std::sqrt(double(d))};
            if (options.blind_spot > 1) how.chunk = options.blind_spot, how.own_chunk = false;
            const auto y = efficient_attention(heads(q), heads(k), heads(v), how, keep);
            parts.push_back(reshape(permute(y, {0, 2, 1, 3}), Shape{x.dim(0), x.dim(1), all - local}));
        }
        return nn::observed(*this, to_out(parts.size() == 1 ? parts[0] : cat<T, 3>(parts, 2)));
    }
    static void members(auto& self, auto&& visit) {
        visit("to_q", self.to_q);
        visit("to_k", self.to_k);
        visit("to_v", self.to_v);
        visit("to_out", self.to_out);
    }
};

/// x + attention(norm(x)), then x + feed_forward(norm(x)).
template <Real T = float>
struct LinearTransformerLayer {
    static constexpr std::string_view kind = "LinearTransformerLayer";
    nn::LayerNorm<T> norm1, norm2;
    LinearTransformerAttention<T> attention;
    nn::Linear<T> w1, w2;

    explicit LinearTransformerLayer(const LinearTransformerConfig& config)
        : norm1(config.width),
          norm2(config.width),
          attention(config),
          w1(config.width, 4 * config.width),
          w2(4 * config.width, config.width) {}
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        const auto y = x + attention(norm1(x), keep);
        return nn::observed(*this, y + nn::chain(y, norm2, w1, nn::GELU{}, w2));
    }
    static void members(auto& self, auto&& visit) {
        visit("0.fn", self.attention);
        visit("0.norm", self.norm1);
        visit("1.fn.fn.w1", self.w1);
        visit("1.fn.fn.w2", self.w2);
        visit("1.norm", self.norm2);
    }
};

/// Logits [B, n, vocabulary] of tokens [B, n]. A position is the sum of a vector for its window and one for its place
/// in the window.
template <Real T = float>
struct LinearTransformer {
    static constexpr std::string_view kind = "LinearTransformer";

    LinearTransformerConfig options;
    nn::Embedding<T> token_emb;
    Parameter<T, 4> rows, places;  ///< [1, windows, 1, width] and [1, 1, window, width]
    std::vector<LinearTransformerLayer<T>> layers;
    nn::LayerNorm<T> norm;
    nn::Linear<T> out;

    explicit LinearTransformer(const LinearTransformerConfig& config)
        : options(config),
          token_emb(config.vocabulary, config.width),
          rows(Shape{Index(1), (config.longest + config.window - 1) / config.window, Index(1), config.width}),
          places(Shape{Index(1), Index(1), config.window, config.width}),
          norm(config.width),
          out(config.width, config.vocabulary) {
        layers.reserve(std::size_t(config.layers));
        for (Index i = 0; i < config.layers; ++i) layers.emplace_back(config);
    }
    /// Positions standard normal.
    void reset(random::Rng& rng) {
        normal_(rows, rng);
        normal_(places, rng);
    }

    /// `keep` [B, n] is true for tokens that are no padding. Throws ValueError for a sequence above `longest`.
    Tensor<T, 3> operator()(const Tensor<std::int64_t, 2>& tokens, const Optional<bool, 2>& keep = {}) const {
        const Index n = tokens.dim(1);
        require<ValueError>(n <= options.longest, "LinearTransformer: the sequence must have at most ", options.longest,
                            " tokens but has ", n);
        const auto positions = reshape(rows + places, Shape{Index(1), rows.dim(1) * places.dim(2), options.width});
        auto x = token_emb(tokens) + slice(positions, 1, 0, n);
        for (const auto& layer : layers) x = layer(x, keep);
        return nn::observed(*this, nn::chain(x, norm, out));
    }

    static void members(auto& self, auto&& visit) {
        visit("token_emb", self.token_emb);
        visit("pos_emb.weights.0", self.rows);
        visit("pos_emb.weights.1", self.places);
        visit("transformer.layers.layers", self.layers);
        visit("norm", self.norm);
        visit("out", self.out);
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
