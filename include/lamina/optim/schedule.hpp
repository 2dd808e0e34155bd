#pragma once
// Learning rates that follow a schedule. A schedule is any function of a group's base rate and the number of steps
// taken; a scheduler applies it to all groups of an optimizer.
#include <lamina/core/any_tensor.hpp>

namespace lamina::inline LAMINA_ABI::optim {

/// A learning rate from the base rate and the number of steps taken: `rate = schedule(base, t)`. The types of
/// optim::schedule are such functions, and so is a lambda.
template <class S>
concept RateSchedule = requires(const S& schedule, double base, Index t) {
    double(schedule(base, t));
};

/// Sets the learning rates of `optimizer`, which must live as long: those of step 0 at once, those of the next step by
/// each `step`. Groups keep the rates they had as their base. A schedule with a function `momentum(t)` also sets
/// momentum or beta1.
template <class Optimizer, RateSchedule Schedule>
class Scheduler {
public:
    Scheduler(Optimizer& optimizer, Schedule schedule) : optimizer_(&optimizer), schedule_(std::move(schedule)) {
        for (Index g = 0; g < optimizer.group_count(); ++g) base_.push_back(optimizer.options(g).learning_rate);
        apply();
    }
    /// To be called after each step of the optimizer (or after each epoch, if the schedule counts those).
    void step() {
        ++t_;
        apply();
    }
    /// Number of steps taken.
    Index steps() const { return t_; }
    /// Learning rate that a group has now.
    double rate(Index group = 0) const { return optimizer_->options(group).learning_rate; }

    StateDict state_dict() const {
        StateDict out;
        out.insert("steps", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(t_))));
        auto base = Tensor<double, 1>(Shape{Index(base_.size())});
        std::copy(base_.begin(), base_.end(), base.mutable_data());
        out.insert("base_rates", AnyTensor(base));
        return out;
    }
    /// Goes on where another scheduler of the same schedule stood. Throws ValueError for missing names or another
    /// number of groups.
    void load_state_dict(const StateDict& saved) {
        const auto base = saved["base_rates"].as<double, 1>();
        require<ValueError>(base.numel() == Index(base_.size()), "Scheduler: the optimizer has ", Index(base_.size()),
                            " groups but the saved one ", base.numel());
        t_ = saved["steps"].as<std::int64_t, 0>().item();
        std::copy_n(base.data(), base.numel(), base_.begin());
        apply();
    }

private:
    void apply() {
        for (Index g = 0; g < Index(base_.size()); ++g) {
            auto& options = optimizer_->options(g);
            options.learning_rate = double(schedule_(base_[std::size_t(g)], t_));
            if constexpr (requires { schedule_.momentum(t_); }) {
                const double momentum = schedule_.momentum(t_);
                if (!(momentum >= 0)) continue;
                if constexpr (requires { options.momentum; }) options.momentum = momentum;
                else if constexpr (requires { options.beta1; }) options.beta1 = momentum;
            }
        }
    }

    Optimizer* optimizer_;
    Schedule schedule_;
    std::vector<double> base_;
    Index t_ = 0;
};

}  // namespace lamina::inline LAMINA_ABI::optim
