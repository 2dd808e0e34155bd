#pragma once
// A learning rate that falls when a measured number stops getting better.
#include <lamina/core/any_tensor.hpp>

#include <limits>

namespace lamina::inline LAMINA_ABI::optim {

/// PyTorch's defaults.
struct PlateauOptions {
    bool larger_is_better = false;
    double factor = 0.1;      ///< of the rate, each time
    Index patience = 10;      ///< bad measurements in a row that are borne
    double threshold = 1e-4;  ///< how much better counts as better
    bool relative = true;     ///< threshold as a part of the best
    Index cooldown = 0;       ///< measurements after a fall that do not count as bad
    double min_rate = 0;
    double eps = 1e-8;  ///< smaller changes of the rate are not made
};

/// Lowers the rates of all groups of `optimizer`, which must live as long, after more than `patience` measurements
/// that were no better than the best (torch.optim.lr_scheduler.ReduceLROnPlateau).
template <class Optimizer>
class ReduceOnPlateau {
public:
    /// Throws ValueError for a factor outside [0, 1).
    explicit ReduceOnPlateau(Optimizer& optimizer, const PlateauOptions& options = {})
        : optimizer_(&optimizer),
          o_(options),
          best_(worst()) {
        require<ValueError>(options.factor >= 0 && options.factor < 1,
                            "ReduceOnPlateau: factor must lie in [0, 1) but is ", options.factor);
    }
    /// Takes a measurement; true when rates fell.
    bool step(double measured) {
        if (is_better(measured)) {
            best_ = measured;
            bad_ = 0;
        } else {
            ++bad_;
        }
        if (cooling_ > 0) {
            --cooling_;
            bad_ = 0;
        }
        if (bad_ <= o_.patience) return false;
        cooling_ = o_.cooldown;
        bad_ = 0;
        bool fell = false;
        for (Index g = 0; g < optimizer_->group_count(); ++g) {
            double& rate = optimizer_->options(g).learning_rate;
            const double lower = rate * o_.factor > o_.min_rate ? rate * o_.factor : o_.min_rate;
            if (!(rate - lower > o_.eps)) continue;
            rate = lower;
            fell = true;
        }
        return fell;
    }
    double best() const { return best_; }

    StateDict state_dict() const {
        StateDict out;
        out.insert("best", AnyTensor(Tensor<double, 0>(best_)));
        out.insert("bad", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(bad_))));
        out.insert("cooling", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(cooling_))));
        return out;
    }
    /// Throws ValueError for a missing name.
    void load_state_dict(const StateDict& saved) {
        const double best = saved["best"].as<double, 0>().item();
        const Index bad = saved["bad"].as<std::int64_t, 0>().item();
        cooling_ = saved["cooling"].as<std::int64_t, 0>().item();
        best_ = best;
        bad_ = bad;
    }

private:
    double worst() const {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        return o_.larger_is_better ? -infinity : infinity;
    }
    bool is_better(double x) const {
        const double sign = o_.larger_is_better ? 1 : -1;
        if (o_.relative) return sign * x > sign * (best_ * (1 + sign * o_.threshold));
        return sign * x > sign * (best_ + sign * o_.threshold);
    }

    Optimizer* optimizer_;
    PlateauOptions o_;
    double best_;
    Index bad_ = 0, cooling_ = 0;
};

}  // namespace lamina::inline LAMINA_ABI::optim
