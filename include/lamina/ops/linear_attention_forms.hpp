#pragma once
// Forms of linear attention by name, all on q [B, h, n, d], k [B, h, m, d], v [B, h, m, e], and the quadratic form that
// they equal.
#include <lamina/ops/comparison.hpp>
#include <lamina/ops/feature_maps.hpp>
#include <lamina/ops/linear_attention.hpp>
#include <lamina/ops/mask.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/triangle.hpp>

namespace lamina::inline LAMINA_ABI {

/// linear_attention by its definition, with the matrix of similarities: for tests and short sequences. Heads outside.
template <Real T>
Tensor<T, 4> linear_attention_quadratic(const Tensor<T, 4>& fq, const Tensor<T, 4>& fk, const Tensor<T, 4>& v,
                                        const LinearAttentionOptions& options = {}) {
    auto similar = matmul(fq, transpose(fk, 2, 3));
    const Index n = similar.dim(2), m = similar.dim(3);
    if (options.causal) {
        if (options.own_chunk) similar = tril(similar);
        else {
            auto ahead = zeros<bool>(Shape{n, m});
            for (Index i = 0; i < n; ++i)
                for (Index j = i / options.chunk * options.chunk; j < m; ++j) ahead.mutable_data()[i * m + j] = true;
            similar = masked_fill(similar, ahead, T(0));
        }
    }
    if (const auto lengths = detail::key_lengths("linear_attention", options.lengths, v.dim(0), m); lengths.defined()) {
        auto padding = zeros<bool>(Shape{v.dim(0), Index(1), Index(1), m});
        for (Index b = 0; b < v.dim(0); ++b)
            for (Index j = lengths.data()[b]; j < m; ++j) padding.mutable_at(b, 0, 0, j) = true;
        similar = masked_fill(similar, padding, T(0));
    }
    auto y = matmul(similar, v);
    if (options.normalize) {
        const auto den = sum(similar, axes<-1>, keepdim) + T(options.eps);
        y = y / (options.least > 0 ? maximum(full<T>(Shape<0>{}, T(options.least)), den) : den);
    }
    return options.scale != 1 ? y * T(options.scale) : y;
}

/// Similarities (elu(q) + 1)(elu(k) + 1), whose features are made chunk by chunk and not kept. A. Katharopoulos et al.,
/// 2020.
template <Real T>
Tensor<T, 4> elu_attention(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v,
                           const LinearAttentionOptions& options = {}) {
    return detail::linear_attention(q, k, v, options, kernels::feature_map<simd::native, T, kernels::EluPlusOne>());
}

/// Similarities 1 + cos(q, k). J. Su, 2020.
template <Real T>
Tensor<T, 4> taylor_attention(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v,
                              const LinearAttentionOptions& options = {}) {
    return linear_attention(cosine_features(q), cosine_features(k), v, options);
}

/// Q (K^T V) / m: no feature map and no denominator.
template <Real T>
Tensor<T, 4> plain_linear_attention(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v,
                                    LinearAttentionOptions options = {}) {
    const Index m = k.dim(options.heads == HeadLayout::inside ? 1 : 2);
    options.normalize = false;
    options.scale /= double(m > 0 ? m : 1);
    return linear_attention(q, k, v, options);
}

/// softmax over features of q times softmax over the sequence of k, whose products sum to 1 by themselves. The causal
/// form takes exp(k) instead and divides by its sums, at least 1e-3. `scale` of the options multiplies the features of
/// q, as linear-attention-transformer does with d^-1/2. Heads outside; `keep` [B, m]: true for keys that count. Z. Shen
/// et al., "Efficient Attention", WACV 2021.
template <Real T>
Tensor<T, 4> efficient_attention(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v,
                                 LinearAttentionOptions options = {}, const Optional<bool, 2>& keep = {}) {
    require<ValueError>(options.heads == HeadLayout::outside, "efficient_attention: the heads must stand outside");
    const auto hidden = keep ? OptionalTensor<bool, 4>(
                                   reshape(logical_not(*keep), Shape{keep->dim(0), Index(1), keep->dim(1), Index(1)}))
                             : OptionalTensor<bool, 4>();
    const auto values = hidden ? masked_fill(v, *hidden, T(0)) : v;
    const auto fq = options.scale != 1 ? softmax(q, 3) * T(options.scale) : softmax(q, 3);
    options.scale = 1;
    if (options.causal) {
        const auto fk = exp(k);
        options.eps = 0;
        options.least = 1e-3;
        return linear_attention(fq, hidden ? masked_fill(fk, *hidden, T(0)) : fk, values, options);
    }
    options.normalize = false;
    return linear_attention(fq, softmax(hidden ? masked_fill(k, *hidden, std::numeric_limits<T>::lowest()) : k, 2),
                            values, options);
}

}  // namespace lamina::inline LAMINA_ABI
