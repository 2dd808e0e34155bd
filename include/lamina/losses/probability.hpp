#pragma once
// Losses between probabilities: binary cross entropy and the Kullback-Leibler divergence.
#include <lamina/kernels/loss.hpp>
#include <lamina/losses/reduction.hpp>

namespace lamina::inline LAMINA_ABI::losses {

/// Factors of the terms of a binary cross entropy.
template <class T, int R>
struct BinaryOptions {
    OptionalTensor<T, R> weight = {};  ///< of each term; broadcasts to the input
    OptionalTensor<T, 1> pos_weight =
        {};  ///< of the positive part, for each element of the last dimension; logits only
};

namespace detail {

/// The tensor, or a one of the same rank.
template <class T, int R>
Tensor<T, R> or_one(const OptionalTensor<T, R>& x) {
    if (x) return x->detach();
    Shape<R> shape;
    for (int d = 0; d < R; ++d) shape[d] = 1;
    return ones<T>(shape);
}
template <class T, int R, int W>
void require_weight(const char* op, const char* what, const Tensor<T, R>& input, const Tensor<T, W>& weight) {
    const auto shape = broadcast_shape(op, input.shape(), weight.shape());
    bool fits = false;
    if constexpr (decltype(shape)::rank() == R) fits = shape == input.shape();
    require(fits, op, ": ", what, " must broadcast to the input (", weight.shape(), " and ", input.shape(), ")");
}

}  // namespace detail

/// -(y log p + (1 - y) log(1 - p)) for probabilities p in [0, 1], with logarithms of at least -100. The target is a
/// constant. Throws ShapeError.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto bce(const Tensor<T, R>& input, const Tensor<T, R>& target,
         const std::type_identity_t<OptionalTensor<T, R>>& weight = {}) {
    detail::require_same_shape("bce", input.shape(), target.shape());
    const auto w = detail::or_one<T, R>(weight);
    detail::require_weight("bce", "weight", input, w);
    return detail::reduced<reduction, 1>(kernels::BinaryCrossEntropy{}, input, target, w);
}

/// The same for logits, without overflow: (1 - y) x + (1 + (pos_weight - 1) y) log(1 + e^-x). The target is a constant.
/// Throws ShapeError.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto bce_with_logits(const Tensor<T, R>& input, const Tensor<T, R>& target,
                     const std::type_identity_t<BinaryOptions<T, R>>& options = {}) {
    detail::require_same_shape("bce_with_logits", input.shape(), target.shape());
    const auto w = detail::or_one<T, R>(options.weight);
    const auto positive = detail::or_one<T, 1>(options.pos_weight);
    detail::require_weight("bce_with_logits", "weight", input, w);
    if (options.pos_weight) detail::require_weight("bce_with_logits", "pos_weight", input, positive);
    if constexpr (R == 0)
        return detail::reduced<reduction, 1>(kernels::BinaryCrossEntropyWithLogits{}, input, target, w, w);
    else return detail::reduced<reduction, 1>(kernels::BinaryCrossEntropyWithLogits{}, input, target, w, positive);
}

/// y (log y - x) for log-probabilities x, 0 where y is 0; with `log_target` the target is given as log y. `batch_mean`
/// is the divergence itself. Throws ShapeError.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto kl_div(const Tensor<T, R>& input, const Tensor<T, R>& target, bool log_target = false) {
    detail::require_same_shape("kl_div", input.shape(), target.shape());
    return log_target ? detail::reduced<reduction, 2>(kernels::KlDivergenceLogTarget{}, input, target)
                      : detail::reduced<reduction, 2>(kernels::KlDivergence{}, input, target);
}

}  // namespace lamina::inline LAMINA_ABI::losses
