#pragma once
// RMSprop, plain, centered and with momentum.
#include <lamina/kernels/optim/rmsprop.hpp>
#include <lamina/optim/optimizer.hpp>

namespace lamina::inline LAMINA_ABI::optim {

struct RMSpropOptions {
    double learning_rate = 1e-2;
    double alpha = 0.99;  ///< what the mean square keeps in a step
    double eps = 1e-8;
    double weight_decay = 0;  ///< added to the gradient, times the parameter
    double momentum = 0;
    bool centered = false;  ///< divide by the deviation from the mean gradient
    bool maximize = false;  ///< ascend
};

namespace detail {

struct RMSpropMethod : MethodBase {
    using Options = RMSpropOptions;
    template <class T>
    using Rule = kernels::RmspropRule<T>;
    static constexpr const char* name = "RMSprop";
    static constexpr int states = 3;
    static constexpr const char* state_names[] = {"square_avg", "grad_avg", "momentum_buffer"};

    static bool needs_state(const Options& o, int k, const std::vector<Index>&) {
        return k == 0 || (k == 1 ? o.centered : o.momentum != 0);
    }
    static void check(const Options& o) {
        check_not_negative(name, "learning_rate", o.learning_rate);
        check_not_negative(name, "alpha", o.alpha);
        check_not_negative(name, "eps", o.eps);
        check_not_negative(name, "weight_decay", o.weight_decay);
        check_not_negative(name, "momentum", o.momentum);
    }
    template <class F>
    static void visit(Options& o, F&& f) {
        f("lr", o.learning_rate);
        f("alpha", o.alpha);
        f("eps", o.eps);
        f("weight_decay", o.weight_decay);
        f("momentum", o.momentum);
        f("centered", o.centered);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress&, const std::vector<Index>&) {
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .learning_rate = T(o.learning_rate),
                .weight_decay = T(o.weight_decay),
                .alpha = T(o.alpha),
                .one_minus_alpha = T(1 - o.alpha),
                .eps = T(o.eps),
                .momentum = T(o.momentum)};
    }
};

}  // namespace detail

/// Steps in units of the gradient's recent size (torch.optim.RMSprop).
using RMSprop = Optimizer<detail::RMSpropMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
