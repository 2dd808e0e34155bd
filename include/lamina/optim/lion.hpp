#pragma once
// Lion: steps of one size in the direction of the sign; wants learning rates 3 to 10 times smaller than AdamW.
#include <lamina/kernels/optim/lion.hpp>
#include <lamina/optim/optimizer.hpp>

namespace lamina::inline LAMINA_ABI::optim {

struct LionOptions {
    double learning_rate = 1e-4;
    double beta1 = 0.9, beta2 = 0.99;
    double weight_decay = 0;  ///< decoupled
    bool maximize = false;    ///< ascend
};

namespace detail {

struct LionMethod : MethodBase {
    using Options = LionOptions;
    template <class T>
    using Rule = kernels::LionRule<T>;
    static constexpr const char* name = "Lion";
    static constexpr int states = 1;
    static constexpr const char* state_names[] = {"exp_avg"};

    static void check(const Options& o) {
        check_not_negative(name, "learning_rate", o.learning_rate);
        check_range(name, "beta1", o.beta1, 0, 1);
        check_range(name, "beta2", o.beta2, 0, 1);
        check_not_negative(name, "weight_decay", o.weight_decay);
    }
    template <class F>
    static void visit(Options& o, F&& f) {
        f("lr", o.learning_rate);
        f("beta1", o.beta1);
        f("beta2", o.beta2);
        f("weight_decay", o.weight_decay);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress&, const std::vector<Index>&) {
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .learning_rate = T(o.learning_rate),
                .keep = T(1 - o.learning_rate * o.weight_decay),
                .beta1 = T(o.beta1),
                .beta2 = T(o.beta2),
                .one_minus_beta1 = T(1 - o.beta1),
                .one_minus_beta2 = T(1 - o.beta2)};
    }
};

}  // namespace detail

/// Evolved sign momentum: p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p).
using Lion = Optimizer<detail::LionMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
