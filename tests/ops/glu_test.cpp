#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/glu.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("glu, geglu: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/glu")) {
        CAPTURE(c.name());
        const Index dim = c.integer("dim", -1);
        const auto run = [&]<int R>(std::integral_constant<int, R>) {
            const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
            autograd::Tape tape;
            const auto y = c.name().find("geglu") != std::string::npos ? geglu(x, dim) : glu(x, dim);
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, R>("r.y"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
        };
        if (c.rank("in.x") == 2) run(std::integral_constant<int, 2>{});
        else run(std::integral_constant<int, 3>{});
    }
}

TEST_CASE("swiglu: a silu(b) over any dimension, gradients by finite differences") {
    const auto x = test::wave<double>(Shape{3, 4, 2});
    const auto y = swiglu(x, 1);
    test::for_each_index(y.shape(), [&](std::array<Index, 3> at) {
        const double a = x(at[0], at[1], at[2]), b = x(at[0], at[1] + 2, at[2]);
        CHECK(y(at[0], at[1], at[2]) == doctest::Approx(a * b / (1 + std::exp(-b))).epsilon(1e-12));
    });
    CHECK(autograd::gradcheck([](const auto& t) { return swiglu(t, 1); }, x) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& t) { return glu(t); }, x) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& t) { return geglu(t); }, x) < 1e-7);
}

TEST_CASE("glu: an odd dimension is an error") {
    CHECK(test::message_of<ShapeError>([] {
              glu(ones<float>(Shape{2, 3}));
          }) == "glu: dimension 1 must be even to be halved but is 3 (input [2, 3])");
}
