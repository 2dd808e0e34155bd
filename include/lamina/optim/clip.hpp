#pragma once
// Gradients held in bounds before a step.
#include <lamina/core/any_tensor.hpp>
#include <lamina/kernels/optim/gradients.hpp>

namespace lamina::inline LAMINA_ABI::optim {

namespace detail {

/// The gradients of those parameters that have one.
inline std::vector<kernels::FloatArray> gradients_of(const std::vector<NamedTensor>& parameters) {
    std::vector<kernels::FloatArray> out;
    for (const auto& [name, tensor] : parameters)
        if (const GradLink& link = tensor.grad_link(); link && link->gradient)
            out.push_back({link->gradient->data(), link->numel, link->dtype});
    return out;
}

}  // namespace detail

/// The `p`-norm of all gradients together; infinity: the largest magnitude. The same bits at any thread count.
inline double grad_norm(const std::vector<NamedTensor>& parameters, double p = 2) {
    require<ValueError>(p > 0, "grad_norm: p must be positive but is ", p);
    return kernels::norm_of_all(detail::gradients_of(parameters), p);
}

/// What gradients of norm `norm` have to be multiplied by so that it is at most `max_norm`: what clip_grad_norm_ does
/// in a pass of its own, and `optimizer.step(clip_scale(grad_norm(parameters), 1))` in the step itself.
inline double clip_scale(double norm, double max_norm) {
    const double scale = max_norm / (norm + 1e-6);
    return scale >= 1 ? 1 : scale;
}

/// What clip_grad_norm_ may be told beside the bound.
struct ClipOptions {
    double p = 2;                     ///< order of the norm; infinity: the largest magnitude
    bool error_if_nonfinite = false;  ///< throw instead of letting NaN spread
};

/// Scales all gradients together so that their norm is at most `max_norm`, and returns the norm before
/// (torch.nn.utils.clip_grad_norm_). Throws ValueError for max_norm < 0 or p <= 0 and, if asked to, for a norm that is
/// not finite.
inline double clip_grad_norm_(const std::vector<NamedTensor>& parameters, double max_norm, const ClipOptions& o = {}) {
    require<ValueError>(max_norm >= 0 && o.p > 0,
                        "clip_grad_norm_: max_norm must not be negative and p be positive, but are ", max_norm, " and ",
                        o.p);
    const auto gradients = detail::gradients_of(parameters);
    const double total = kernels::norm_of_all(gradients, o.p);
    require<ValueError>(!o.error_if_nonfinite || std::isfinite(total),
                        "clip_grad_norm_: the norm of the gradients must be finite but is ", total);
    const double scale = clip_scale(total, max_norm);
    if (scale != 1) kernels::scale_all(gradients, scale);
    return total;
}
inline double clip_grad_norm_(const std::vector<NamedTensor>& parameters, double max_norm, double p) {
    return clip_grad_norm_(parameters, max_norm, ClipOptions{.p = p});
}

/// Holds every element of every gradient to [-limit, limit]. Throws ValueError for limit < 0.
inline void clip_grad_value_(const std::vector<NamedTensor>& parameters, double limit) {
    require<ValueError>(limit >= 0, "clip_grad_value_: limit must not be negative but is ", limit);
    kernels::clamp_all(detail::gradients_of(parameters), limit);
}

}  // namespace lamina::inline LAMINA_ABI::optim
