#pragma once
// LAMB: Adam whose step is a fixed part of each parameter's norm, for very large batches.
#include <lamina/kernels/optim/lamb.hpp>
#include <lamina/optim/optimizer.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::optim {

struct LAMBOptions {
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-6;
    double weight_decay = 1e-2;  ///< part of the direction, and so of its norm
    bool maximize = false;       ///< ascend
};

namespace detail {

struct LAMBMethod : MethodBase {
    using Options = LAMBOptions;
    template <class T>
    using Rule = kernels::LambRule<T>;
    static constexpr const char* name = "LAMB";
    static constexpr int states = 2;
    static constexpr const char* state_names[] = {"exp_avg", "exp_avg_sq"};

    static void check(const Options& o) { check_moments(name, o); }
    template <class F>
    static void visit(Options& o, F&& f) {
        visit_moments(o, f);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>&) {
        const auto t = double(at.step);
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .learning_rate = T(o.learning_rate),
                .weight_decay = T(o.weight_decay),
                .beta1 = T(o.beta1),
                .beta2 = T(o.beta2),
                .one_minus_beta1 = T(1 - o.beta1),
                .one_minus_beta2 = T(1 - o.beta2),
                .correction = T(1 / (1 - std::pow(o.beta1, t))),
                .inverse_correction = T(1 / std::sqrt(1 - std::pow(o.beta2, t))),
                .eps = T(o.eps)};
    }
    template <class Jobs>
    static void run(Jobs& jobs) {
        kernels::lamb_all(jobs);
    }
};

}  // namespace detail

/// Layer-wise adaptive moments; every tensor counts as a layer.
using LAMB = Optimizer<detail::LAMBMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
