#pragma once
// What mixes the tokens of a sequence, as one concept, and a Transformer block that takes any of them: whether
// attention needs its softmax is then a question of one template argument.
#include <lamina/nn/chain.hpp>
#include <lamina/nn/dropout.hpp>
#include <lamina/nn/flash.hpp>
#include <lamina/nn/layer_norm.hpp>
#include <lamina/nn/linear_self_attention.hpp>
#include <lamina/nn/self_attention.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// A module from x [B, n, width] to the same shape that also takes a causal sequence token by token, with a
/// default-made `Cache`. SelfAttention, LinearSelfAttention, GAU, FLASH.
template <class M, class T = float>
concept SequenceMixer = Module<M> && requires(const M& mixer, const Tensor<T, 3>& x, typename M::Cache& cache) {
    { mixer(x) } -> std::convertible_to<Tensor<T, 3>>;
    { mixer.step(x, cache) } -> std::convertible_to<Tensor<T, 3>>;
};

/// Mixers that are a whole layer, with normalisation, residual sum and gate of their own: no feed-forward part follows.
template <class M>
inline constexpr bool is_whole_layer = false;
template <class T, class Norm>
inline constexpr bool is_whole_layer<GAU<T, Norm>> = true;
template <class T, class Norm>
inline constexpr bool is_whole_layer<FLASH<T, Norm>> = true;

/// Options of MixerBlock.
struct MixerBlockConfig {
    double expansion = 4;  ///< width of the feed-forward part, in widths of the input
    double dropout = 0;    ///< of each branch
};

/// x + mixer(norm(x)), then x + feed_forward(norm(x)); only the mixer where that is a whole layer.
template <class Mixer, Real T = float, class F = GELU>
    requires SequenceMixer<Mixer, T>
struct MixerBlock {
    static constexpr std::string_view kind = "MixerBlock";
    using Cache = typename Mixer::Cache;

    MixerBlockConfig options;
    Mixer mixer;
    std::optional<LayerNorm<T>> norm1, norm2;
    std::optional<Linear<T>> linear1, linear2;

    MixerBlock(Index width, Mixer inner, const MixerBlockConfig& config = {})
        : options(config),
          mixer(std::move(inner)) {
        if constexpr (!is_whole_layer<Mixer>) {
            const Index hidden = Index(double(width) * config.expansion);
            norm1.emplace(width);
            norm2.emplace(width);
            linear1.emplace(width, hidden);
            linear2.emplace(hidden, width);
        }
    }

    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, apply(x, [&](const Tensor<T, 3>& y) { return mixer(y); }));
    }
    /// New tokens behind those in `cache`: the last rows of a causal pass over all.
    Tensor<T, 3> step(const Tensor<T, 3>& x, Cache& cache) const {
        return apply(x, [&](const Tensor<T, 3>& y) { return mixer.step(y, cache); });
    }

    static void members(auto& self, auto&& visit) {
        visit("mixer", self.mixer);
        visit("norm1", self.norm1);
        visit("norm2", self.norm2);
        visit("linear1", self.linear1);
        visit("linear2", self.linear2);
    }

private:
    template <class Mix>
    Tensor<T, 3> apply(const Tensor<T, 3>& x, const Mix& mix) const {
        if constexpr (is_whole_layer<Mixer>) {
            return mix(x);
        } else {
            const auto y = x + dropout(mix((*norm1)(x)), options.dropout);
            return y + dropout(chain((*norm2)(y), *linear1, F{}, *linear2), options.dropout);
        }
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
