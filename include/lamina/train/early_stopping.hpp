#pragma once
// When to give up: a measured number has not become better for a while.
#include <lamina/core/any_tensor.hpp>

#include <limits>

namespace lamina::inline LAMINA_ABI::train {

/// Options of EarlyStopping.
struct EarlyStoppingOptions {
    Index patience = 5;             ///< measurements without improvement that are borne
    double least_improvement = 0;   ///< smaller ones do not count
    bool larger_is_better = false;  ///< numbers are losses otherwise
};

/// `if (stopping.step(validation_loss)) break;`
class EarlyStopping {
public:
    /// Throws ValueError for a negative patience.
    explicit EarlyStopping(const EarlyStoppingOptions& options = {}) : options_(options) {
        require<ValueError>(options.patience >= 0, "EarlyStopping: patience must not be negative but is ",
                            options.patience);
        best_ = std::numeric_limits<double>::infinity() * (options.larger_is_better ? -1 : 1);
    }
    /// Takes a measurement; true when it is time to stop. NaN is no improvement.
    bool step(double measured) {
        const double gain = options_.larger_is_better ? measured - best_ : best_ - measured;
        improved_ = gain > options_.least_improvement;
        if (improved_) best_ = measured;
        waited_ = improved_ ? 0 : waited_ + 1;
        return waited_ > options_.patience;
    }
    /// Was the last measurement the best so far? Then is the time to save.
    bool improved() const { return improved_; }
    double best() const { return best_; }

    StateDict state_dict() const {
        StateDict out;
        out.insert("best", AnyTensor(Tensor<double, 0>(best_)));
        out.insert("waited", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(waited_))));
        return out;
    }
    /// Throws ValueError for a missing name.
    void load_state_dict(const StateDict& saved) {
        const double best = saved["best"].as<double, 0>().item();
        waited_ = saved["waited"].as<std::int64_t, 0>().item();
        best_ = best;
        improved_ = false;
    }

private:
    EarlyStoppingOptions options_;
    double best_;
    Index waited_ = 0;
    bool improved_ = false;
};

}  // namespace lamina::inline LAMINA_ABI::train
