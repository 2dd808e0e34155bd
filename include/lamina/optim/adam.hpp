#pragma once
// Adam and AdamW. They differ in weight decay: Adam adds it to the gradient, so that the moments see it; AdamW shrinks
// the parameter directly.
#include <lamina/kernels/optim/adam.hpp>
#include <lamina/optim/optimizer.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::optim {

struct AdamOptions {
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;
    bool amsgrad = false;   ///< divide by the largest second moment so far
    bool maximize = false;  ///< ascend
};
struct AdamWOptions {
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 1e-2;
    bool amsgrad = false;
    bool maximize = false;
};

namespace detail {

template <class O, bool Decoupled>
struct AdamMethod : MethodBase {
    using Options = O;
    template <class T>
    using Rule = kernels::AdamRule<T>;
    static constexpr const char* name = Decoupled ? "AdamW" : "Adam";
    static constexpr int states = 3;
    static constexpr const char* state_names[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};

    static bool needs_state(const Options& o, int k, const std::vector<Index>&) { return k < 2 || o.amsgrad; }
    static void check(const Options& o) { check_moments(name, o); }
    template <class F>
    static void visit(Options& o, F&& f) {
        visit_moments(o, f);
        f("amsgrad", o.amsgrad);
        f("maximize", o.maximize);
    }
    /// The bias corrections are worked out in double: 1 - beta^t cancels.
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>&) {
        const auto t = double(at.step);
        return {.gradient_scale = T(o.maximize ? -1 : 1),
                .coupled_decay = T(Decoupled ? 0 : o.weight_decay),
                .keep = T(Decoupled ? 1 - o.learning_rate * o.weight_decay : 1),
                .beta1 = T(o.beta1),
                .beta2 = T(o.beta2),
                .one_minus_beta1 = T(1 - o.beta1),
                .one_minus_beta2 = T(1 - o.beta2),
                .step_size = T(o.learning_rate / (1 - std::pow(o.beta1, t))),
                .inverse_correction = T(1 / std::sqrt(1 - std::pow(o.beta2, t))),
                .eps = T(o.eps)};
    }
};

}  // namespace detail

/// Adam with weight decay in the gradient.
using Adam = Optimizer<detail::AdamMethod<AdamOptions, false>>;
/// Adam with decoupled weight decay: `optim::AdamW optimizer{nn::parameters(net), {.learning_rate = 1e-3}}`.
using AdamW = Optimizer<detail::AdamMethod<AdamWOptions, true>>;

}  // namespace lamina::inline LAMINA_ABI::optim
