#pragma once
// Attention of several heads with its four projections, by PyTorch's names; whole sequences, and token by token.
#include <lamina/nn/key_value_cache.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/ops/attention_weights.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of MultiheadAttention.
struct MultiheadAttentionConfig {
    double dropout = 0;  ///< of the weights
    bool bias = true;
    bool add_bias_kv = false;    ///< a learned key and value behind those given
    bool add_zero_attn = false;  ///< a key and a value of zeros behind them
    Index kdim = 0, vdim = 0;    ///< features of keys and values; 0: those of the queries
    bool batch_first = false;    ///< [N, L, E] instead of [L, N, E]
};

/// Masks of one call. As in torch.nn, true means "ignore", unlike scaled_dot_product_attention.
template <Real T>
struct MultiheadMasks {
    OptionalTensor<bool, 2> key_padding_mask = {};  ///< [N, S]
    OptionalTensor<bool, 2> attn_mask = {};         ///< [L, S]
    OptionalTensor<bool, 3> head_mask = {};         ///< [N * heads, L, S]
    OptionalTensor<T, 2> bias = {};                 ///< [L, S], added to the scores
    OptionalTensor<T, 3> head_bias = {};            ///< [N * heads, L, S], likewise
    bool is_causal = false;                         ///< query i sees keys up to i
};

/// y = (heads of softmax(Q K^T / sqrt(d)) V) W_o + b_o. Names and initial distribution are
/// torch.nn.MultiheadAttention's; A. Vaswani et al., "Attention Is All You Need", 2017.
template <Real T = float>
struct MultiheadAttention {
    static constexpr std::string_view kind = "MultiheadAttention";
    using Masks = MultiheadMasks<T>;

    MultiheadAttentionConfig options;
    Index heads;
    std::optional<Parameter<T, 2>> q_proj_weight, k_proj_weight, v_proj_weight;  ///< [E, E], [E, kdim], [E, vdim]
    std::optional<Parameter<T, 2>> in_proj_weight;                               ///< [3 E, E]: queries, keys, values
    std::optional<Parameter<T, 1>> in_proj_bias;                                 ///< [3 E]
    std::optional<Parameter<T, 3>> bias_k, bias_v;                               ///< [1, 1, E]
    Linear<T> out_proj;

    /// Throws ValueError unless `num_heads` divides `embed_dim`.
    MultiheadAttention(Index embed_dim, Index num_heads, const MultiheadAttentionConfig& config = {})
        : options(config),
          heads(num_heads),
          out_proj(embed_dim, embed_dim, {.bias = config.bias}) {
        require<ValueError>(num_heads > 0 && embed_dim % num_heads == 0,
                            "MultiheadAttention: the number of heads must divide the width (", num_heads, " and ",
                            embed_dim, ")");
        const Index kdim = config.kdim > 0 ? config.kdim : embed_dim, vdim = config.vdim > 0 ? config.vdim : embed_dim;
        if (kdim == embed_dim && vdim == embed_dim) in_proj_weight.emplace(Shape{3 * embed_dim, embed_dim});
        else {
            q_proj_weight.emplace(Shape{embed_dim, embed_dim});
            k_proj_weight.emplace(Shape{embed_dim, kdim});
            v_proj_weight.emplace(Shape{embed_dim, vdim});
        }
        if (config.bias) in_proj_bias.emplace(Shape{3 * embed_dim});
        if (config.add_bias_kv) {
            bias_k.emplace(Shape{Index(1), Index(1), embed_dim});
            bias_v.emplace(Shape{Index(1), Index(1), embed_dim});
        }
    }
    /// Xavier-uniform projections, biases 0.
    void reset(random::Rng& rng) {
        for (auto* weight : {&in_proj_weight, &q_proj_weight, &k_proj_weight, &v_proj_weight})
            if (*weight) init::xavier_uniform(**weight, rng);
        if (in_proj_bias) in_proj_bias->fill(T(0));
        for (auto* row : {&bias_k, &bias_v})
            if (*row) init::xavier_normal(**row, rng);
    }

    /// A result and the weights that made it, averaged over the heads [N, L, S].
    struct WithWeights {
        Tensor<T, 3> output, weights;
    };
    /// The same with the weights of each head [N, heads, L, S].
    struct WithHeadWeights {
        Tensor<T, 3> output;
        Tensor<T, 4> weights;
    };

    /// [L, N, E] (or [N, L, E]) for queries of that shape, keys [S, N, kdim] and values [S, N, vdim].
    Tensor<T, 3> operator()(const Tensor<T, 3>& query, const Tensor<T, 3>& key, const Tensor<T, 3>& value,
                            const Masks& masks = {}) const {
        const bool causal = masks.is_causal && extra_keys() == 0;
        return finish(mix(project(query, key, value), mask_of(masks, query, key, !causal), causal));
    }
    /// Of a sequence with itself.
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Masks& masks = {}) const { return (*this)(x, x, x, masks); }
    /// The same with the weights; costs their matrix. They are those without dropout.
    WithWeights with_weights(const Tensor<T, 3>& query, const Tensor<T, 3>& key, const Tensor<T, 3>& value,
                             const Masks& masks = {}) const {
        const auto all = with_head_weights(query, key, value, masks);
        return {all.output, mean(all.weights, axes<1>)};
    }
    WithHeadWeights with_head_weights(const Tensor<T, 3>& query, const Tensor<T, 3>& key, const Tensor<T, 3>& value,
                                      const Masks& masks = {}) const {
        const auto rows = project(query, key, value);
        const auto mask = mask_of(masks, query, key, true);
        return {finish(mix(rows, mask, false)), attention_weights(rows.q, rows.k, heads, mask)};
    }
    /// New tokens of a sequence whose earlier keys and values are in `cache`, where theirs are put too: the last rows
    /// of a causal pass over everything. Not recorded through the cache, which begins with the extra keys, if any.
    Tensor<T, 3> step(const Tensor<T, 3>& x, KeyValueCache<T>& cache) const {
        const Rows rows = project(x, x, x, false);
        if (cache.size() == 0 && extra_keys() > 0) {
            const Tensor<T, 3> none = zeros<T>(Shape{rows.k.dim(0), Index(0), embed_dim()});
            const Rows extra = with_extra_keys({{}, none, none, {}});
            cache.append(extra.k, extra.v, heads);
        }
        cache.append(rows.k, rows.v, heads);
        return attend_cache(rows.q, cache, Causal::bottom_right);
    }
    /// Keys and values of a memory [S, N, …] that many steps attend to.
    KeyValueCache<T> remember(const Tensor<T, 3>& key, const Tensor<T, 3>& value) const {
        KeyValueCache<T> cache(length(key));
        const Rows rows = with_extra_keys({{}, part(batch_first(key), 1), part(batch_first(value), 2), {}});
        cache.append(rows.k, rows.v, heads);
        return cache;
    }
    /// Queries over remembered keys and values.
    Tensor<T, 3> recall(const Tensor<T, 3>& query, const KeyValueCache<T>& cache) const {
        return attend_cache(part(batch_first(query), 0), cache, Causal::none);
    }

    static void members(auto& self, auto&& visit) {
        visit("q_proj_weight", self.q_proj_weight);
        visit("k_proj_weight", self.k_proj_weight);
        visit("v_proj_weight", self.v_proj_weight);
        visit("in_proj_weight", self.in_proj_weight);
        visit("in_proj_bias", self.in_proj_bias);
        visit("bias_k", self.bias_k);
        visit("bias_v", self.bias_v);
        visit("out_proj", self.out_proj);
    }

private:
    /// Projected rows [N, n, E]; with `qkv` [N, n, 3 E] the three are its parts.
    struct Rows {
        Tensor<T, 3> q, k, v, qkv;
    };
    Index embed_dim() const { return out_proj.weight.dim(0); }
    Index length(const Tensor<T, 3>& x) const { return x.dim(options.batch_first ? 1 : 0); }
    Tensor<T, 3> batch_first(const Tensor<T, 3>& x) const { return options.batch_first ? x : transpose(x, 0, 1); }
    static bool same(const Tensor<T, 3>& a, const Tensor<T, 3>& b) {
        return a.data() == b.data() && a.shape() == b.shape() && a.strides() == b.strides() &&
               a.grad_link().get() == b.grad_link().get();
    }

    /// Projection number `which` (0: queries, 1: keys, 2: values) of `x`, or `count` of them side by side.
    Tensor<T, 3> part(const Tensor<T, 3>& x, Index which, Index count = 1) const {
        const Index e = embed_dim(), from = which * e, to = from + count * e;
        OptionalTensor<T, 1> bias;
        if (in_proj_bias) bias = slice(*in_proj_bias, 0, from, to);
        if (!in_proj_weight)
            return linear(x, which == 0 ? *q_proj_weight : which == 1 ? *k_proj_weight : *v_proj_weight, bias);
        if (count == 3) return linear(x, *in_proj_weight, bias);
        return linear(x, slice(*in_proj_weight, 0, from, to), bias);
    }
    /// Keys behind those of a sequence.
    Index extra_keys() const { return Index(bool(bias_k)) + Index(options.add_zero_attn); }
    Rows project(const Tensor<T, 3>& query, const Tensor<T, 3>& key, const Tensor<T, 3>& value,
                 bool with_extra = true) const {
        Rows rows;
        if (in_proj_weight && same(query, key) && same(key, value)) {
            const auto all = part(batch_first(query), 0, 3);
            const Index e = embed_dim();
            rows = {slice(all, 2, 0, e), slice(all, 2, e, 2 * e), slice(all, 2, 2 * e, 3 * e), all};
        } else {
            rows = {part(batch_first(query), 0), part(batch_first(key), 1), part(batch_first(value), 2), {}};
        }
        return with_extra ? with_extra_keys(rows) : rows;
    }
    Rows with_extra_keys(Rows rows) const {
        const Index batch = rows.k.dim(0), e = embed_dim();
        if (extra_keys() > 0) rows.qkv = Tensor<T, 3>();
        if (bias_k) {
            rows.k = cat<T, 3>({rows.k, expand(*bias_k, Shape{batch, Index(1), e})}, 1);
            rows.v = cat<T, 3>({rows.v, expand(*bias_v, Shape{batch, Index(1), e})}, 1);
        }
        if (options.add_zero_attn) {
            const auto zero = zeros<T>(Shape{batch, Index(1), e});
            rows.k = cat<T, 3>({rows.k, zero}, 1);
            rows.v = cat<T, 3>({rows.v, zero}, 1);
        }
        return rows;
    }

    static Tensor<bool, 4> causal_keep(Index n, Index m) {
        auto keep = zeros<bool>(Shape{Index(1), Index(1), n, m});
        bool* to = keep.mutable_data();
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j <= i && j < m; ++j) to[i * m + j] = true;
        return keep;
    }
    /// Masks of this library's meaning, with the extra keys visible to all; of causality only if `causal_too`.
    AttentionMask<T> mask_of(const Masks& masks, const Tensor<T, 3>& query, const Tensor<T, 3>& key,
                             bool causal_too) const {
        const Index n = query.dim(options.batch_first ? 0 : 1), l = length(query), s = length(key);
        const Index extra = extra_keys();
        const auto check = [&](const auto& mask, const auto& shape, const char* name) {
            if (mask)
                require(mask->shape() == shape, "MultiheadAttention: ", name, " must be ", shape, " but is ",
                        mask->shape());
        };
        check(masks.key_padding_mask, Shape{n, s}, "key_padding_mask");
        check(masks.attn_mask, Shape{l, s}, "attn_mask");
        check(masks.head_mask, Shape{n * heads, l, s}, "head_mask");
        check(masks.bias, Shape{l, s}, "bias");
        check(masks.head_bias, Shape{n * heads, l, s}, "head_bias");
        AttentionMask<T> out;
        const auto show = [&](Tensor<bool, 4> keep) {
            if (extra > 0) {
                Shape<4> more = keep.shape();
                more[3] = extra;
                keep = cat<bool, 4>({keep, full<bool>(more, true)}, 3);
            }
            out.keep = out.keep ? logical_and(*out.keep, keep) : keep;
        };
        const auto hide = [&](const Tensor<bool, 4>& ignored) { show(logical_not(ignored)); };
        if (masks.key_padding_mask) hide(reshape(*masks.key_padding_mask, Shape{n, Index(1), Index(1), s}));
        if (masks.attn_mask) hide(reshape(*masks.attn_mask, Shape{Index(1), Index(1), l, s}));
        if (masks.head_mask) hide(reshape(*masks.head_mask, Shape{n, heads, l, s}));
        if (masks.is_causal && causal_too) show(causal_keep(l, s));
        const auto add = [&](Tensor<T, 4> bias) {
            if (extra > 0) bias = cat<T, 4>({bias, zeros<T>(Shape{bias.dim(0), bias.dim(1), l, extra})}, 3);
            out.add = out.add ? *out.add + bias : bias;
        };
        if (masks.bias) add(reshape(*masks.bias, Shape{Index(1), Index(1), l, s}));
        if (masks.head_bias) add(reshape(*masks.head_bias, Shape{n, heads, l, s}));
        return out;
    }

    Tensor<T, 3> mix(const Rows& rows, const AttentionMask<T>& mask, bool causal) const {
        const AttentionOptions how{.causal = causal ? Causal::top_left : Causal::none, .dropout = options.dropout};
        if (rows.qkv.defined()) return multi_head_attention(rows.qkv, heads, mask, how);
        return multi_head_attention(rows.q, rows.k, rows.v, heads, mask, how);
    }
    Tensor<T, 3> attend_cache(const Tensor<T, 3>& q, const KeyValueCache<T>& cache, Causal causal) const {
        const Index batch = q.dim(0), n = q.dim(1), e = embed_dim();
        const auto apart = permute(reshape(q, Shape{batch, n, heads, e / heads}), {0, 2, 1, 3});
        const auto y = scaled_dot_product_attention(apart, cache.keys(), cache.values(), {.causal = causal});
        return finish(reshape(permute(y, {0, 2, 1, 3}), Shape{batch, n, e}));
    }
    Tensor<T, 3> finish(const Tensor<T, 3>& y) const { return observed(*this, batch_first(out_proj(y))); }
};

}  // namespace lamina::inline LAMINA_ABI::nn
