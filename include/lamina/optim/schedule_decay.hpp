#pragma once
// Schedules that lower (or raise) the rate by a factor of the step number. Defaults and formulas as in
// torch.optim.lr_scheduler.
#include <lamina/core/error.hpp>

#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::optim::schedule {

/// base * factor for the first `steps` steps, base from then on; by default base throughout.
struct Constant {
    double factor = 1;
    Index steps = 0;
    double operator()(double base, Index t) const { return t < steps ? base * factor : base; }
};

/// base * gamma^(t / every), the division rounded down. Throws ValueError for every < 1 when it is called.
struct Step {
    Index every;
    double gamma = 0.1;
    double operator()(double base, Index t) const {
        require<ValueError>(every >= 1, "Step: every must be at least 1 but is ", every);
        return base * std::pow(gamma, double(t / every));
    }
};

/// base * gamma^(number of milestones reached).
struct MultiStep {
    std::vector<Index> milestones;
    double gamma = 0.1;
    double operator()(double base, Index t) const {
        Index reached = 0;
        for (Index milestone : milestones) reached += t >= milestone;
        return base * std::pow(gamma, double(reached));
    }
};

/// base * gamma^t.
struct Exponential {
    double gamma;
    double operator()(double base, Index t) const { return base * std::pow(gamma, double(t)); }
};

/// base times a factor that goes from `start` to `end` in `steps` steps and stays.
struct Linear {
    double start = 1.0 / 3, end = 1;
    Index steps = 5;
    double operator()(double base, Index t) const {
        return base * (t >= steps ? end : start + (end - start) * double(t) / double(steps));
    }
};

/// base * (1 - t / steps)^power, then 0.
struct Polynomial {
    Index steps;
    double power = 1;
    double operator()(double base, Index t) const {
        return t >= steps ? 0 : base * std::pow(1 - double(t) / double(steps), power);
    }
};

/// Up in proportion to t + 1 for `warm_up` steps to base, then down as 1 / sqrt(t + 1).
struct InverseSqrt {
    Index warm_up = 1;
    double operator()(double base, Index t) const {
        const double step = double(t) + 1, up = double(warm_up > 0 ? warm_up : 1);
        return base * (step < up ? step / up : std::sqrt(up / step));
    }
};

/// base * width^-0.5 * min(s^-0.5, s warm_up^-1.5) with s = t + 1 (A. Vaswani et al., Attention Is All You Need).
/// Throws ValueError for width < 1 when it is called.
struct Noam {
    Index width;
    Index warm_up = 4000;
    double operator()(double base, Index t) const {
        require<ValueError>(width >= 1, "Noam: width must be at least 1 but is ", width);
        const double step = double(t) + 1, up = double(warm_up > 0 ? warm_up : 1);
        const double rising = step / (up * std::sqrt(up)), falling = 1 / std::sqrt(step);
        return base * (rising < falling ? rising : falling) / std::sqrt(double(width));
    }
};

}  // namespace lamina::inline LAMINA_ABI::optim::schedule
