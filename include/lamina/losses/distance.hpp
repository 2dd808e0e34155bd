#pragma once
// Losses on distances and angles between rows.
#include <lamina/losses/reduction.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/reduce.hpp>

namespace lamina::inline LAMINA_ABI::losses {

/// a·b / (max(|a|, eps) max(|b|, eps)) along dimension D of two tensors of one shape, which it removes. Throws
/// ShapeError.
template <int D = 1, Real T, int R>
Tensor<T, R - 1> cosine_similarity(const Tensor<T, R>& a, const Tensor<T, R>& b,
                                   std::type_identity_t<T> eps = T(1e-8)) {
    detail::require_same_shape("cosine_similarity", a.shape(), b.shape());
    const auto squares = [&](const Tensor<T, R>& x) { return clamp_min(sum(square(x), axes<D>), eps * eps); };
    return sum(a * b, axes<D>) * rsqrt(squares(a)) * rsqrt(squares(b));
}

struct TripletOptions {
    double margin = 1;
    double eps = 1e-6;  ///< added to the differences, so that no distance is 0
};

/// Mean of max(0, |a - p| - |a - n| + margin) over rows: `anchor`, `positive`, `negative` [N, D]. Throws ShapeError.
template <Real T>
Tensor<T, 0> triplet_margin(const Tensor<T, 2>& anchor, const Tensor<T, 2>& positive, const Tensor<T, 2>& negative,
                            const TripletOptions& options = {}) {
    detail::require_same_shape("triplet_margin", anchor.shape(), positive.shape());
    detail::require_same_shape("triplet_margin", anchor.shape(), negative.shape());
    const auto distance = [&](const Tensor<T, 2>& to) {
        const T eps = T(options.eps);
        const auto squared = map(
            [eps](auto x, auto y) LAMINA_INLINE_LAMBDA {
                const auto d = x - y + simd::lanes_of_t<decltype(x)>(eps);
                return d * d;
            },
            anchor, to);
        return sqrt(sum(squared, axes<1>));
    };
    return mean(relu(distance(positive) - distance(negative) + options.margin));
}

}  // namespace lamina::inline LAMINA_ABI::losses
