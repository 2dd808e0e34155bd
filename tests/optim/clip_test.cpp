#include <lamina/autograd/slot.hpp>
#include <lamina/core/create.hpp>
#include <lamina/optim/clip.hpp>
#include <lamina/optim/sgd.hpp>
#include <tests/optim/parameters.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Leaves whose gradients are these tensors.
template <class... G>
std::vector<NamedTensor> with_gradients(const G&... gradients) {
    std::vector<NamedTensor> out;
    const auto add = [&](const auto& g) {
        auto x = autograd::leaf(zeros_like(g));
        std::copy_n(g.data(), g.numel(), autograd::grad_target(x).data);
        out.push_back({"p", AnyTensor(x)});
    };
    (add(gradients), ...);
    return out;
}
template <int R>
Tensor<float, R> gradient(const NamedTensor& p) {
    return autograd::grad(p.tensor.as<float, R>());
}

}  // namespace

TEST_CASE("clip_grad_norm_: norms of all orders, and nothing is scaled below the bound") {
    auto p = with_gradients(Tensor<float, 1>{3, 0}, Tensor<float, 1>{-4});
    p.push_back({"without gradient", AnyTensor(autograd::leaf(Tensor<float, 1>{1}))});
    CHECK(optim::clip_grad_norm_(p, 10) == 5);
    CHECK(gradient<1>(p[0])(0) == 3);
    CHECK(optim::clip_grad_norm_(p, 10, 1) == 7);
    CHECK(optim::clip_grad_norm_(p, 2, std::numeric_limits<double>::infinity()) == 4);
    CHECK(gradient<1>(p[0])(0) == doctest::Approx(1.5));
    CHECK(gradient<1>(p[1])(0) == doctest::Approx(-2));
    optim::clip_grad_value_(p, 1);
    CHECK(gradient<1>(p[0])(0) == 1);
    CHECK(gradient<1>(p[1])(0) == -1);
    CHECK(optim::clip_grad_norm_({}, 1) == 0);
    const auto bad = with_gradients(Tensor<float, 1>{NAN, 1});
    CHECK(std::isnan(optim::clip_grad_norm_(bad, 1)));
    CHECK(test::message_of<ValueError>([] { optim::clip_grad_norm_({}, -1); }) ==
          "clip_grad_norm_: max_norm must not be negative and p be positive, but are -1 and 2");
    CHECK(test::message_of<ValueError>([] { optim::clip_grad_value_({}, -1); }) ==
          "clip_grad_value_: limit must not be negative but is -1");
}

TEST_CASE("clip_grad_norm_, clip_grad_value_: golden values") {
    for (const auto& c : test::golden_cases("optim_clip")) {
        CAPTURE(c.name());
        if (c.has_meta("max_norm")) {
            const auto p = with_gradients(c.tensor<float, 2>("in.g0"), c.tensor<float, 1>("in.g1"));
            CHECK(optim::clip_grad_norm_(p, c.number("max_norm", 0), c.number("norm_type", 2)) ==
                  doctest::Approx(double(c.tensor<float, 0>("out.total_norm").item())).epsilon(1e-6));
            test::check_golden(c, "g0", gradient<2>(p[0]));
            test::check_golden(c, "g1", gradient<1>(p[1]));
        } else {
            const auto p = with_gradients(c.tensor<float, 1>("in.g0"));
            optim::clip_grad_value_(p, c.number("clip_value", 0));
            test::check_golden(c, "g0", gradient<1>(p[0]));
        }
    }
}

TEST_CASE("clip_grad_norm_: large gradients, half and double ones, the same bits at any thread count") {
    const int before = parallel::num_threads();
    const auto big = test::wave<float>(Shape{100003});
    double squares = 0, absolute = 0, largest = 0, cubes = 0;
    for (Index i = 0; i < big.numel(); ++i) {
        const double x = std::abs(double(big(i)));
        squares += x * x, absolute += x, largest = std::max(largest, x), cubes += x * x * x;
    }
    const auto norm = [&](int threads, double p) {
        parallel::set_num_threads(threads);
        return optim::grad_norm(with_gradients(big, Tensor<float, 1>{}, Tensor<float, 1>{0.0f}), p);
    };
    CHECK(norm(1, 2) == doctest::Approx(std::sqrt(squares)).epsilon(1e-13));
    CHECK(norm(1, 1) == doctest::Approx(absolute).epsilon(1e-13));
    CHECK(norm(1, 3) == doctest::Approx(std::cbrt(cubes)).epsilon(1e-13));
    CHECK(norm(1, std::numeric_limits<double>::infinity()) == largest);
    CHECK(norm(1, 2) == norm(3, 2));
    parallel::set_num_threads(before);
    CHECK(optim::grad_norm(with_gradients(Tensor<float, 1>{3e30f, 4e30f})) == doctest::Approx(5e30));
    CHECK(optim::grad_norm(with_gradients(Tensor<double, 1>{3, 4, 12})) == 13);
    CHECK(std::isnan(optim::grad_norm(with_gradients(Tensor<float, 1>{1, NAN, 2}), INFINITY)));

    AnyTensor h = AnyTensor::zeros(DType::f16, {2});
    h.set_grad_link(GradLink(new GradSlot(DType::f16, 2, 0)));
    h.grad_link()->gradient = Storage::allocate(4);
    const half values[2] = {half(3.0f), half(-4.0f)};
    std::memcpy(h.grad_link()->gradient->data(), values, 4);
    CHECK(optim::clip_grad_norm_({{"h", h}}, 2.5) == 5);
    CHECK(float(reinterpret_cast<const half*>(h.grad_link()->gradient->data())[1]) == doctest::Approx(-2));

    const auto wide = with_gradients(test::wave<float>(Shape{33}));
    optim::clip_grad_value_(wide, 0.25);
    for (Index i = 0; i < 33; ++i)
        CHECK(gradient<1>(wide[0])(i) == std::min(0.25f, std::max(-0.25f, float(test::wave_at(i)))));
    CHECK(test::message_of<ValueError>([] {
              optim::clip_grad_norm_(with_gradients(Tensor<float, 1>{INFINITY}), 1, {.error_if_nonfinite = true});
          }) == "clip_grad_norm_: the norm of the gradients must be finite but is inf");
    CHECK(test::message_of<ValueError>([] { optim::grad_norm({}, 0); }) == "grad_norm: p must be positive but is 0");
}

TEST_CASE("clip_scale: a step that scales is a step on clipped gradients") {
    const auto run = [](bool in_step) {
        const AnyTensor p = test::trainable(test::wave<float>(Shape{40}));
        test::give_gradient(p, test::wave<float>(Shape{40}, 1));
        optim::SGD optimizer({{"p", p}}, {.learning_rate = 0.5});
        if (in_step) {
            optimizer.step(optim::clip_scale(optim::grad_norm(optimizer.parameters()), 0.5));
        } else {
            optim::clip_grad_norm_(optimizer.parameters(), 0.5);
            optimizer.step();
        }
        return p.as<float, 1>().clone();
    };
    CHECK(test::max_error(run(true), run(false)) < 1e-7);
    CHECK(optim::clip_scale(0.5, 1) == 1);
    CHECK(optim::clip_scale(4, 1) == doctest::Approx(0.25));
    CHECK(std::isnan(optim::clip_scale(NAN, 1)));
}
