#pragma once
// NAdam: Adam with Nesterov's look ahead and a momentum that warms up.
#include <lamina/kernels/optim/nadam.hpp>
#include <lamina/optim/optimizer.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::optim {

struct NAdamOptions {
    double learning_rate = 2e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;       ///< added to the gradient, times the parameter
    double momentum_decay = 4e-3;  ///< of the difference between beta1 and the momentum
    bool maximize = false;         ///< ascend
};

namespace detail {

struct NAdamMethod : MethodBase {
    using Options = NAdamOptions;
    template <class T>
    using Rule = kernels::NadamRule<T>;
    static constexpr const char* name = "NAdam";
    static constexpr int states = 2;
    static constexpr const char* state_names[] = {"exp_avg", "exp_avg_sq"};
    static constexpr const char* memory_name = "mu_product";

    static void check(const Options& o) {
        check_moments(name, o);
        check_not_negative(name, "momentum_decay", o.momentum_decay);
    }
    template <class F>
    static void visit(Options& o, F&& f) {
        visit_moments(o, f);
        f("momentum_decay", o.momentum_decay);
        f("maximize", o.maximize);
    }
    static double momentum(const Options& o, Index t) {
        return o.beta1 * (1 - 0.5 * std::pow(0.96, double(t) * o.momentum_decay));
    }
    static void advance(const Options& o, Progress& at) { at.memory *= momentum(o, at.step); }
    /// As PyTorch 1.13 computes it, whose product of momenta up to t + 1 holds the one of step t twice.
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>&) {
        const double now = momentum(o, at.step), next = momentum(o, at.step + 1);
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .weight_decay = T(o.weight_decay),
                .beta1 = T(o.beta1),
                .beta2 = T(o.beta2),
                .one_minus_beta1 = T(1 - o.beta1),
                .one_minus_beta2 = T(1 - o.beta2),
                .gradient_step = T(o.learning_rate * (1 - now) / (1 - at.memory)),
                .moment_step = T(o.learning_rate * next / (1 - at.memory * now * next)),
                .inverse_correction = T(1 / std::sqrt(1 - std::pow(o.beta2, double(at.step)))),
                .eps = T(o.eps)};
    }
};

}  // namespace detail

/// Adam that looks ahead (torch.optim.NAdam).
using NAdam = Optimizer<detail::NAdamMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
