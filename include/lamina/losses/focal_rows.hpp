#pragma once
// Detection losses over rows rather than single numbers: focal loss of a softmax, distributions of a coordinate over
// bins, and the overlap of masks. Composed of recorded ops.
#include <lamina/losses/focal.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/index.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/softmax.hpp>

namespace lamina::inline LAMINA_ABI::losses {

namespace detail {

/// What becomes of one loss for each row [N].
template <Reduction reduction, class T>
auto reduce_rows(const Tensor<T, 1>& rows) {
    if constexpr (reduction == Reduction::none) return rows;
    else if constexpr (reduction == Reduction::sum) return lamina::sum(rows);
    else return lamina::mean(rows);
}

template <class T>
struct FocalOfLogProbability {
    static constexpr const char* name = "softmax_focal";
    T gamma;
    LAMINA_INLINE auto operator()(auto log_p) const {
        using V = decltype(log_p);
        using C = simd::lanes_of_t<V>;
        return V(-log_p * focus(V(C(1) - exp(log_p)), gamma));
    }
};

template <class T>
struct DiceOfSums {
    static constexpr const char* name = "dice";
    LAMINA_INLINE auto operator()(auto common, auto predicted, auto truth) const {
        using C = simd::lanes_of_t<decltype(common)>;
        return C(1) - (common * C(2) + C(1)) / (predicted + truth + C(1));
    }
};

}  // namespace detail

/// -(1 - p)^gamma log p of the probability p that softmax gives the true class: logits [N, C], classes [N]. Throws
/// ShapeError, ValueError for a class outside, as all losses here.
template <Reduction reduction = Reduction::mean, Real T>
auto softmax_focal(const Tensor<T, 2>& input, const Tensor<std::int64_t, 1>& target, double gamma = 2) {
    require(input.shape()[0] == target.shape()[0], "softmax_focal: there must be one class for each row (",
            target.shape(), " and ", input.shape(), ")");
    const auto log_p = squeeze(gather(log_softmax(input, 1), 1, unsqueeze(target, 1)), 1);
    return detail::reduce_rows<reduction>(map(detail::FocalOfLogProbability<T>{T(gamma)}, log_p));
}

/// Cross entropy of bins 0 … n with a coordinate y in [0, n] that lies between two of them: logits [N, n + 1], targets
/// [N], held to [0, n - 0.01]. X. Li et al., Generalized Focal Loss, NeurIPS 2020.
template <Reduction reduction = Reduction::mean, Real T>
auto distribution_focal(const Tensor<T, 2>& input, const Tensor<T, 1>& target) {
    const Index n = input.shape()[0], bins = input.shape()[1];
    require(n == target.shape()[0] && bins >= 2,
            "distribution_focal: there must be two bins or more and one target for each row (", target.shape(), " and ",
            input.shape(), ")");
    auto place = empty<std::int64_t>(Shape{n, 2});
    auto weight = empty<T>(Shape{n, 2});
    std::int64_t* const to_place = place.mutable_data();
    T* const to_weight = weight.mutable_data();
    const T last = T(bins - 1) - T(0.01);
    for (Index i = 0; i < n; ++i) {
        T y = target(i);
        require<ValueError>(y == y, "distribution_focal: target ", i, " is NaN");
        y = y < T(0) ? T(0) : y > last ? last : y;
        const auto left = std::int64_t(y);
        to_place[2 * i] = left, to_place[2 * i + 1] = left + 1;
        to_weight[2 * i] = y - T(left + 1), to_weight[2 * i + 1] = T(left) - y;
    }
    return detail::reduce_rows<reduction>(sum(gather(log_softmax(input, 1), 1, place) * weight, axes<1>));
}

/// 1 - (2 sum p y + 1) / (sum p + sum y + 1) for each mask, p = sigmoid(input): input and target [N, pixels]. As in
/// DETR; F. Milletari et al., V-Net, 2016.
template <Reduction reduction = Reduction::mean, Real T>
auto dice(const Tensor<T, 2>& input, const Tensor<T, 2>& target) {
    detail::require_same_shape("dice", input.shape(), target.shape());
    const auto p = sigmoid(input);
    const auto y = target.detach();
    return detail::reduce_rows<reduction>(
        map(detail::DiceOfSums<T>{}, sum(p * y, axes<1>), sum(p, axes<1>), sum(y, axes<1>)));
}

}  // namespace lamina::inline LAMINA_ABI::losses
