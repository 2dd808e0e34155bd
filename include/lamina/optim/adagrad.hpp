#pragma once
// Adagrad: each element's steps shrink with all the gradient it has seen.
#include <lamina/kernels/optim/adagrad.hpp>
#include <lamina/optim/optimizer.hpp>

namespace lamina::inline LAMINA_ABI::optim {

struct AdagradOptions {
    double learning_rate = 1e-2;
    double learning_rate_decay = 0;  ///< step t is divided by 1 + (t - 1) times this
    double weight_decay = 0;         ///< added to the gradient, times the parameter
    double initial_accumulator_value = 0;
    double eps = 1e-10;
    bool maximize = false;  ///< ascend
};

namespace detail {

struct AdagradMethod : MethodBase {
    using Options = AdagradOptions;
    template <class T>
    using Rule = kernels::AdagradRule<T>;
    static constexpr const char* name = "Adagrad";
    static constexpr int states = 1;
    static constexpr const char* state_names[] = {"sum"};

    static double initial_state(const Options& o, int) { return o.initial_accumulator_value; }
    static void check(const Options& o) {
        check_not_negative(name, "learning_rate", o.learning_rate);
        check_not_negative(name, "learning_rate_decay", o.learning_rate_decay);
        check_not_negative(name, "weight_decay", o.weight_decay);
        check_not_negative(name, "initial_accumulator_value", o.initial_accumulator_value);
        check_not_negative(name, "eps", o.eps);
    }
    template <class F>
    static void visit(Options& o, F&& f) {
        f("lr", o.learning_rate);
        f("lr_decay", o.learning_rate_decay);
        f("weight_decay", o.weight_decay);
        f("initial_accumulator_value", o.initial_accumulator_value);
        f("eps", o.eps);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>&) {
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .learning_rate = T(o.learning_rate / (1 + double(at.step - 1) * o.learning_rate_decay)),
                .weight_decay = T(o.weight_decay),
                .eps = T(o.eps)};
    }
};

}  // namespace detail

/// Steps divided by the root of the sum of squares so far (torch.optim.Adagrad).
using Adagrad = Optimizer<detail::AdagradMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
