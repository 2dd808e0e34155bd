#pragma once
// A noisy number made readable, such as the loss of one batch.
#include <lamina/core/error.hpp>

namespace lamina::inline LAMINA_ABI::train {

/// The running mean of what it is given, in which the past fades by `decay` a step; right from the first number on.
/// `progress.update(done, {{"loss", loss(value)}})`.
class Smoothed {
public:
    /// Throws ValueError for a decay outside [0, 1).
    explicit Smoothed(double decay = 0.98) : decay_(decay) {
        require<ValueError>(decay >= 0 && decay < 1, "Smoothed: decay must lie in [0, 1) but is ", decay);
    }
    /// Takes a number in and returns the mean.
    double operator()(double number) {
        sum_ = decay_ * sum_ + number;
        weight_ = decay_ * weight_ + 1;
        return value();
    }
    /// The mean; 0 before the first number.
    double value() const { return weight_ > 0 ? sum_ / weight_ : 0; }

private:
    double decay_, sum_ = 0, weight_ = 0;
};

}  // namespace lamina::inline LAMINA_ABI::train
