#pragma once
// The next token drawn from a language model's logits.
#include <lamina/core/tensor.hpp>
#include <lamina/random/rng.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::models {

/// Options of sample.
struct SamplingOptions {
    double temperature = 1;  ///< logits are divided by it; 0: always the likeliest
    Index top_k = 0;         ///< draw from the k likeliest; 0: from all
};

/// A token drawn with the probability softmax(logits / temperature) [vocabulary] among the likeliest; of equal logits
/// the first counts as likelier, NaN as the least likely. Throws ValueError for no logits, a negative temperature or a
/// negative top_k.
template <Real T>
Index sample(const Tensor<T, 1>& logits, random::Rng& rng, const SamplingOptions& options = {}) {
    const Index count = logits.dim(0);
    require<ValueError>(count > 0 && options.temperature >= 0 && options.top_k >= 0,
                        "sample: there must be logits, and temperature and top_k must not be negative, but are ", count,
                        ", ", options.temperature, " and ", options.top_k);
    const auto value = [&](Index i) {
        const auto logit = double(logits(i));
        return logit == logit ? logit : -HUGE_VAL;
    };
    std::vector<Index> likely(std::size_t(count), 0);
    for (Index i = 0; i < count; ++i) likely[std::size_t(i)] = i;
    const bool all = options.top_k == 0 || options.top_k >= count;
    const auto kept = options.temperature == 0 ? 1 : all ? count : options.top_k;
    std::partial_sort(likely.begin(), likely.begin() + (kept < count ? kept : 1), likely.end(), [&](Index a, Index b) {
        const double x = value(a), y = value(b);
        return x > y || (x == y && a < b);
    });
    const Index best = likely[0];
    if (kept == 1) return best;
    likely.resize(std::size_t(kept));
    std::vector<double> weight;
    double total = 0;
    for (const Index i : likely) {
        const double p = std::exp((value(i) - value(best)) / options.temperature);
        weight.push_back(p > 0 ? p : 0);
        total += weight.back();
    }
    double left = rng.uniform<double>() * total;
    for (std::size_t k = 0; k < weight.size(); ++k) {
        left -= weight[k];
        if (left < 0) return likely[k];
    }
    return best;  // rounding
}

}  // namespace lamina::inline LAMINA_ABI::models
