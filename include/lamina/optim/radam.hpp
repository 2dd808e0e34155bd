#pragma once
// RAdam: Adam that starts as momentum descent and needs no warm-up.
#include <lamina/kernels/optim/radam.hpp>
#include <lamina/optim/optimizer.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::optim {

struct RAdamOptions {
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;  ///< added to the gradient, times the parameter
    bool maximize = false;    ///< ascend
};

namespace detail {

struct RAdamMethod : MethodBase {
    using Options = RAdamOptions;
    template <class T>
    using Rule = kernels::RadamRule<T>;
    static constexpr const char* name = "RAdam";
    static constexpr int states = 2;
    static constexpr const char* state_names[] = {"exp_avg", "exp_avg_sq"};

    static void check(const Options& o) { check_moments(name, o); }
    template <class F>
    static void visit(Options& o, F&& f) {
        visit_moments(o, f);
        f("maximize", o.maximize);
    }
    /// The second moment counts once the length of its approximated average is above 5 steps.
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>&) {
        const auto t = double(at.step);
        const double kept = std::pow(o.beta2, t), limit = 2 / (1 - o.beta2) - 1;
        const double length = limit - 2 * t * kept / (1 - kept);
        const bool rectified = length > 5;
        double step = o.learning_rate / (1 - std::pow(o.beta1, t));
        if (rectified)
            step *= std::sqrt((1 - kept) * (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .weight_decay = T(o.weight_decay),
                .beta1 = T(o.beta1),
                .beta2 = T(o.beta2),
                .one_minus_beta1 = T(1 - o.beta1),
                .one_minus_beta2 = T(1 - o.beta2),
                .step_size = T(step),
                .eps = T(o.eps),
                .rectified = rectified};
    }
};

}  // namespace detail

/// Rectified Adam (torch.optim.RAdam).
using RAdam = Optimizer<detail::RAdamMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
