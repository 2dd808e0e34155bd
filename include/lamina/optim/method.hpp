#pragma once
// What a method of optimization may leave unsaid, and the checks of options.
#include <lamina/kernels/optim/update.hpp>

#include <string>

namespace lamina::inline LAMINA_ABI::optim::detail {

/// How far a parameter has come. `memory` is a number that some methods carry from step to step.
struct Progress {
    Index step = 0;
    double memory = 1;
};

/// Base of methods. A method names itself, its Options, its Rule<T>, its states, checks and visits its options, and
/// makes the rule of a step.
struct MethodBase {
    /// Name of Progress::memory in a state dict; null when it is not used.
    static constexpr const char* memory_name = nullptr;
    template <class Options>
    static bool needs_state(const Options&, int, const std::vector<Index>&) {
        return true;
    }
    /// What state k of a parameter is filled with at first.
    template <class Options>
    static double initial_state(const Options&, int) {
        return 0;
    }
    static std::vector<Index> state_shape(int, const std::vector<Index>& parameter) { return parameter; }
    /// Moves Progress::memory on to step `progress.step`.
    template <class Options>
    static void advance(const Options&, Progress&) {}
    /// One step of all jobs of an element type.
    template <class Jobs>
    static void run(Jobs& jobs) {
        kernels::update_all(jobs);
    }
};

inline void check_range(const char* method, const char* option, double value, double low, double below) {
    require<ValueError>(value >= low && value < below, method, ": ", option, " must lie in [", low, ", ", below,
                        ") but is ", value);
}
inline void check_not_negative(const char* method, const char* option, double value) {
    require<ValueError>(value >= 0, method, ": ", option, " must not be negative but is ", value);
}
inline void check_positive(const char* method, const char* option, double value) {
    require<ValueError>(value > 0, method, ": ", option, " must be positive but is ", value);
}

/// What Adam and its kin ask of their options.
template <class Options>
void check_moments(const char* method, const Options& o) {
    check_not_negative(method, "learning_rate", o.learning_rate);
    check_range(method, "beta1", o.beta1, 0, 1);
    check_range(method, "beta2", o.beta2, 0, 1);
    check_not_negative(method, "eps", o.eps);
    check_not_negative(method, "weight_decay", o.weight_decay);
}
/// Visits the options that they share.
template <class Options, class F>
void visit_moments(Options& o, F&& f) {
    f("lr", o.learning_rate);
    f("beta1", o.beta1);
    f("beta2", o.beta2);
    f("eps", o.eps);
    f("weight_decay", o.weight_decay);
}

}  // namespace lamina::inline LAMINA_ABI::optim::detail
