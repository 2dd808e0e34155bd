#pragma once
// Feature maps of linear attention: what stands in for the exponential of softmax, as positive features of queries and
// keys whose products are the similarity.
#include <lamina/autograd/tape.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/extrema.hpp>
#include <lamina/ops/map.hpp>
#include <lamina/ops/matmul.hpp>
#include <lamina/ops/random.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/softmax.hpp>
#include <lamina/ops/unary.hpp>
#include <lamina/ops/vector_norm.hpp>

namespace lamina::inline LAMINA_ABI {

namespace kernels {

/// elu(x) + 1: x + 1 above 0, e^x below.
struct EluPlusOne {
    static constexpr const char* name = "elu_plus_one";
    template <class V>
    LAMINA_INLINE V operator()(V x) const {
        using C = simd::lanes_of_t<V>;
        return select(x > C(0), x + C(1), exp(select(x > C(0), C(0), x)));
    }
};

}  // namespace kernels

/// elu(x) + 1, of the shape of `x`. A. Katharopoulos et al., ICML 2020.
template <Real T, int R>
Tensor<T, R> elu_plus_one(const Tensor<T, R>& x) {
    return map(kernels::EluPlusOne{}, x);
}

/// max(0, x) + eps: the eps keeps a row without positive numbers from dividing by 0.
template <Real T, int R>
Tensor<T, R> relu_features(const Tensor<T, R>& x, double eps = 0) {
    return map(
        [eps](auto a) LAMINA_INLINE_LAMBDA {
            using C = simd::lanes_of_t<decltype(a)>;
            return select(a <= C(0), C(0), a) + C(typename C::value_type(eps));
        },
        x);
}

/// [1, x / |x|] [..., d + 1]: products 1 + cos(q, k), the first-order Taylor series of exp(q k) made non-negative by
/// normalising. A zero vector has similarity 1 to all. J. Su, 2020.
template <Real T, int R>
Tensor<T, R> cosine_features(const Tensor<T, R>& x) {
    Shape<R> one = x.shape();
    one[R - 1] = 1;
    return cat<T, R>({full<T>(one, T(1)), normalize(x, 2, -1, 1e-12)}, -1);
}

/// Options of favor_features.
struct FavorConfig {
    double temperature = 0;  ///< features approximate exp(temperature q k); 0: 1 / sqrt(d)
    bool both_signs = true;  ///< exp(w x) and exp(-w x) for each column of the projection: less variance
    bool stabilize = false;  ///< divide by the largest of a row: for queries, whose scale cancels
};

/// Positive random features [..., R] whose products approximate exp(temperature q k), from a `projection` [d, R] (with
/// both signs [d, R / 2]) of favor_projection. K. Choromanski et al., "Rethinking Attention with Performers", 2021.
template <Real T, int R>
    requires(R >= 3)
Tensor<T, R> favor_features(const Tensor<T, R>& x, const Tensor<T, 2>& projection, const FavorConfig& config = {}) {
    const Index d = x.shape()[R - 1], count = projection.dim(1) * (config.both_signs ? 2 : 1);
    const double temperature = config.temperature > 0 ? config.temperature : 1 / std::sqrt(double(d));
    const auto scaled = x * T(std::sqrt(temperature));
    const auto u = matmul(scaled, projection);
    const auto offset = sum(scaled * scaled, axes<-1>, keepdim) * T(0.5) + T(0.5 * std::log(double(count)));
    const auto all = config.both_signs ? cat<T, R>({u, -u}, -1) : u;
    const auto exponent = all - offset;
    if (!config.stabilize) return exp(exponent);
    return exp(exponent - amax(exponent, axes<-1>, keepdim).detach());
}

/// Columns [d, count] of N(0, I), orthogonal in groups of d: directions by Gram and Schmidt, lengths of their own draw.
template <Real T = float>
Tensor<T, 2> favor_projection(Index d, Index count, random::Rng& rng) {
    const auto draw = randn<double>(rng, Shape{count, d}), lengths = randn<double>(rng, Shape{count, d});
    auto rows = draw.clone();
    double* r = rows.mutable_data();
    const auto dot = [d](const double* a, const double* b) {
        double sum = 0;
        for (Index i = 0; i < d; ++i) sum += a[i] * b[i];
        return sum;
    };
    auto out = empty<T>(Shape{d, count});
    for (Index c = 0; c < count; ++c) {
        double* row = r + c * d;
        for (Index before = c / d * d; before < c; ++before) {
            const double part = dot(row, r + before * d);
            for (Index i = 0; i < d; ++i) row[i] -= part * r[before * d + i];
        }
        const double norm = std::sqrt(dot(row, row)),
                     length = std::sqrt(dot(lengths.data() + c * d, lengths.data() + c * d));
        for (Index i = 0; i < d; ++i) {
            row[i] /= norm;
            out.mutable_data()[i * count + c] = T(row[i] * length);
        }
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI
