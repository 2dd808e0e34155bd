#pragma once
// Schedules made of schedules.
#include <lamina/core/error.hpp>
#include <lamina/optim/schedule.hpp>

#include <tuple>

namespace lamina::inline LAMINA_ABI::optim::schedule {

/// Up in proportion to t + 1, so that step 0 already learns, from base * `start`; `then`, counted from 0, after
/// `steps` steps.
template <RateSchedule Then>
struct WarmUp {
    Index steps;
    Then then;
    double start = 0;
    double operator()(double base, Index t) const {
        if (t >= steps) return then(base, t - steps);
        return then(base, Index(0)) * (start + (1 - start) * double(t + 1) / double(steps));
    }
};
template <class Then>
WarmUp(Index, Then) -> WarmUp<Then>;
template <class Then>
WarmUp(Index, Then, double) -> WarmUp<Then>;

/// All schedules at once, each on the rate that the one before gives (torch.optim.lr_scheduler.ChainedScheduler).
template <RateSchedule... S>
class Chained {
public:
    explicit Chained(S... schedules) : schedules_(std::move(schedules)...) {}
    double operator()(double base, Index t) const {
        std::apply([&](const S&... schedule) { ((base = schedule(base, t)), ...); }, schedules_);
        return base;
    }

private:
    std::tuple<S...> schedules_;
};

/// One schedule after the other: schedule k from milestone k on, counted from 0 there
/// (torch.optim.lr_scheduler.SequentialLR). Takes one schedule more than milestones.
template <RateSchedule... S>
class Sequential {
public:
    /// Throws ValueError unless there is one rising milestone between any two schedules.
    Sequential(std::vector<Index> milestones, S... schedules)
        : milestones_(std::move(milestones)),
          schedules_(std::move(schedules)...) {
        require<ValueError>(milestones_.size() + 1 == sizeof...(S), "Sequential: ", Index(sizeof...(S)),
                            " schedules need ", Index(sizeof...(S)) - 1, " milestones but there are ",
                            Index(milestones_.size()));
        for (std::size_t i = 1; i < milestones_.size(); ++i)
            require<ValueError>(milestones_[i - 1] < milestones_[i], "Sequential: milestones must rise but ",
                                milestones_[i], " follows ", milestones_[i - 1]);
    }
    double operator()(double base, Index t) const {
        std::size_t active = 0;
        while (active < milestones_.size() && t >= milestones_[active]) ++active;
        const Index begin = active ? milestones_[active - 1] : 0;
        double rate = 0;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((I == active ? void(rate = std::get<I>(schedules_)(base, t - begin)) : void()), ...);
        }
        (std::index_sequence_for<S...>{});
        return rate;
    }

private:
    std::vector<Index> milestones_;
    std::tuple<S...> schedules_;
};

}  // namespace lamina::inline LAMINA_ABI::optim::schedule
