#pragma once
// The scale that keeps the entropy of attention: scores times log(m) / log(512), so that weights over many keys are as
// sharp as over few, and a model serves lengths that it did not see in training.
#include <lamina/core/create.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of log_length_scale.
struct LogLengthConfig {
    Index reference = 512;  ///< the length at which the scale is 1
    Index least = 16;       ///< shorter sequences count as this long
};

/// log(keys) / log(reference): a factor for AttentionOptions::scale. J. Su, "Entropy-invariant softmax", 2021.
inline double log_length_scale(Index keys, const LogLengthConfig& config = {}) {
    return std::log(double(keys > config.least ? keys : config.least)) / std::log(double(config.reference));
}

/// The same for each of `n` queries [n, 1] of causal attention, query i seeing first + i + 1 keys: a factor for the
/// queries themselves.
template <Real T = float>
Tensor<T, 2> log_length_scales(Index n, Index first = 0, const LogLengthConfig& config = {}) {
    auto scales = empty<T>(Shape{n, Index(1)});
    for (Index i = 0; i < n; ++i) scales.mutable_data()[i] = T(log_length_scale(first + i + 1, config));
    return scales;
}

}  // namespace lamina::inline LAMINA_ABI::nn
