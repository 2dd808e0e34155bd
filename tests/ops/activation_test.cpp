#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/unary.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Calls f(op) for the activation a golden case names, with the case's options.
template <class F>
bool with_activation(const std::string& name, F&& f) {
#define LAMINA_CASE(text, call) \
    if (name == text) return f([](const auto& x) { return call; }), true;
    LAMINA_CASE("celu_0.5", celu(x, 0.5f))
    LAMINA_CASE("cos", cos(x))
    LAMINA_CASE("elu", elu(x))
    LAMINA_CASE("elu_plus1", map([](auto v) { return kernels::Elu<float>{}(v) + 1.0f; }, x))
    LAMINA_CASE("erf", erf(x))
    LAMINA_CASE("exp", exp(x))
    LAMINA_CASE("gelu", gelu(x))
    LAMINA_CASE("gelu_tanh", gelu(x, GeluForm::tanh))
    LAMINA_CASE("hardsigmoid", hardsigmoid(x))
    LAMINA_CASE("hardswish", hardswish(x))
    LAMINA_CASE("hardtanh", hardtanh(x))
    LAMINA_CASE("leaky_relu", leaky_relu(x))
    LAMINA_CASE("leaky_relu_0.2", leaky_relu(x, 0.2f))
    LAMINA_CASE("log", log(x))
    LAMINA_CASE("log1p", log1p(x))
    LAMINA_CASE("logsigmoid", logsigmoid(x))
    LAMINA_CASE("mish", mish(x))
    LAMINA_CASE("quick_gelu", quick_gelu(x))
    LAMINA_CASE("reciprocal", reciprocal(x))
    LAMINA_CASE("relu", relu(x))
    LAMINA_CASE("relu6", relu6(x))
    LAMINA_CASE("relu_squared", relu_squared(x))
    LAMINA_CASE("rsqrt", rsqrt(x))
    LAMINA_CASE("selu", selu(x))
    LAMINA_CASE("sigmoid", sigmoid(x))
    LAMINA_CASE("silu", silu(x))
    LAMINA_CASE("sin", sin(x))
    LAMINA_CASE("softplus", softplus(x))
    LAMINA_CASE("softplus_b2", softplus(x, 2.0f, 4.0f))
    LAMINA_CASE("softsign", softsign(x))
    LAMINA_CASE("sqrt", sqrt(x))
    LAMINA_CASE("square", square(x))
    LAMINA_CASE("tanh", tanh(x))
    LAMINA_CASE("tanhshrink", tanhshrink(x))
#undef LAMINA_CASE
    return false;
}

template <int R>
void check_case(const test::GoldenCase& c, const std::string& name) {
    const bool known = with_activation(name, [&](auto op) {
        auto x = autograd::leaf(c.tensor<float, R>("in.x"));
        autograd::Tape tape;
        const auto y = op(x);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, R>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    });
    CHECK_MESSAGE(known, "no activation for " << name);
}

}  // namespace

TEST_CASE("activations: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/activation")) {
        const std::string name = c.name().substr(std::string("ops/activation/").size());
        if (c.rank("in.x") == 1) check_case<1>(c, name);
        else check_case<2>(c, name);
    }
}

TEST_CASE("activations: values of the specification") {
    const Tensor<float, 1> x{-3, -1, -0.5f, 0, 0.5f, 1, 3};
    CHECK(test::max_error(gelu(x), Tensor<float, 1>{-0.0040497f, -0.1586553f, -0.1542688f, 0, 0.3457312f, 0.8413447f,
                                                    2.9959503f}) < 5e-7);
    CHECK(test::max_error(gelu(x, GeluForm::tanh), Tensor<float, 1>{-0.0036374f, -0.158808f, -0.154286f, 0, 0.345714f,
                                                                    0.841192f, 2.9963626f}) < 7e-7);
    CHECK(test::max_error(mish(x), Tensor<float, 1>{-0.1456475f, -0.3034015f, -0.2207437f, 0, 0.3752452f, 0.8650984f,
                                                    2.986535f}) < 5e-7);
    CHECK(test::max_error(hardswish(x), Tensor<float, 1>{0, -1.0f / 3, -0.2083333f, 0, 0.2916667f, 2.0f / 3, 3}) <
          1e-6);
    const Tensor<float, 1> u{-0.5f, 0, 0.5f, 1};
    CHECK(test::max_error(laplace(u), Tensor<float, 1>{9.38328e-06f, 0.0060944411f, 0.23142122f, 0.85043001f}) < 1e-7);
}

TEST_CASE("activations: gradients match finite differences away from kinks") {
    const auto x = test::wave<double>(Shape{3, 19});
    const auto check = [&](auto f) { return autograd::gradcheck(f, x); };
    CHECK(check([](const auto& t) { return relu(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return gelu(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return gelu(t, GeluForm::tanh); }) < 1e-7);
    CHECK(check([](const auto& t) { return quick_gelu(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return silu(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return mish(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return selu(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return celu(t, 0.7); }) < 1e-7);
    CHECK(check([](const auto& t) { return hardswish(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return softplus(t, 1.5); }) < 1e-7);
    CHECK(check([](const auto& t) { return logsigmoid(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return laplace(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return tanhshrink(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return threshold(t, 0.1, -2.0); }) < 1e-7);
    CHECK(check([](const auto& t) { return sinh(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return cosh(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return tan(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return asin(t); }) < 1e-6);
    CHECK(check([](const auto& t) { return erfc(t); }) < 1e-7);
    CHECK(check([](const auto& t) { return clamp(t, -0.4, 0.55); }) < 1e-7);
}

TEST_CASE("activations: gradients where there is a kink follow the convention") {
    const auto slope_at = [](auto f, float at) {
        auto x = autograd::leaf(Tensor<float, 1>{at});
        autograd::Tape tape;
        tape.backward(f(x));
        return autograd::grad(x).item();
    };
    CHECK(slope_at([](const auto& x) { return relu(x); }, 0) == 0);
    CHECK(slope_at([](const auto& x) { return relu6(x); }, 6) == 0);
    CHECK(slope_at([](const auto& x) { return leaky_relu(x, 0.25f); }, 0) == 0.25f);
    CHECK(slope_at([](const auto& x) { return elu(x, 0.5f); }, 0) == 0.5f);
    CHECK(slope_at([](const auto& x) { return softplus(x); }, 0) == 0.5f);
    CHECK(slope_at([](const auto& x) { return logsigmoid(x); }, 0) == 0.5f);
    CHECK(slope_at([](const auto& x) { return abs(x); }, 0) == 0);
    CHECK(slope_at([](const auto& x) { return clamp(x, 0, 1); }, 1) == 1);
    CHECK(slope_at([](const auto& x) { return hardtanh(x); }, 1) == 0);
    CHECK(slope_at([](const auto& x) { return sqrt(x); }, 0) == std::numeric_limits<float>::infinity());
}

TEST_CASE("activations: infinities and NaN") {
    constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, 1> x{-inf, -200, 200, inf, nan};
    const auto check = [&](const Tensor<float, 1>& y, const Tensor<float, 1>& expected) {
        CHECK(test::max_error(y, expected) == 0);
    };
    check(relu(x), {0, 0, 200, inf, nan});
    check(relu6(x), {0, 0, 6, 6, nan});
    check(softplus(x), {0, 0, 200, inf, nan});
    check(logsigmoid(x), {-inf, -200, 0, 0, nan});
    check(elu(x), {-1, -1, 200, inf, nan});
    check(sigmoid(x), {0, 0, 1, 1, nan});
    check(tanh(x), {-1, -1, 1, 1, nan});
    check(clamp(x, -1, 2), {-1, -1, 2, 2, nan});
    check(silu(x), {0, 0, 200, inf, nan});
    check(quick_gelu(x), {0, 0, 200, inf, nan});
    check(gelu(x, GeluForm::tanh), {0, 0, 200, inf, nan});
    check(mish(Tensor<float, 1>{-200, 200, inf, nan}), {-200 * 0.0f, 200, inf, nan});
    CHECK(clamp(Tensor<float, 1>{0.5f}, 2, 1).item() == 1);
    CHECK(sinh(Tensor<float, 1>{89}).item() == doctest::Approx(std::sinh(89.0)));
}

TEST_CASE_TEMPLATE("gelu, silu: every ISA is accurate, value and slope, at every length", Arch, LAMINA_TEST_ARCHS) {
    const auto worst = [](auto f, auto exact) {
        double error = 0;
        for (Index n : {1, 3, 15, 16, 17, 20000}) {
            auto x = empty<float>(Shape{n}), y = empty<float>(Shape{n}), dx = empty<float>(Shape{n});
            for (Index i = 0; i < n; ++i) x.mutable_data()[i] = float(-12 + 24 * double(i) / double(n));
            kernels::map_forward<Arch>(f, n, y.mutable_data(), x.data());
            const auto dy = ones<float>(Shape{n});
            kernels::PointwiseRow row{.count = n,
                                      .in = {x.data(), dy.data()},
                                      .step = {1, 1},
                                      .out = {dx.mutable_data()},
                                      .accumulate = {},
                                      .stream = {}};
            kernels::map_gradient_row<Arch, float, decltype(f), 1, 1>(&f, row);
            for (Index i = 0; i < n; ++i) {
                const double v = double(x(i)), h = 1e-4;
                error = std::max(error, std::abs(exact(v) - double(y(i))) / std::max(1.0, std::abs(v)));
                error = std::max(error, std::abs((exact(v + h) - exact(v - h)) / (2 * h) - double(dx(i))));
            }
        }
        return error;
    };
    CHECK(worst(kernels::Gelu{}, [](double v) { return 0.5 * v * std::erfc(-v / std::sqrt(2.0)); }) < 3e-7);
    CHECK(worst(kernels::Silu{}, [](double v) { return v / (1 + std::exp(-v)); }) < 3e-7);
    CHECK(worst(kernels::GeluTanh{}, [](double v) {
              return 0.5 * v * (1 + std::tanh(std::sqrt(2 / 3.14159265358979) * (v + 0.044715 * v * v * v)));
          }) < 5e-7);
}

TEST_CASE("prelu: a slope per channel, with its gradient") {
    const auto x = test::wave<double>(Shape{2, 3, 2, 5});
    const auto a = test::wave<double>(Shape{3}, 1);
    const auto y = prelu(x, a);
    test::for_each_index(x.shape(), [&](const auto& i) {
        const double v = x(i[0], i[1], i[2], i[3]);
        CHECK(y(i[0], i[1], i[2], i[3]) == doctest::Approx(v > 0 ? v : v * a(i[1])));
    });
    CHECK(autograd::gradcheck([](const auto& t, const auto& w) { return prelu(t, w); }, x, a) < 1e-7);
    CHECK(test::message_of<ShapeError>([&] { prelu(x, test::wave<double>(Shape{2})); }) ==
          "prelu: weight must have 1 element or 3 but has 2 (input [2, 3, 2, 5])");
}

TEST_CASE("activations: options out of range are refused") {
    const auto x = zeros<float>(Shape{2});
    CHECK(test::message_of<ValueError>([&] { hardtanh(x, 1, -1); }) ==
          "hardtanh: low must not be above high (1 and -1)");
    CHECK(test::message_of<ValueError>([&] { celu(x, 0); }) == "celu: alpha must not be 0");
}
