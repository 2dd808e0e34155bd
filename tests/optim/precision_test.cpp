// 16-bit parameters with float masters, dynamic loss scaling, and averages of parameters.
#include <lamina/optim/adafactor.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/average.hpp>
#include <lamina/optim/lamb.hpp>
#include <lamina/optim/loss_scale.hpp>
#include <lamina/optim/sgd.hpp>
#include <tests/optim/parameters.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using test::give_gradient;
using test::trainable;

namespace {

AnyTensor converted(const AnyTensor& x, DType type) {
    AnyTensor out = AnyTensor::zeros(type, x.shape());
    out.assign(x);
    return out;
}
std::vector<double> numbers(const AnyTensor& x) { return test::detail::doubles_of(x); }

/// A 16-bit parameter must always be the rounded form of a float one that gets the same gradients.
template <class Optimizer, class N>
void check_masters(const typename Optimizer::Options& options) {
    const Shape shape{3, 700};  // more than a block of the kernel, with a tail
    const AnyTensor start = converted(converted(test::wave<float>(shape), dtype_of<N>), DType::f32);
    const AnyTensor wide = trainable(start), narrow = trainable(start, dtype_of<N>);
    Optimizer a({{"p", wide}}, options), b({{"p", narrow}}, options);
    for (int i = 0; i < 6; ++i) {
        const AnyTensor g = converted(test::wave<float>(shape, i), dtype_of<N>);
        give_gradient(wide, converted(g, DType::f32));
        give_gradient(narrow, g);
        a.step();
        b.step();
        CHECK(numbers(narrow) == numbers(converted(wide, dtype_of<N>)));
    }
    CHECK(numbers(b.state_dict()["state.p.master"]) == numbers(wide));
}

}  // namespace

TEST_CASE_TEMPLATE("16-bit parameters follow float masters", N, half, bfloat16) {
    check_masters<optim::AdamW, N>({.learning_rate = 1e-3});
    check_masters<optim::SGD, N>({.learning_rate = 0.1, .momentum = 0.9});
    check_masters<optim::LAMB, N>({});
    check_masters<optim::Adafactor, N>({});
}

TEST_CASE("steps too small for bfloat16 add up in the master") {
    const AnyTensor p = trainable(Tensor<float, 1>{1}, DType::bf16);
    optim::SGD optimizer({{"p", p}}, {.learning_rate = 1e-3});
    for (int i = 0; i < 100; ++i) {
        give_gradient(p, converted(Tensor<float, 1>{1}, DType::bf16));
        optimizer.step();
    }
    CHECK(numbers(p)[0] == doctest::Approx(0.9).epsilon(0.002));
}

TEST_CASE("a 16-bit parameter set from outside counts, gradients may be float") {
    AnyTensor p = trainable(Tensor<float, 1>{1, 2}, DType::f16);
    p.set_grad_link(GradLink(new GradSlot(DType::f32, 2, 0)));
    optim::SGD optimizer({{"p", p}}, {.learning_rate = 0.25});
    const auto give = [&] {
        p.grad_link()->gradient = Storage::allocate(8);
        const float g[2] = {1, 1};
        std::memcpy(p.grad_link()->gradient->data(), g, sizeof g);
    };
    give();
    optimizer.step();
    CHECK(numbers(p) == std::vector<double>{0.75, 1.75});
    p.assign(Tensor<float, 1>{8, 1.75});
    give();
    optimizer.step();
    CHECK(numbers(p) == std::vector<double>{7.75, 1.5});
}

TEST_CASE("16-bit parameters resume with their masters") {
    const auto run = [](bool interrupted) {
        const AnyTensor p = trainable(test::wave<float>(Shape{50}), DType::bf16);
        optim::AdamW first({{"p", p}}), second({{"p", p}});
        for (int i = 0; i < 10; ++i) {
            if (interrupted && i == 5) second.load_state_dict(first.state_dict());
            give_gradient(p, converted(test::wave<float>(Shape{50}, i), DType::bf16));
            (interrupted && i >= 5 ? second : first).step();
        }
        return std::pair(numbers(p), numbers((interrupted ? second : first).state_dict()["state.p.master"]));
    };
    CHECK(run(true) == run(false));
}

TEST_CASE("LossScale: good steps divide by the scale, bad ones are left out") {
    const AnyTensor p = trainable(Tensor<float, 1>{1, 1});
    optim::SGD optimizer({{"p", p}}, {.learning_rate = 1, .momentum = 0.5});
    optim::LossScale scaler({.initial = 8, .interval = 2});
    give_gradient(p, Tensor<float, 1>{8, 4});
    CHECK(scaler.step(optimizer));
    CHECK(numbers(p) == std::vector<double>{0, 0.5});
    for (float bad : {INFINITY, -INFINITY, NAN}) {
        give_gradient(p, Tensor<float, 1>{bad, 4});
        CHECK(!scaler.step(optimizer));
    }
    CHECK(scaler.scale() == 1);
    CHECK(numbers(p) == std::vector<double>{0, 0.5});
    CHECK(optimizer.state_dict()["state.p.step"].as<std::int64_t, 0>().item() == 1);
    CHECK(!p.grad_link()->gradient);
    const StateDict saved = scaler.state_dict();
    optim::LossScale other;
    other.load_state_dict(saved);
    CHECK(other.scale() == 1);
    for (int i = 0; i < 2; ++i) {
        give_gradient(p, Tensor<float, 1>{0, 0});
        CHECK(scaler.step(optimizer));
    }
    CHECK(scaler.scale() == 2);
    CHECK(scaler.good_steps() == 0);

    // Clipping sees unscaled gradients, and the step does not divide again.
    const AnyTensor q = trainable(Tensor<float, 1>{0, 0});
    optim::SGD plain({{"q", q}}, {.learning_rate = 1});
    give_gradient(q, Tensor<float, 1>{6, 8});
    scaler.unscale(plain);
    scaler.unscale(plain);
    CHECK(optim::clip_grad_norm_(plain.parameters(), 100) == 5);
    scaler.step(plain);
    CHECK(numbers(q) == std::vector<double>{-3, -4});
    CHECK(test::message_of<ValueError>([] { optim::LossScale({.growth = 0}); }) ==
          "LossScale: growth must be positive but is 0");
    CHECK(test::message_of<ValueError>([] { optim::LossScale({.interval = 0}); }) ==
          "LossScale: interval must be at least 1 but is 0");
}

TEST_CASE("LossScale: half gradients") {
    const AnyTensor p = trainable(Tensor<float, 1>{1, 1}, DType::f16);
    optim::SGD optimizer({{"p", p}}, {.learning_rate = 1});
    optim::LossScale scaler({.initial = 1024});
    give_gradient(p, converted(Tensor<float, 1>{512, 256}, DType::f16));
    CHECK(scaler.step(optimizer));
    CHECK(numbers(p) == std::vector<double>{0.5, 0.75});
    give_gradient(p, converted(Tensor<float, 1>{1e6, 0}, DType::f16));
    CHECK(!scaler.step(optimizer));
    CHECK(scaler.scale() == 512);
}

TEST_CASE("EMA and SWA: formulas, warm-up, evaluation with averages, state") {
    AnyTensor p = trainable(Tensor<float, 1>{0, 4}), q = trainable(Tensor<double, 1>{1});
    AnyTensor n = trainable(Tensor<float, 1>{2}, DType::bf16);
    const std::vector<NamedTensor> all{{"p", p}, {"q", q}, {"n", n}};
    optim::EMA ema(all, 0.75), warm(all, 0.75, true);
    optim::SWA swa(all);
    double expected = 0, expected_warm = 0, sum = 0;
    for (int t = 0; t < 60; ++t) {
        const double v = 1 + test::wave_at(t);
        p.assign(Tensor<float, 1>{float(v), 4});
        q.assign(Tensor<double, 1>{v});
        n.assign(Tensor<float, 1>{float(v)});
        ema.update();
        warm.update();
        swa.update();
        expected = 0.75 * expected + 0.25 * double(float(v));
        const double d = std::min(0.75, (1.0 + t) / (10 + t));
        expected_warm = d * expected_warm + (1 - d) * double(float(v));
        sum += v;
    }
    const auto value = [](const auto& average, const char* name) {
        return numbers(average.state_dict()[message("average.", name)])[0];
    };
    CHECK(value(ema, "p") == doctest::Approx(expected).epsilon(1e-6));
    CHECK(value(warm, "p") == doctest::Approx(expected_warm).epsilon(1e-6));
    CHECK(value(swa, "p") == doctest::Approx(sum / 60).epsilon(1e-6));
    CHECK(value(swa, "q") == doctest::Approx(sum / 60).epsilon(1e-13));
    CHECK(value(swa, "n") == doctest::Approx(sum / 60).epsilon(3e-3));  // each rounded to 8 bits first
    CHECK(ema.state_dict()["average.n"].dtype() == DType::f32);

    const double last = numbers(p)[0];
    swa.apply();
    CHECK(numbers(p)[0] == value(swa, "p"));
    CHECK(test::message_of<ValueError>([&] { swa.apply(); }) == "ParameterAverage: apply was called already");
    CHECK(test::message_of<ValueError>([&] { swa.update(); }) ==
          "ParameterAverage: update needs the parameters restored");
    swa.restore();
    CHECK(numbers(p)[0] == last);
    CHECK(test::message_of<ValueError>([&] { swa.restore(); }) == "ParameterAverage: restore needs an apply before it");

    optim::SWA resumed(all);
    resumed.load_state_dict(swa.state_dict());
    CHECK(resumed.updates() == 60);
    resumed.update();
    swa.update();
    CHECK(value(resumed, "p") == value(swa, "p"));
    resumed.copy_to_parameters();
    CHECK(numbers(p)[0] == value(swa, "p"));
    CHECK(test::message_of<ValueError>([&] { optim::EMA(all, 1); }) == "EMA: decay must lie in [0, 1) but is 1");
}
