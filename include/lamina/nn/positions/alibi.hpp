#pragma once
// ALiBi: scores fall linearly with the distance, a different slope for each head; nothing is learned and nothing is
// added to the embeddings.
#include <lamina/core/create.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn {

/// [heads]: 2^(-8 k / heads), k = 1 … heads. O. Press et al., ICLR 2022.
template <Real T = float>
Tensor<T, 1> alibi_slopes(Index heads) {
    auto slopes = empty<T>(Shape{heads});
    for (Index h = 0; h < heads; ++h) slopes.mutable_data()[h] = T(std::exp2(-8.0 * double(h + 1) / double(heads)));
    return slopes;
}

/// [heads, n, m], to be added to scores: -slope |i + first - j| for query i at position i + first.
template <Real T = float>
Tensor<T, 3> alibi_bias(Index heads, Index n, Index m, Index first = 0) {
    const auto slopes = alibi_slopes<T>(heads);
    auto bias = empty<T>(Shape{heads, n, m});
    T* to = bias.mutable_data();
    for (Index h = 0; h < heads; ++h)
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < m; ++j) {
                const Index distance = i + first - j;
                *to++ = -slopes.data()[h] * T(distance < 0 ? -distance : distance);
            }
    return bias;
}

}  // namespace lamina::inline LAMINA_ABI::nn
