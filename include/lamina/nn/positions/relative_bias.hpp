#pragma once
// T5's relative bias: a learned number for each head and bucket of distances, added to the scores. Near distances have
// a bucket each, far ones share logarithmic buckets.
#include <lamina/nn/init.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/embedding.hpp>
#include <lamina/ops/permute.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of RelativeBias.
struct RelativeBiasConfig {
    bool causal = false;  ///< later keys count as distance 0, and earlier ones have all buckets
    Index buckets = 32;
    Index max_distance = 128;  ///< from here on all share the last bucket
    double scale = 1;          ///< of the result
};

/// Bucket of `relative` = key - query; half of the buckets are for keys behind the query unless causal. C. Raffel et
/// al., JMLR 2020. The logarithm is taken in float, as there.
inline Index relative_bucket(Index relative, const RelativeBiasConfig& config = {}) {
    Index count = config.buckets, first = 0, distance = -relative;
    if (config.causal) {
        if (distance < 0) distance = 0;
    } else {
        count /= 2;
        if (distance < 0) first = count, distance = -distance;
    }
    const Index exact = count / 2;
    if (distance < exact) return first + distance;
    const float part = std::log(float(distance) / float(exact)) /
                       float(std::log(double(config.max_distance) / double(exact))) * float(count - exact);
    const Index far = exact + Index(part);
    return first + (far < count ? far : count - 1);
}

/// Bias [heads, n, m] from a table [buckets, heads]; the name is that of T5's attention.
template <Real T = float>
struct RelativeBias {
    static constexpr std::string_view kind = "RelativeBias";
    RelativeBiasConfig options;
    Parameter<T, 2> weight;  ///< [buckets, heads]

    /// Throws ValueError where far distances have no buckets of their own.
    explicit RelativeBias(Index heads, const RelativeBiasConfig& config = {})
        : options(config),
          weight(Shape{config.buckets, heads}) {
        const Index exact = config.buckets / (config.causal ? 2 : 4);
        require<ValueError>(exact >= 1 && config.max_distance > exact, "RelativeBias: buckets must be at least ",
                            config.causal ? 2 : 4, " and max_distance above ", exact, " but are ", config.buckets,
                            " and ", config.max_distance);
    }
    /// Normal, standard deviation 0.02: the first steps see nearly plain attention.
    void reset(random::Rng& rng) { normal_(weight, rng, 0, 0.02); }

    /// For queries at positions first, first + 1, … and keys at 0, 1, …, times `factor`. A view of one number for each
    /// distance: rows overlap, and none of the n * m pairs is stored.
    Tensor<T, 3> operator()(Index n, Index m, Index first = 0, double factor = 1) const {
        return observed(*this, along_diagonals(by_distance(n, m, first, factor), n, m));
    }
    /// The numbers themselves [heads, n + m - 1], for AttentionMask::distance: key - query from 1 - n - first on.
    Tensor<T, 2> by_distance(Index n, Index m, Index first = 0, double factor = 1) const {
        require(n >= 0 && m >= 0, "RelativeBias: numbers of queries and keys must not be negative but are ", n, " and ",
                m);
        auto bucket = empty<std::int64_t>(Shape{n + m > 0 ? n + m - 1 : 0});
        for (Index i = 0; i < bucket.numel(); ++i)
            bucket.mutable_data()[i] = relative_bucket(i - (n - 1) - first, options);
        return permute(embedding(bucket, weight), {1, 0}) * T(options.scale * factor);
    }
    static void members(auto& self, auto&& visit) { visit("relative_attention_bias.weight", self.weight); }

private:
    /// y[h, i, j] = by_distance[h, j - i + n - 1].
    static Tensor<T, 3> along_diagonals(const Tensor<T, 2>& by_distance, Index n, Index m) {
        const auto rows = contiguous(by_distance);
        const Index all = rows.dim(1);
        Tensor<T, 3> y(rows.storage(), const_cast<T*>(rows.data()) + (n > 0 ? n - 1 : 0), Shape{rows.dim(0), n, m},
                       Strides<3>{all, -1, 1});
        if (auto* tape = autograd::recording(rows))
            tape->record("along_diagonals", y, [link = rows.grad_link(), heads = rows.dim(0), all, n, m](const T* dy) {
                T* const sums = autograd::grad_ptr<T>(link);
                if (!sums) return;
                for (Index h = 0; h < heads; ++h)
                    for (Index i = 0; i < n; ++i, dy += m) {
                        T* const to = sums + h * all + n - 1 - i;
                        for (Index j = 0; j < m; ++j) to[j] += dy[j];
                    }
            });
        return y;
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
