#pragma once
// GAU-alpha: a text encoder of gated attention units alone, without a feed-forward part and without biases, by the
// names of its PyTorch checkpoints (J. Su et al., technical report 2022; ZhuiyiTechnology/GAU-alpha).
#include <lamina/nn/chain.hpp>
#include <lamina/nn/dropout.hpp>
#include <lamina/nn/embedding.hpp>
#include <lamina/nn/gau.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/attention_weights.hpp>
#include <lamina/ops/reduce.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Options of GauAlpha; the defaults are the published model's.
struct GauAlphaConfig {
    Index vocabulary = 12000;
    Index width = 768;
    Index hidden = 1536;  ///< width of values and gate
    Index query_key_dim = 128;
    Index layers = 24;
    Index types = 2;                                           ///< kinds of segments
    Index padding_idx = 0;                                     ///< token that no query sees
    nn::GauFunction function = nn::GauFunction::softmax_plus;  ///< or softmax, or relu2
    bool bias = false;
    double attention_dropout = 0.1, dropout = 0.1;
    double eps = 1e-12;
};

/// x [..., width] times `weight` plus `bias`, where there is one.
template <Real T = float>
struct ScaleOffset {
    static constexpr std::string_view kind = "ScaleOffset";
    Parameter<T, 1> weight;
    std::optional<Parameter<T, 1>> bias;

    ScaleOffset(Index width, bool with_bias) : weight(ones<T>(Shape{width})) {
        if (with_bias) bias.emplace(Shape{width});
    }
    void reset(random::Rng&) {
        weight.fill(T(1));
        if (bias) bias->fill(T(0));
    }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return nn::observed(*this, bias ? x * weight + *bias : x * weight);
    }
    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }
};

/// (U * (A V)) W_o, where U, V and Z are parts of one silu of a projection and A the weights of two scaled copies of Z.
template <Real T = float>
struct GauAlphaUnit {
    static constexpr std::string_view kind = "GauAlphaUnit";

    GauAlphaConfig options;
    nn::Linear<T> i_dense, o_dense;  ///< i_dense: gate, values, then queries and keys
    ScaleOffset<T> q_scaleoffset, k_scaleoffset;

    /// Throws ValueError for a function that divides by the length.
    explicit GauAlphaUnit(const GauAlphaConfig& config)
        : options(config),
          i_dense(config.width, 2 * config.hidden + config.query_key_dim, {.bias = config.bias}),
          o_dense(config.hidden, config.width, {.bias = config.bias}),
          q_scaleoffset(config.query_key_dim, config.bias),
          k_scaleoffset(config.query_key_dim, config.bias) {
        using enum nn::GauFunction;
        require<ValueError>(config.function == softmax_plus || config.function == softmax || config.function == relu2,
                            "GauAlphaUnit: the function must be softmax_plus, softmax or relu2");
    }

    /// x [B, n, width]; `keep` [B, n] is true for tokens that are no padding.
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        const Parts p = project(x, keep);
        const bool squared = options.function == nn::GauFunction::relu2;
        const auto y = multi_head_attention(p.q, p.k, p.v, 1, mask_of(keep),
                                            {.dropout = options.attention_dropout,
                                             .weighing = squared ? Weighing::relu_squared : Weighing::softmax,
                                             .average = squared});
        return nn::observed(*this, o_dense(p.gate * y));
    }
    /// The weights A [B, n, n], for those who want to look at them.
    Tensor<T, 3> weights(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        const Parts p = project(x, keep);
        if (options.function != nn::GauFunction::relu2)
            return squeeze(attention_weights(p.q, p.k, 1, mask_of(keep)), 1);
        const auto positive = relu(matmul(p.q, transpose(p.k, 1, 2)) * T(1 / std::sqrt(double(p.q.dim(2)))));
        auto share = empty<T>(Shape{x.dim(0), Index(1), x.dim(1)});
        for (Index b = 0; b < x.dim(0); ++b) {
            const Index seen = count(keep, b, x.dim(1));
            for (Index i = 0; i < x.dim(1); ++i)
                share.mutable_at(b, 0, i) = !keep || (*keep)(b, i) ? T(1) / T(seen) : T(0);
        }
        return positive * positive * share;
    }

    static void members(auto& self, auto&& visit) {
        visit("i_dense", self.i_dense);
        visit("o_dense", self.o_dense);
        visit("q_scaleoffset", self.q_scaleoffset);
        visit("k_scaleoffset", self.k_scaleoffset);
    }

private:
    struct Parts {
        Tensor<T, 3> q, k, v, gate;
    };
    static Index count(const Optional<bool, 2>& keep, Index b, Index n) {
        Index seen = 0;
        for (Index i = 0; i < n; ++i) seen += !keep || (*keep)(b, i);
        return seen;
    }
    Parts project(const Tensor<T, 3>& x, const Optional<bool, 2>& keep) const {
        const Index e = options.hidden, s = options.query_key_dim;
        const auto all = nn::chain(x, i_dense, nn::SiLU{});
        const auto z = slice(all, 2, 2 * e, 2 * e + s);
        auto q = rotary(q_scaleoffset(z));
        if (options.function == nn::GauFunction::softmax_plus) {
            auto scales = empty<T>(Shape{x.dim(0), Index(1), Index(1)});
            for (Index b = 0; b < x.dim(0); ++b)
                scales.mutable_data()[b] = T(nn::log_length_scale(count(keep, b, x.dim(1)), {.least = 1}));
            q = q * scales;
        }
        return {q, rotary(k_scaleoffset(z)), slice(all, 2, e, 2 * e), slice(all, 2, 0, e)};
    }
    static AttentionMask<T> mask_of(const Optional<bool, 2>& keep) {
        AttentionMask<T> mask;
        if (keep) mask.keep = reshape(*keep, Shape{keep->dim(0), Index(1), Index(1), keep->dim(1)});
        return mask;
    }
};

/// norm(x + unit(x)): the norm stands behind the sum and has no parameters.
template <Real T = float>
struct GauAlphaLayer {
    static constexpr std::string_view kind = "GauAlphaLayer";
    GauAlphaUnit<T> gau;

    explicit GauAlphaLayer(const GauAlphaConfig& config) : gau(config) {}
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        const auto y = x + dropout(gau(x, keep), gau.options.dropout);
        return nn::observed(*this, rms_norm(y, Shape{y.dim(2)}, Optional<T, 1>(), gau.options.eps));
    }
    static void members(auto& self, auto&& visit) { visit("gau", self.gau); }
};

/// Features [B, n, width] of tokens [B, n]. `GauAlpha<> net; load_state_dict(net, file, {.prefix = "gau_alpha."})`.
template <Real T = float>
struct GauAlpha {
    static constexpr std::string_view kind = "GauAlpha";

    GauAlphaConfig options;
    nn::Embedding<T> word_embeddings, token_type_embeddings;
    std::vector<GauAlphaLayer<T>> layer;

    explicit GauAlpha(const GauAlphaConfig& config = {})
        : options(config),
          word_embeddings(config.vocabulary, config.width, {.padding_idx = config.padding_idx}),
          token_type_embeddings(config.types, config.width) {
        layer.reserve(std::size_t(config.layers));
        for (Index i = 0; i < config.layers; ++i) layer.emplace_back(config);
    }
    /// Every matrix normal, cut at two deviations, of deviation 1 / (sqrt(fan in) cbrt(layers)) after the cut.
    void initialize(random::Rng& rng) {
        nn::reset_parameters(*this, rng);
        nn::for_each_tensor(*this, [&]<class P>(const std::string&, P& x) {
            if constexpr (P::rank == 2)
                trunc_normal_corrected_(x, rng, 1 / std::sqrt(double(x.dim(1))) / std::cbrt(double(layer.size())));
        });
        if (options.padding_idx >= 0) view::select<T, 2>(word_embeddings.weight, 0, options.padding_idx).fill(T(0));
    }

    /// Segment 0 everywhere.
    Tensor<T, 3> operator()(const Tensor<std::int64_t, 2>& tokens) const {
        return (*this)(tokens, zeros<std::int64_t>(tokens.shape()));
    }
    /// `types` [B, n] are the tokens' segments.
    Tensor<T, 3> operator()(const Tensor<std::int64_t, 2>& tokens, const Tensor<std::int64_t, 2>& types) const {
        const auto sum = word_embeddings(tokens) + token_type_embeddings(types);
        auto x = dropout(rms_norm(sum, Shape{options.width}, Optional<T, 1>(), options.eps), options.dropout);
        const auto keep = ne(tokens, options.padding_idx);
        for (const auto& unit : layer) x = unit(x, keep);
        return nn::observed(*this, x);
    }

    static void members(auto& self, auto&& visit) {
        visit("embeddings.word_embeddings", self.word_embeddings);
        visit("embeddings.token_type_embeddings", self.token_type_embeddings);
        visit("encoder.layer", self.layer);
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
