#pragma once
// Adamax: Adam that divides by the largest recent gradient.
#include <lamina/kernels/optim/adamax.hpp>
#include <lamina/optim/optimizer.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::optim {

struct AdamaxOptions {
    double learning_rate = 2e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;  ///< added to the gradient, times the parameter
    bool maximize = false;    ///< ascend
};

namespace detail {

struct AdamaxMethod : MethodBase {
    using Options = AdamaxOptions;
    template <class T>
    using Rule = kernels::AdamaxRule<T>;
    static constexpr const char* name = "Adamax";
    static constexpr int states = 2;
    static constexpr const char* state_names[] = {"exp_avg", "exp_inf"};

    static void check(const Options& o) { check_moments(name, o); }
    template <class F>
    static void visit(Options& o, F&& f) {
        visit_moments(o, f);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>&) {
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .weight_decay = T(o.weight_decay),
                .beta1 = T(o.beta1),
                .beta2 = T(o.beta2),
                .one_minus_beta1 = T(1 - o.beta1),
                .step_size = T(o.learning_rate / (1 - std::pow(o.beta1, double(at.step)))),
                .eps = T(o.eps)};
    }
};

}  // namespace detail

/// Adam with the infinity norm (torch.optim.Adamax).
using Adamax = Optimizer<detail::AdamaxMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
