#pragma once
// Constants for deep networks: what the schemes of the literature make of the number of layers and the widths.
#include <lamina/core/error.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn::init {

/// x = LayerNorm(alpha x + F(x)); beta is the Xavier gain of value, output and feed-forward projections, query and key
/// keep 1. H. Wang et al., DeepNet: Scaling Transformers to 1,000 Layers, 2022.
struct DeepNormScale {
    double alpha, beta;
};
/// A model of encoders or decoders alone, of `layers` layers with two sub-layers each.
inline DeepNormScale deep_norm(Index layers) {
    return {std::pow(2.0 * double(layers), 0.25), std::pow(8.0 * double(layers), -0.25)};
}
/// The encoder of a model of `encoders` and `decoders` layers.
inline DeepNormScale deep_norm_encoder(Index encoders, Index decoders) {
    const double size = std::pow(std::pow(double(encoders), 4) * double(decoders), 1.0 / 16);
    return {0.81 * size, 0.87 / size};
}
/// Its decoder.
inline DeepNormScale deep_norm_decoder(Index decoders) {
    return {std::pow(3.0 * double(decoders), 0.25), std::pow(12.0 * double(decoders), -0.25)};
}

/// Factor of the projections that end residual branches, so that the sum over `layers` layers with `branches` branches
/// each keeps its variance: (branches layers)^-0.5. GPT-2: 0.02 times this.
inline double residual_scale(Index layers, Index branches = 2) {
    return 1 / std::sqrt(double(branches) * double(layers));
}

/// Factor of the He-initialised layers inside `branches` residual branches of `depth` layers each; the last layer of
/// each branch and the classifier begin at zero. H. Zhang, Y. Dauphin, T. Ma, Fixup Initialization, ICLR 2019.
/// Throws ValueError for depth < 2.
inline double fixup_scale(Index branches, Index depth = 2) {
    require<ValueError>(depth >= 2, "fixup_scale: a branch must have at least two layers but has ", depth);
    return std::pow(double(branches), -1 / (2.0 * double(depth) - 2));
}

/// Where LayerScale begins in a network of `layers` layers. H. Touvron et al., Going deeper with Image Transformers,
/// ICCV 2021.
inline double layer_scale(Index layers) { return layers <= 18 ? 0.1 : layers <= 24 ? 1e-5 : 1e-6; }

/// Standard deviations of T5, where attention does not divide by sqrt(d_kv) and nothing has a bias. The logits of tied
/// embeddings are to be multiplied by `tied_logits`. C. Raffel et al., JMLR 21, 2020, and its implementation.
struct T5Deviations {
    double embedding, query, key, value, output, ffn_in, ffn_out, relative_bias, tied_logits;
};
inline T5Deviations t5(Index d_model, Index heads, Index d_kv, Index d_ff) {
    const double model = 1 / std::sqrt(double(d_model));
    return {.embedding = 1,
            .query = model / std::sqrt(double(d_kv)),
            .key = model,
            .value = model,
            .output = 1 / std::sqrt(double(heads) * double(d_kv)),
            .ffn_in = model,
            .ffn_out = 1 / std::sqrt(double(d_ff)),
            .relative_bias = model,
            .tied_logits = model};
}

/// Standard deviations of CLIP's transformers of `layers` layers. A. Radford et al., ICML 2021, and its implementation.
struct ClipDeviations {
    double attention_in, attention_out, ffn_in, ffn_out, token, position;
};
inline ClipDeviations clip(Index width, Index layers) {
    const double model = 1 / std::sqrt(double(width)), out = model * residual_scale(layers);
    return {model, out, 1 / std::sqrt(2.0 * double(width)), out, 0.02, 0.01};
}

}  // namespace lamina::inline LAMINA_ABI::nn::init
