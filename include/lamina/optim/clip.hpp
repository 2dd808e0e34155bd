#pragma once
// Gradients held in bounds before a step.
#include <lamina/core/any_tensor.hpp>

#include <cmath>
#include <limits>

namespace lamina::inline LAMINA_ABI::optim {

namespace detail {

/// Calls f(gradient elements, count) for every parameter that has a gradient.
template <class F>
void for_each_gradient(const std::vector<NamedTensor>& parameters, F&& f) {
    for (const auto& [name, tensor] : parameters) {
        const GradLink& link = tensor.grad_link();
        if (!link || !link->gradient) continue;
        if (link->dtype == DType::f64) f(reinterpret_cast<double*>(link->gradient->data()), link->numel);
        else f(reinterpret_cast<float*>(link->gradient->data()), link->numel);
    }
}

}  // namespace detail

/// Scales all gradients together so that their `p`-norm (infinity: the largest magnitude) is at most `max_norm`, and
/// returns the norm before. Throws ValueError for max_norm < 0 or p <= 0 (torch.nn.utils.clip_grad_norm_).
inline double clip_grad_norm_(const std::vector<NamedTensor>& parameters, double max_norm, double p = 2) {
    require<ValueError>(max_norm >= 0 && p > 0,
                        "clip_grad_norm_: max_norm must not be negative and p be positive, but are ", max_norm, " and ",
                        p);
    const bool largest = p == std::numeric_limits<double>::infinity();
    double total = 0;
    detail::for_each_gradient(parameters, [&](const auto* g, Index n) {
        double part = 0;
        for (Index i = 0; i < n; ++i) {
            const double x = std::fabs(double(g[i]));
            if (largest) part = x > part || x != x ? x : part;
            else part += p == 2 ? x * x : std::pow(x, p);
        }
        if (largest) total = part > total || part != part ? part : total;
        else total += part;
    });
    if (!largest) total = p == 2 ? std::sqrt(total) : std::pow(total, 1 / p);
    const double scale = max_norm / (total + 1e-6);
    if (!(scale >= 1))
        detail::for_each_gradient(parameters, [&]<class T>(T* g, Index n) {
            for (Index i = 0; i < n; ++i) g[i] *= T(scale);
        });
    return total;
}

/// Holds every element of every gradient to [-limit, limit]. Throws ValueError for limit < 0.
inline void clip_grad_value_(const std::vector<NamedTensor>& parameters, double limit) {
    require<ValueError>(limit >= 0, "clip_grad_value_: limit must not be negative but is ", limit);
    detail::for_each_gradient(parameters, [&]<class T>(T* g, Index n) {
        for (Index i = 0; i < n; ++i) g[i] = g[i] > T(limit) ? T(limit) : g[i] < T(-limit) ? T(-limit) : g[i];
    });
}

}  // namespace lamina::inline LAMINA_ABI::optim
