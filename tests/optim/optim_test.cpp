#include <lamina/autograd/parameter.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/sgd.hpp>
#include <lamina/parallel/for.hpp>
#include <tests/optim/parameters.hpp>
#include <tests/support/archs.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using test::give_gradient;
using test::hyper;
using test::second_beta;
using test::trainable;

namespace {

template <class Optimizer>
void check_case(const test::GoldenCase& c, const typename Optimizer::Options& options) {
    const AnyTensor p0 = trainable(c.any("in.p0")), p1 = trainable(c.any("in.p1"));
    Optimizer optimizer({{"p0", p0}, {"p1", p1}}, options);
    for (Index step = 1; step <= 25; ++step) {
        give_gradient(p0, c.any("in.g0"), step - 1);
        give_gradient(p1, c.any("in.g1"), step - 1);
        optimizer.step();
        if (step != 1 && step != 2 && step != 5 && step != 25) continue;
        test::check_golden(c, message("p0.step", step), p0);
        test::check_golden(c, message("p1.step", step), p1);
    }
}

template <class O>
O adam_options(const test::GoldenCase& c) {
    O o;
    o.learning_rate = hyper(c, "lr", 0);
    o.beta1 = hyper(c, "betas", 0);
    o.beta2 = second_beta(c);
    o.eps = hyper(c, "eps", 0);
    o.weight_decay = hyper(c, "weight_decay", 0);
    o.amsgrad = hyper(c, "amsgrad", 0) != 0;
    o.maximize = hyper(c, "maximize", 0) != 0;
    return o;
}

/// Steps on .5 w0² + 2 w1² from (1, -2), the problem of the specification.
template <class Optimizer>
std::vector<double> descend(const typename Optimizer::Options& options, int steps) {
    Parameter<double, 1> w(Tensor<double, 1>{1, -2});
    const Tensor<double, 1> curvature{0.5, 2};
    Optimizer optimizer({{"w", w}}, options);
    for (int i = 0; i < steps; ++i) {
        autograd::Tape tape;
        tape.backward(sum(curvature * square(w)));
        optimizer.step();
        CHECK(!autograd::has_grad(w));
    }
    return {w(0), w(1)};
}

}  // namespace

TEST_CASE("optimizers: golden trajectories") {
    int seen = 0;
    for (const auto& c : test::golden_cases("optim")) {
        const std::string op = c.meta("op");
        if (op == "optimizer Adam") check_case<optim::Adam>(c, adam_options<optim::AdamOptions>(c));
        else if (op == "optimizer AdamW") check_case<optim::AdamW>(c, adam_options<optim::AdamWOptions>(c));
        else if (op == "optimizer SGD")
            check_case<optim::SGD>(c, {.learning_rate = hyper(c, "lr", 0),
                                       .momentum = hyper(c, "momentum", 0),
                                       .dampening = hyper(c, "dampening", 0),
                                       .weight_decay = hyper(c, "weight_decay", 0),
                                       .nesterov = hyper(c, "nesterov", 0) != 0,
                                       .maximize = hyper(c, "maximize", 0) != 0});
        else continue;
        ++seen;
    }
    CHECK((seen == 12 || test::golden_root().empty()));
}

TEST_CASE("optimizers: two groups with a schedule") {
    if (test::golden_root().empty()) return;
    const test::GoldenCase c("optim/two_groups_cosine");
    const AnyTensor p0 = trainable(c.any("in.p0")), p1 = trainable(c.any("in.p1"));
    optim::AdamW optimizer({{{{"p0", p0}}, {.weight_decay = 0.1}}, {{{"p1", p1}}, {.weight_decay = 0}}});
    const auto rates = c.tensor<double, 2>("out.lr_used");
    for (Index step = 1; step <= 25; ++step) {
        give_gradient(p0, c.any("in.g0"), step - 1);
        give_gradient(p1, c.any("in.g1"), step - 1);
        for (Index g = 0; g < 2; ++g) optimizer.options(g).learning_rate = rates(step - 1, g);
        optimizer.step();
        if (step != 1 && step != 2 && step != 5 && step != 25) continue;
        test::check_golden(c, message("p0.step", step), p0);
        test::check_golden(c, message("p1.step", step), p1);
    }
}

TEST_CASE("optimizers: steps of the specification") {
    const auto near = [](const std::vector<double>& w, double a, double b) {
        CHECK(w[0] == doctest::Approx(a).epsilon(1e-7));
        CHECK(w[1] == doctest::Approx(b).epsilon(1e-7));
    };
    near(descend<optim::Adam>({.learning_rate = 0.1, .weight_decay = 0.1}, 1), 0.9, -1.9);
    near(descend<optim::Adam>({.learning_rate = 0.1, .weight_decay = 0.1}, 3), 0.70158627, -1.7006234);
    near(descend<optim::AdamW>({.learning_rate = 0.1, .weight_decay = 0.1}, 1), 0.89, -1.88);
    near(descend<optim::AdamW>({.learning_rate = 0.1, .weight_decay = 0.1}, 3), 0.67510122, -1.6443687);
    const optim::SGDOptions nesterov{.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true};
    near(descend<optim::SGD>(nesterov, 1), 0.8081, -0.4762);
    near(descend<optim::SGD>(nesterov, 2), 0.57121561, 0.53623678);
    const auto bottom = descend<optim::AdamW>({.learning_rate = 0.05, .weight_decay = 0}, 600);
    CHECK(std::abs(bottom[0]) < 1e-3);
    CHECK(std::abs(bottom[1]) < 1e-3);
}

TEST_CASE_TEMPLATE("AdamRule: every ISA agrees with the formula at every length", Arch, LAMINA_TEST_ARCHS) {
    for (Index n : {0, 1, 3, 4, 5, 15, 16, 17, 33}) {
        auto p = test::wave<float>(Shape{n}), m = test::wave<float>(Shape{n}, 1), g = test::wave<float>(Shape{n}, 3);
        auto v = square(test::wave<float>(Shape{n}, 2));
        const auto p0 = p.clone(), m0 = m.clone(), v0 = v.clone();
        const auto rule = optim::detail::AdamMethod<optim::AdamWOptions, true>::rule<float>(
            {.learning_rate = 0.1, .weight_decay = 0.2}, {.step = 3}, {});
        kernels::update_all<Arch>(std::vector<kernels::UpdateJob<float, kernels::AdamRule<float>>>{
            {p.mutable_data(), g.data(), {m.mutable_data(), v.mutable_data(), nullptr}, n, rule}});
        double error = 0;
        for (Index i = 0; i < n; ++i) {
            const double first = 0.9 * m0(i) + 0.1 * g(i), second = 0.999 * v0(i) + 0.001 * double(g(i)) * g(i);
            const double expected =
                p0(i) * (1 - 0.1 * 0.2) -
                0.1 * first / (1 - 0.9 * 0.9 * 0.9) / (std::sqrt(second / (1 - 0.999 * 0.999 * 0.999)) + 1e-8);
            // The second moment of some elements is tiny, and the step then large.
            error = std::max(error, std::abs(expected - double(p(i))) / (1 + std::abs(expected)));
            error = std::max({error, std::abs(first - double(m(i))), std::abs(second - double(v(i)))});
        }
        CHECK(error < 1e-5);
    }
}

TEST_CASE("optimizers: ten steps equal five, saved, loaded, and five more, bit for bit") {
    const auto run = [](bool interrupted) {
        Parameter<float, 2> w(test::wave<float>(Shape{7, 5}));
        Parameter<float, 1> b(test::wave<float>(Shape{5}, 1));
        const auto make = [&] { return optim::AdamW({{"w", w}, {"b", b}}, {.learning_rate = 0.01, .amsgrad = true}); };
        auto optimizer = make();
        for (int i = 0; i < 10; ++i) {
            if (i == 5 && interrupted) {
                const auto saved = optimizer.state_dict();
                auto fresh = make();
                fresh.set_learning_rate(7);
                fresh.load_state_dict(saved);
                optimizer = fresh;
            }
            autograd::Tape tape;
            tape.backward(sum(square(w * float(i + 1) + b)));
            optimizer.step();
        }
        return w.clone();
    };
    CHECK(test::bitwise_equal(run(false), run(true)));
}

TEST_CASE("optimizers: parameters without gradient are skipped, zero gradients are not, tied ones count once") {
    Parameter<float, 1> used(Tensor<float, 1>{1}), unused(Tensor<float, 1>{1}), still(Tensor<float, 1>{1});
    optim::AdamW optimizer({{"used", used}, {"tied", used}, {"unused", unused}, {"still", still}},
                           {.learning_rate = 0.1, .weight_decay = 0.5});
    autograd::Tape tape;
    tape.backward(sum(used + still * 0.0f));
    optimizer.step();
    CHECK(used(0) == doctest::Approx(0.95 - 0.1));
    CHECK(unused(0) == 1);
    CHECK(still(0) == doctest::Approx(0.95));
    CHECK(optimizer.state_dict().find("state.unused.step") == nullptr);
    CHECK(optimizer.state_dict()["state.used.step"].as<std::int64_t, 0>().item() == 1);
}

TEST_CASE("optimizers: many parameters at once have the same bits at any thread count") {
    const int before = parallel::num_threads();
    const auto run = [](int threads) {
        parallel::set_num_threads(threads);
        std::vector<NamedTensor> parameters;
        for (Index n : {1, 17, 16384, 16385, 100000, 3}) {
            const AnyTensor p = trainable(test::wave<float>(Shape{n}));
            give_gradient(p, test::wave<float>(Shape{n}, 1), 0);
            parameters.push_back({message("p", n), p});
        }
        optim::SGD optimizer(parameters, {.learning_rate = 0.1, .momentum = 0.9});
        optimizer.step();
        double total = 0;
        for (const auto& p : parameters) {
            const auto values = p.tensor.as<float, 1>();
            double error = 0;
            for (Index i = 0; i < values.numel(); ++i) {
                error = std::max(error, std::abs(double(values(i)) - (test::wave_at(i) - 0.1 * test::wave_at(i, 1))));
                total += double(values(i)) * double(i + 1);
            }
            CHECK_MESSAGE(error < 1e-6, p.name);
        }
        return total;
    };
    CHECK(run(1) == run(3));
    parallel::set_num_threads(before);
}

TEST_CASE("optimizers: errors") {
    const Parameter<float, 1> w(Shape{2});
    const auto what = [&](auto f) { return test::message_of<ValueError>(f); };
    CHECK(what([&] {
              optim::AdamW({{"w", w}}, {.learning_rate = -1});
          }) == "AdamW: learning_rate must not be negative but is -1");
    CHECK(what([&] { optim::Adam({{"w", w}}, {.beta2 = 1}); }) == "Adam: beta2 must lie in [0, 1) but is 1");
    CHECK(what([&] { optim::Adam({{"w", w}}, {.eps = -1e-8}); }) == "Adam: eps must not be negative but is -1e-08");
    CHECK(what([&] {
              optim::SGD({{"w", w}}, {.nesterov = true});
          }) == "SGD: nesterov needs momentum above 0 and dampening 0 (momentum 0, dampening 0)");
    optim::SGD optimizer({{"w", w}}), other({{"w", w}, {"v", Parameter<float, 1>(Shape{3})}});
    CHECK(what([&] { optimizer.options(1); }) == "SGD: group must lie in [0, 0] but is 1");
    CHECK(what([&] { optimizer.load_state_dict(other.state_dict()); }) ==
          "SGD: the saved state must fit the parameters:\n  group 0 has 1 parameters, 2 saved");
    auto state = optimizer.state_dict();
    state.insert("state.u.step", Tensor<std::int64_t, 0>(1));
    state.insert("state.w.step", Tensor<std::int64_t, 0>(1));
    state.insert("state.w.momentum_buffer", Tensor<float, 1>{1, 2, 3});
    CHECK(what([&] { optimizer.load_state_dict(state); }) ==
          "SGD: the saved state must fit the parameters:\n  state.w.momentum_buffer is float32 [3] but must be float32 "
          "[2]\n  unexpected state.u.step");
    CHECK(what([&] {
              optim::SGD({{"w", w}, {"w", Parameter<float, 1>(Shape{3})}}).state_dict();
          }) == "SGD: parameters must have different names, w appears twice");
    CHECK(test::message_of<GradError>([&] {
              optim::SGD({{"x", Tensor<float, 1>{1}}});
          }) == "SGD: parameter x must have a gradient slot");
}
