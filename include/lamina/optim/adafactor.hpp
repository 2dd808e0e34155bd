#pragma once
// Adafactor: Adam's scaling with a fraction of its memory; learning rates relative to the parameters.
#include <lamina/kernels/optim/adafactor.hpp>
#include <lamina/optim/optimizer.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::optim {

struct AdafactorOptions {
    double learning_rate = 1e-2;  ///< with relative_step the upper bound of the relative rate
    double eps1 = 1e-30;          ///< added to squared gradients
    double eps2 = 1e-3;           ///< smallest size of a parameter that counts
    double clip_threshold = 1;    ///< largest root mean square of a step before the learning rate
    double decay_rate = -0.8;     ///< the second moment keeps 1 - t^decay_rate
    double beta1 = 0;             ///< of a first moment; 0: none
    double weight_decay = 0;      ///< decoupled
    bool scale_parameter = true;  ///< multiply the rate by the parameter's root mean square
    bool relative_step = true;    ///< rate min(learning_rate, 1 / sqrt(t)) instead of learning_rate
    bool warmup_init = false;     ///< with relative_step: min(1e-6 t, 1 / sqrt(t))
    bool maximize = false;        ///< ascend
};

namespace detail {

struct AdafactorMethod : MethodBase {
    using Options = AdafactorOptions;
    template <class T>
    using Rule = kernels::AdafactorRule<T>;
    static constexpr const char* name = "Adafactor";
    static constexpr int states = 4;
    static constexpr const char* state_names[] = {"exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_sq", "exp_avg"};

    static bool needs_state(const Options& o, int k, const std::vector<Index>& shape) {
        return k == 3 ? o.beta1 > 0 : (k == 2) == (shape.size() < 2);
    }
    static std::vector<Index> state_shape(int k, const std::vector<Index>& parameter) {
        std::vector<Index> shape = parameter;
        if (shape.size() < 2) return shape;
        if (k == 0) shape.pop_back();
        if (k == 1) shape.erase(shape.end() - 2);
        return shape;
    }
    static void check(const Options& o) {
        check_not_negative(name, "learning_rate", o.learning_rate);
        check_not_negative(name, "eps1", o.eps1);
        check_not_negative(name, "eps2", o.eps2);
        check_positive(name, "clip_threshold", o.clip_threshold);
        // Above 0 the moments would keep a negative part of themselves, and their roots be NaN.
        require<ValueError>(o.decay_rate <= 0, name, ": decay_rate must not be positive but is ", o.decay_rate);
        check_range(name, "beta1", o.beta1, 0, 1);
        check_not_negative(name, "weight_decay", o.weight_decay);
    }
    template <class F>
    static void visit(Options& o, F&& f) {
        f("lr", o.learning_rate);
        f("eps1", o.eps1);
        f("eps2", o.eps2);
        f("clip_threshold", o.clip_threshold);
        f("decay_rate", o.decay_rate);
        f("beta1", o.beta1);
        f("weight_decay", o.weight_decay);
        f("scale_parameter", o.scale_parameter);
        f("relative_step", o.relative_step);
        f("warmup_init", o.warmup_init);
        f("maximize", o.maximize);
    }
    template <class T>
    static Rule<T> rule(const Options& o, const Progress& at, const std::vector<Index>& shape) {
        const auto t = double(at.step);
        const double bound = o.warmup_init ? 1e-6 * t : o.learning_rate, slowing = 1 / std::sqrt(t);
        const bool factored = shape.size() >= 2;
        Index batch = 1;
        for (std::size_t d = 0; d + 2 < shape.size(); ++d) batch *= shape[d];
        return {.gradient_scale = o.maximize ? -1.0 : 1.0,
                .learning_rate = !o.relative_step  ? o.learning_rate
                                 : bound < slowing ? bound
                                                   : slowing,
                .scale_by_size = o.scale_parameter,
                .smallest_size = o.eps2,
                .eps = o.eps1,
                .beta1 = o.beta1,
                .beta2 = 1 - std::pow(t, o.decay_rate),
                .clip = o.clip_threshold,
                .weight_decay = o.weight_decay,
                .batch = batch,
                .rows = factored ? shape[shape.size() - 2] : 0,
                .columns = factored ? shape.back() : 0};
    }
    template <class Jobs>
    static void run(Jobs& jobs) {
        kernels::adafactor_all(jobs);
    }
};

}  // namespace detail

/// Second moments of matrices factored into rows and columns.
using Adafactor = Optimizer<detail::AdafactorMethod>;

}  // namespace lamina::inline LAMINA_ABI::optim
