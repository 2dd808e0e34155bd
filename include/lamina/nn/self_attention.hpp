#pragma once
// Softmax attention of a sequence with itself, batch first, with rotary positions where wanted: the plain mixer of
// language models.
#include <lamina/nn/key_value_cache.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/rotary.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of SelfAttention.
struct SelfAttentionConfig {
    bool causal = false;
    bool bias = true;
    double dropout = 0;  ///< of the weights
    bool rotary = false;
    RotaryPairs pairs = RotaryPairs::interleaved;
};

/// x [B, n, width] to the same shape. Queries, keys and values come from one product.
template <Real T = float>
struct SelfAttention {
    static constexpr std::string_view kind = "SelfAttention";
    using Cache = KeyValueCache<T>;

    SelfAttentionConfig options;
    Index heads;
    Linear<T> qkv, out;  ///< weight [3 width, width]: queries, keys, values

    /// Throws ValueError unless `num_heads` divides `width`.
    SelfAttention(Index width, Index num_heads, const SelfAttentionConfig& config = {})
        : options(config),
          heads(num_heads),
          qkv(width, 3 * width, {.bias = config.bias}),
          out(width, width, {.bias = config.bias}) {
        require<ValueError>(num_heads > 0 && width % num_heads == 0,
                            "SelfAttention: the number of heads must divide the width (", num_heads, " and ", width,
                            ")");
    }

    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        const auto all = qkv(x);
        const AttentionOptions how{.causal = options.causal ? Causal::top_left : Causal::none,
                                   .dropout = options.dropout};
        if (!options.rotary) return observed(*this, out(multi_head_attention(all, heads, {}, how)));
        return observed(*this,
                        out(multi_head_attention(turned(all, 0, 0), turned(all, 1, 0), part(all, 2), heads, {}, how)));
    }
    /// New tokens behind those in `cache`: the last rows of a causal pass over all.
    Tensor<T, 3> step(const Tensor<T, 3>& x, Cache& cache) const {
        const Index batch = x.dim(0), n = x.dim(1), before = cache.size();
        const auto all = qkv(x);
        const auto q = options.rotary ? turned(all, 0, before) : part(all, 0);
        cache.append(options.rotary ? turned(all, 1, before) : part(all, 1), part(all, 2), heads);
        const auto apart = permute(reshape(q, Shape{batch, n, heads, x.dim(2) / heads}), {0, 2, 1, 3});
        const auto y =
            scaled_dot_product_attention(apart, cache.keys(), cache.values(), {.causal = Causal::bottom_right});
        return out(reshape(permute(y, {0, 2, 1, 3}), x.shape()));
    }

    static void members(auto& self, auto&& visit) {
        visit("qkv", self.qkv);
        visit("out", self.out);
    }

private:
    /// Queries (0), keys (1) or values (2).
    static Tensor<T, 3> part(const Tensor<T, 3>& all, Index which) {
        const Index width = all.dim(2) / 3;
        return slice(all, 2, which * width, (which + 1) * width);
    }
    Tensor<T, 3> turned(const Tensor<T, 3>& all, Index which, Index first) const {
        const auto x = part(all, which);
        const Shape<4> apart{x.dim(0), x.dim(1), heads, x.dim(2) / heads};
        return reshape(rotary(reshape(x, apart), {.pairs = options.pairs, .offset = first, .sequence_dim = -3}),
                       x.shape());
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
