#include <lamina/optim/adam.hpp>
#include <lamina/optim/schedule_compose.hpp>
#include <lamina/optim/schedule_cosine.hpp>
#include <lamina/optim/schedule_decay.hpp>
#include <lamina/optim/schedule_plateau.hpp>
#include <lamina/optim/sgd.hpp>
#include <tests/optim/parameters.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using namespace lamina::optim;
using doctest::Approx;

namespace {

std::vector<NamedTensor> parameter() { return {{"p", test::trainable(Tensor<float, 1>{1})}}; }

/// The rates of a scheduler against those the case lists.
template <class S>
void check_rates(const std::string& name, const S& schedule) {
    if (test::golden_root().empty()) return;
    const test::GoldenCase c("lr/" + name);
    SGD optimizer(parameter(), {.learning_rate = c.number("base_lr", 0)});
    Scheduler scheduler(optimizer, schedule);
    const auto expected = c.tensor<double, 1>("out.lr");
    for (Index t = 0; t < expected.numel(); ++t, scheduler.step()) {
        CHECK_MESSAGE(test::error_of(optimizer.options().learning_rate, expected(t)) <= 1e-12 * 0.4,
                      name << ", step " << t << ": " << optimizer.options().learning_rate << ", not " << expected(t));
        if (!c.has("out.momentum")) continue;
        const double momentum = c.tensor<double, 1>("out.momentum")(t);
        CHECK(optimizer.options().momentum == Approx(momentum).epsilon(1e-12));
    }
}

}  // namespace

TEST_CASE("schedules: golden rates") {
    check_rates("step", schedule::Step{5, 0.5});
    check_rates("multistep", schedule::MultiStep{{3, 8}, 0.1});
    check_rates("exponential", schedule::Exponential{0.9});
    check_rates("linear", schedule::Linear{0.1, 1, 6});
    check_rates("polynomial", schedule::Polynomial{10, 2});
    check_rates("cosine", schedule::Cosine{20, 0.001});
    check_rates("onecycle", schedule::OneCycle(0.4, 20));
    check_rates("warmup_linear", schedule::Sequential({5}, schedule::Linear{0, 1, 5}, schedule::Linear{1, 0, 15}));
    check_rates("warmup_linear", [](double base, Index t) {
        return base * (t < 5 ? double(t) / 5 : t < 20 ? double(20 - t) / 15 : 0);
    });
}

TEST_CASE("ReduceOnPlateau: golden rates, and the other way up") {
    if (!test::golden_root().empty()) {
        const test::GoldenCase c("lr/plateau");
        const auto measured = c.tensor<double, 1>("in.metric"), expected = c.tensor<double, 1>("out.lr");
        SGD optimizer(parameter(), {.learning_rate = 0.1}), other(parameter(), {.learning_rate = 0.1});
        const PlateauOptions options{.factor = 0.5, .patience = 2, .threshold = 0.01, .cooldown = 1};
        ReduceOnPlateau plateau(optimizer, options), resumed(other, options);
        for (Index t = 0; t < 30; ++t) {
            CHECK(optimizer.options().learning_rate == Approx(expected(t)).epsilon(1e-12));
            if (t == 15) {
                resumed.load_state_dict(plateau.state_dict());
                other.options() = optimizer.options();
            }
            plateau.step(measured(t));
            resumed.step(measured(t));
            if (t >= 15) CHECK(other.options().learning_rate == optimizer.options().learning_rate);
        }
    }
    SGD optimizer(parameter(), {.learning_rate = 1});
    ReduceOnPlateau plateau(optimizer, {.larger_is_better = true, .patience = 0, .relative = false, .min_rate = 0.05});
    CHECK(!plateau.step(0.5));
    CHECK(!plateau.step(0.6));
    CHECK(plateau.step(0.60005));
    CHECK(optimizer.options().learning_rate == Approx(0.1));
    CHECK(plateau.best() == 0.6);
    CHECK(plateau.step(NAN));
    CHECK(optimizer.options().learning_rate == Approx(0.05));
    CHECK(!plateau.step(0.1));
    CHECK(test::message_of<ValueError>([&] { ReduceOnPlateau(optimizer, {.factor = 1}); }) ==
          "ReduceOnPlateau: factor must lie in [0, 1) but is 1");
}

TEST_CASE("schedules: closed forms") {
    CHECK(schedule::Constant{}(0.1, 7) == 0.1);
    CHECK(schedule::Constant{0.5, 3}(0.1, 2) == 0.05);
    CHECK(schedule::Constant{0.5, 3}(0.1, 3) == 0.1);
    CHECK(schedule::InverseSqrt{4}(1, 0) == 0.25);
    CHECK(schedule::InverseSqrt{4}(1, 3) == 1);
    CHECK(schedule::InverseSqrt{4}(1, 15) == 0.5);
    CHECK(schedule::Noam{512, 4000}(1, 0) == Approx(std::pow(512, -0.5) * std::pow(4000, -1.5)));
    CHECK(schedule::Noam{512, 4000}(1, 3999) == Approx(std::pow(512, -0.5) * std::pow(4000, -0.5)));
    CHECK(schedule::Noam{512, 4000}(1, 15999) == Approx(std::pow(512, -0.5) * std::pow(16000, -0.5)));
    const schedule::WarmRestarts restarts{4, 2, 0.1};
    for (Index t : {0, 4, 12, 28}) CHECK(restarts(1, t) == 1);
    CHECK(restarts(1, 2) == Approx(0.55));
    CHECK(restarts(1, 8) == Approx(0.55));
    CHECK(restarts(1, 20) == Approx(0.55));
    CHECK(schedule::WarmRestarts{5}(1, 10) == 1);
    const schedule::WarmUp warm{4, schedule::Exponential{0.5}};
    CHECK(warm(1, 0) == 0.25);
    CHECK(warm(1, 3) == 1);
    CHECK(warm(1, 4) == 1);
    CHECK(warm(1, 6) == 0.25);
    const schedule::WarmUp from_tenth{3, schedule::Constant{}, 0.1};
    CHECK(from_tenth(1, 0) == Approx(0.4));
    const schedule::Chained both{schedule::Constant{0.5, 2}, schedule::Exponential{0.5}};
    CHECK(both(1, 1) == 0.25);
    CHECK(both(1, 2) == 0.25);
    const schedule::Sequential three({2, 5}, schedule::Constant{0.1, 99}, schedule::Exponential{0.5},
                                     schedule::Linear{1, 0, 2});
    CHECK(three(1, 1) == 0.1);
    CHECK(three(1, 2) == 1);
    CHECK(three(1, 4) == 0.25);
    CHECK(three(1, 5) == 1);
    CHECK(three(1, 6) == 0.5);
    const schedule::OneCycle line(1, 11, {.rising = 0.4, .linear = true, .three_phases = true});
    CHECK(line(0, 0) == Approx(0.04));
    CHECK(line(0, 10) == Approx(0.04 / 1e4));
    CHECK(line(0, 99) == line(0, 10));
    CHECK(line.momentum(0) == 0.95);
    CHECK(schedule::OneCycle(1, 9, {.cycle_momentum = false}).momentum(3) == -1);
    // Without these a division by zero, an endless loop and NaN.
    CHECK(test::message_of<ValueError>([] { schedule::Step{0}(1, 3); }) == "Step: every must be at least 1 but is 0");
    CHECK(test::message_of<ValueError>([] { schedule::WarmRestarts{0}(1, 3); }) ==
          "WarmRestarts: steps and growth must be at least 1 but are 0 and 1");
    CHECK(test::message_of<ValueError>([] {
              schedule::WarmRestarts{2, 0}(1, 3);
          }) == "WarmRestarts: steps and growth must be at least 1 but are 2 and 0");
    CHECK(test::message_of<ValueError>([] { schedule::Cosine{0}(1, 0); }) ==
          "Cosine: steps must be at least 1 but are 0");
    CHECK(test::message_of<ValueError>([] { schedule::Noam{0}(1, 0); }) == "Noam: width must be at least 1 but is 0");
    CHECK(test::message_of<ValueError>([] { schedule::OneCycle(1, 0); }) ==
          "OneCycle: steps must be at least 1 and rising lie in [0, 1], but are 0 and 0.3");
    CHECK(test::message_of<ValueError>([] { schedule::OneCycle(1, 9, {.start_divisor = 0}); }) ==
          "OneCycle: divisors must be positive but are 0 and 10000");
    CHECK(test::message_of<ValueError>([] { schedule::Sequential({}, schedule::Constant{}, schedule::Constant{}); }) ==
          "Sequential: 2 schedules need 1 milestones but there are 0");
    CHECK(test::message_of<ValueError>([] {
              schedule::Sequential({2, 2}, schedule::Constant{}, schedule::Constant{}, schedule::Constant{});
          }) == "Sequential: milestones must rise but 2 follows 2");
}

TEST_CASE("Scheduler: groups keep their own base rates; state") {
    AdamW optimizer({{parameter(), {.learning_rate = 0.1}}, {parameter(), {.learning_rate = 0.01}}});
    Scheduler scheduler(optimizer, schedule::Step{2});
    for (int i = 0; i < 3; ++i) scheduler.step();
    CHECK(optimizer.options(0).learning_rate == Approx(0.01));
    CHECK(optimizer.options(1).learning_rate == Approx(0.001));
    CHECK(scheduler.rate(1) == optimizer.options(1).learning_rate);
    AdamW other({{parameter(), {.learning_rate = 3}}, {parameter(), {.learning_rate = 4}}});
    Scheduler resumed(other, schedule::Step{2});
    resumed.load_state_dict(scheduler.state_dict());
    CHECK(resumed.steps() == 3);
    scheduler.step();
    resumed.step();
    CHECK(other.options(1).learning_rate == optimizer.options(1).learning_rate);
    CHECK(optimizer.options(1).learning_rate == Approx(1e-4));
    AdamW one(parameter());
    Scheduler small(one, schedule::OneCycle(1, 10));
    CHECK(one.options().beta1 == 0.95);
    CHECK(test::message_of<ValueError>([&] { small.load_state_dict(scheduler.state_dict()); }) ==
          "Scheduler: the optimizer has 1 groups but the saved one 2");
}
