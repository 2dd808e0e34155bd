#pragma once
// Dynamic loss scaling: gradients of half precision, kept in the middle of its range. P. Micikevicius et al., Mixed
// Precision Training, ICLR 2018.
#include <lamina/optim/clip.hpp>
#include <lamina/optim/method.hpp>

namespace lamina::inline LAMINA_ABI::optim {

/// How the scale moves.
struct LossScaleOptions {
    double initial = 65536;
    double growth = 2;     ///< after `interval` good steps
    double backoff = 0.5;  ///< after an overflow
    Index interval = 2000;
};

/// Multiplies losses by a scale and divides the gradients by it; steps whose gradients overflow are left out. Use:
/// `tape.backward(loss * scaler.scale()); scaler.step(optimizer);`, with `scaler.unscale(optimizer)` between for
/// clipping. (torch.cuda.amp.GradScaler, with step and update in one.)
class LossScale {
public:
    /// Throws ValueError unless initial, growth and backoff are positive and interval is at least 1.
    explicit LossScale(const LossScaleOptions& options = {}) : options_(options), scale_(options.initial) {
        detail::check_positive("LossScale", "initial", options.initial);
        detail::check_positive("LossScale", "growth", options.growth);
        detail::check_positive("LossScale", "backoff", options.backoff);
        require<ValueError>(options.interval >= 1, "LossScale: interval must be at least 1 but is ", options.interval);
    }

    double scale() const { return scale_; }
    /// Steps since the last change of the scale.
    Index good_steps() const { return good_steps_; }

    /// Divides the gradients by the scale, once, so that they can be looked at or clipped before the step.
    template <class Optimizer>
    void unscale(Optimizer& optimizer) {
        if (!unscaled_) kernels::scale_all(detail::gradients_of(optimizer.parameters()), 1 / scale_);
        unscaled_ = true;
    }
    /// Takes the step and returns true, or forgets the gradients and lowers the scale when one of them is infinite or
    /// NaN; then the optimizer's step counts have not moved.
    template <class Optimizer>
    bool step(Optimizer& optimizer) {
        const bool good = kernels::all_finite(detail::gradients_of(optimizer.parameters()));
        if (good) optimizer.step(unscaled_ ? 1 : 1 / scale_);
        else optimizer.zero_grad();
        unscaled_ = false;
        if (!good) {
            scale_ *= options_.backoff;
            good_steps_ = 0;
        } else if (++good_steps_ == options_.interval) {
            scale_ *= options_.growth;
            good_steps_ = 0;
        }
        return good;
    }

    StateDict state_dict() const {
        StateDict out;
        out.insert("scale", AnyTensor(Tensor<double, 0>(scale_)));
        out.insert("good_steps", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(good_steps_))));
        return out;
    }
    /// Throws ValueError for a missing name.
    void load_state_dict(const StateDict& saved) {
        const double scale = saved["scale"].as<double, 0>().item();
        good_steps_ = saved["good_steps"].as<std::int64_t, 0>().item();
        scale_ = scale;
    }

private:
    LossScaleOptions options_;
    double scale_;
    Index good_steps_ = 0;
    bool unscaled_ = false;
};

}  // namespace lamina::inline LAMINA_ABI::optim
