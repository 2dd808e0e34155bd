#pragma once
// The next token drawn from a language model's logits.
#include <lamina/core/tensor.hpp>
#include <lamina/random/rng.hpp>

#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::models {

/// Options of sample.
struct SamplingOptions {
    double temperature = 1;  ///< logits are divided by it; 0: always the likeliest
    Index top_k = 0;         ///< draw from the k likeliest; 0: from all
};

/// A token drawn with the probability softmax(logits / temperature) [vocabulary] among the likeliest; of equal logits
/// the first counts as likelier. Throws ValueError for no logits, a negative temperature or a negative top_k.
template <Real T>
Index sample(const Tensor<T, 1>& logits, random::Rng& rng, const SamplingOptions& options = {}) {
    const Index count = logits.dim(0);
    require<ValueError>(count > 0 && options.temperature >= 0 && options.top_k >= 0,
                        "sample: there must be logits, and temperature and top_k must not be negative, but are ", count,
                        ", ", options.temperature, " and ", options.top_k);
    const Index kept = options.temperature == 0                     ? 1
                       : options.top_k > 0 && options.top_k < count ? options.top_k
                                                                    : count;
    std::vector<double> weight(std::size_t(count), 0);
    Index best = -1;
    double total = 0, highest = 0;
    for (Index k = 0; k < kept; ++k) {
        Index next = -1;
        for (Index i = 0; i < count; ++i)
            if (weight[std::size_t(i)] == 0 && (next < 0 || logits(i) > logits(next))) next = i;
        if (k == 0) best = next, highest = double(logits(next));
        // Never 0, which marks those that are not drawn from.
        const double p = options.temperature > 0 ? std::exp((double(logits(next)) - highest) / options.temperature) : 1;
        total += weight[std::size_t(next)] = p > 1e-300 ? p : 1e-300;
    }
    double left = rng.uniform<double>() * total;
    for (Index i = 0; i < count; ++i) {
        left -= weight[std::size_t(i)];
        if (left < 0) return i;
    }
    return best;  // rounding
}

}  // namespace lamina::inline LAMINA_ABI::models
