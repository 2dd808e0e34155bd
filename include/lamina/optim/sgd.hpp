#pragma once
// Stochastic gradient descent, with momentum and Nesterov's variant.
#include <lamina/kernels/optim/sgd.hpp>
#include <lamina/optim/optimizer.hpp>

namespace lamina::inline LAMINA_ABI::optim {

struct SGDOptions {
    double learning_rate = 1e-3;
    double momentum = 0;
    double dampening = 0;     ///< of the gradient's share in the buffer, not in the first step
    double weight_decay = 0;  ///< added to the gradient, times the parameter
    bool nesterov = false;    ///< needs momentum and no dampening
    bool maximize = false;    ///< ascend
};

namespace detail {

struct SGDMethod : MethodBase {
    using Options = SGDOptions;
    template <class T>
    using Rule = kernels::SgdRule<T>;
    static constexpr const char* name = "SGD";
    static constexpr int states = 1;
    static constexpr const char* state_names[] = {"momentum_buffer"};

    static bool needs_state(const Options& o, int, const std::vector<Index>&) { return o.momentum != 0; }
    static void check(const Options& o) {
        check_not_negative(name, "learning_rate", o.learning_rate);
        check_not_negative(name, "momentum", o.momentum);
        check_not_negative(name, "weight_decay", o.weight_decay);
        require<ValueError>(!o.nesterov || (o.momentum > 0 && o.dampening == 0),
                            "SGD: nesterov needs momentum above 0 and dampening 0 (momentum ", o.momentum,
                            ", dampening ", o.dampening, ")");
    }
    template <class F>
    static void visit(Options& o, F&& f) {
        f("lr", o.learning_rate);
        f("momentum", o.momentum);
        f("dampening", o.dampening);
        f("weight_decay", o.weight_decay);
        f("nesterov", o.nesterov);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>&) {
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .learning_rate = T(o.learning_rate),
                .weight_decay = T(o.weight_decay),
                .momentum = T(o.momentum),
                .gain = T(at.step == 1 ? 1 : 1 - o.dampening),
                .nesterov = o.nesterov};
    }
};

}  // namespace detail

/// Gradient descent: `optim::SGD optimizer{nn::parameters(net), {.learning_rate = 0.1, .momentum = 0.9}}`.
using SGD = Optimizer<detail::SGDMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
