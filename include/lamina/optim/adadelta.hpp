#pragma once
// Adadelta: steps of the size of the recent ones.
#include <lamina/kernels/optim/adadelta.hpp>
#include <lamina/optim/optimizer.hpp>

namespace lamina::inline LAMINA_ABI::optim {

struct AdadeltaOptions {
    double learning_rate = 1;
    double rho = 0.9;  ///< what the mean squares keep in a step
    double eps = 1e-6;
    double weight_decay = 0;  ///< added to the gradient, times the parameter
    bool maximize = false;    ///< ascend
};

namespace detail {

struct AdadeltaMethod : MethodBase {
    using Options = AdadeltaOptions;
    template <class T>
    using Rule = kernels::AdadeltaRule<T>;
    static constexpr const char* name = "Adadelta";
    static constexpr int states = 2;
    static constexpr const char* state_names[] = {"square_avg", "acc_delta"};

    static void check(const Options& o) {
        check_not_negative(name, "learning_rate", o.learning_rate);
        require<ValueError>(o.rho >= 0 && o.rho <= 1, name, ": rho must lie in [0, 1] but is ", o.rho);
        check_not_negative(name, "eps", o.eps);
        check_not_negative(name, "weight_decay", o.weight_decay);
    }
    template <class F>
    static void visit(Options& o, F&& f) {
        f("lr", o.learning_rate);
        f("rho", o.rho);
        f("eps", o.eps);
        f("weight_decay", o.weight_decay);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress&, const std::vector<Index>&) {
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .learning_rate = T(o.learning_rate),
                .weight_decay = T(o.weight_decay),
                .rho = T(o.rho),
                .one_minus_rho = T(1 - o.rho),
                .eps = T(o.eps)};
    }
};

}  // namespace detail

/// Steps whose size follows from the sizes of steps and gradients before (torch.optim.Adadelta).
using Adadelta = Optimizer<detail::AdadeltaMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
