#pragma once
// Schedules along half a cosine: I. Loshchilov, F. Hutter, SGDR, ICLR 2017 (with restarts); L. Smith, N. Topin,
// Super-Convergence, 2018 (one cycle).
#include <lamina/core/error.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::optim::schedule {

inline constexpr double pi = 3.14159265358979323846;

/// From base to `end` in `steps` steps. Later steps rise again, as PyTorch's do. Throws ValueError for steps < 1 when
/// it is called.
struct Cosine {
    Index steps;
    double end = 0;
    double operator()(double base, Index t) const {
        require<ValueError>(steps >= 1, "Cosine: steps must be at least 1 but are ", steps);
        return end + (base - end) * (1 + std::cos(pi * double(t) / double(steps))) / 2;
    }
};

/// Cosines from base to `end`, the first of `steps` steps, each of the others `growth` times as long as the last.
/// Throws ValueError for steps or growth < 1 when it is called.
struct WarmRestarts {
    Index steps;
    Index growth = 1;
    double end = 0;
    double operator()(double base, Index t) const {
        require<ValueError>(steps >= 1 && growth >= 1, "WarmRestarts: steps and growth must be at least 1 but are ",
                            steps, " and ", growth);
        Index length = steps;
        if (growth == 1) t %= length;
        else
            for (; t >= length; length *= growth) t -= length;
        return Cosine{length, end}(base, t);
    }
};

/// How OneCycle goes on: PyTorch's defaults.
struct OneCycleOptions {
    double rising = 0.3;         ///< part of the steps in which the rate rises
    double start_divisor = 25;   ///< starts at max_rate / start_divisor
    double end_divisor = 1e4;    ///< ends at the start / end_divisor
    bool linear = false;         ///< along lines instead of cosines
    bool three_phases = false;   ///< down to the start as fast as up, then to the end
    bool cycle_momentum = true;  ///< momentum or beta1 moves against the rate
    double low_momentum = 0.85, high_momentum = 0.95;
};

/// Up to `max_rate` and down again in `steps` steps; the base rate does not matter.
class OneCycle {
public:
    /// Throws ValueError for steps < 1, a rising part outside [0, 1] or a divisor that is not positive.
    OneCycle(double max_rate, Index steps, const OneCycleOptions& options = {})
        : max_(max_rate),
          steps_(steps),
          o_(options) {
        require<ValueError>(steps >= 1 && options.rising >= 0 && options.rising <= 1,
                            "OneCycle: steps must be at least 1 and rising lie in [0, 1], but are ", steps, " and ",
                            options.rising);
        require<ValueError>(options.start_divisor > 0 && options.end_divisor > 0,
                            "OneCycle: divisors must be positive but are ", options.start_divisor, " and ",
                            options.end_divisor);
    }
    double operator()(double, Index t) const {
        const double start = max_ / o_.start_divisor;
        return between(t, start, max_, start, start / o_.end_divisor);
    }
    /// Momentum for step t; negative when it is to be left alone.
    double momentum(Index t) const {
        if (!o_.cycle_momentum) return -1;
        return between(t, o_.high_momentum, o_.low_momentum, o_.high_momentum, o_.high_momentum);
    }

private:
    double blend(double from, double to, double part) const {
        return o_.linear ? from + (to - from) * part : to + (from - to) / 2 * (1 + std::cos(pi * part));
    }
    double between(Index t, double start, double top, double middle, double end) const {
        const double last = double(steps_) - 1, at = double(t) < last ? double(t) : last;
        const double peak = o_.rising * double(steps_) - 1, turn = 2 * o_.rising * double(steps_) - 2;
        if (at <= peak) return blend(start, top, peak > 0 ? at / peak : 1);
        if (!o_.three_phases) return blend(top, end, (at - peak) / (last - peak));
        if (at <= turn) return blend(top, middle, (at - peak) / (turn - peak));
        return blend(middle, end, (at - turn) / (last - turn));
    }

    double max_;
    Index steps_;
    OneCycleOptions o_;
};

}  // namespace lamina::inline LAMINA_ABI::optim::schedule
