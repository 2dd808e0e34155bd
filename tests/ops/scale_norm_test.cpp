#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/local_response_norm.hpp>
#include <lamina/nn/scale_norm.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace lamina;

TEST_CASE("scale_norm: rows of the gain's root mean square, small ones by eps") {
    for (Index n : {1, 3, 8, 16, 17, 33}) {
        const auto x = test::wave<double>(Shape{4, n});
        const auto y = scale_norm(x, Tensor<double, 1>{2.5});
        for (Index r = 0; r < 4; ++r) {
            double square = 0;
            for (Index i = 0; i < n; ++i) square += x(r, i) * x(r, i) / double(n);
            for (Index i = 0; i < n; ++i) CHECK(std::abs(y(r, i) - 2.5 * x(r, i) / std::sqrt(square)) < 1e-13);
        }
    }
    const auto tiny = full<double>(Shape{1, 4}, 1e-9);
    CHECK(std::abs(nn::ScaleNorm<double>{}(tiny)(0, 1) - 1e-4) < 1e-18);
    CHECK(nn::ScaleNorm<float>{{.eps = 1}}(zeros<float>(Shape{2, 3}))(1, 2) == 0);
}

TEST_CASE("scale_norm: gradients match finite differences, also of strided input and below eps") {
    const auto x = permute(test::wave<double>(Shape{9, 3, 2}), {2, 1, 0});
    const Tensor<double, 1> gain{1.5};
    CHECK(autograd::gradcheck([](const auto& t, const auto& g) { return scale_norm(t, g); }, x, gain) < 1e-8);
    CHECK(autograd::gradcheck([](const auto& t, const auto& g) { return scale_norm(t, g, 10); }, x, gain) < 1e-8);
}

TEST_CASE("scale_norm: nothing in gives nothing out, a wrong gain is named") {
    CHECK(scale_norm(zeros<float>(Shape{0, 3}), Tensor<float, 1>{1}).shape() == Shape{0, 3});
    CHECK(test::message_of<ShapeError>([] {
              scale_norm(zeros<float>(Shape{2, 3}), zeros<float>(Shape{3}));
          }) == "scale_norm: gain must have shape [1] but has [3]");
}

TEST_CASE("scale_norm: golden values and gradients") {
    for (const auto& c : test::golden_cases("gau/scale_norm")) {
        const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
        const auto gain = autograd::leaf(c.tensor<float, 1>("param.g"));
        autograd::Tape tape;
        const auto y = scale_norm(x, gain, c.number("eps", 0));
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 3>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_grad(c, "param.g", autograd::grad(gain));
    }
}

TEST_CASE_TEMPLATE("local_response_norm: every ISA agrees with the definition", Arch, LAMINA_TEST_ARCHS) {
    for (Index size : {1, 2, 3, 5, 9})
        for (Index pixels : {1, 4, 15, 16, 17, 260}) {
            const kernels::LocalResponseGeometry g{2, 6, pixels, size, 0.5, 0.75, 1.5};
            const auto x = test::wave<float>(Shape{2, 6, pixels});
            auto y = empty_like(x), scale = empty_like(x);
            kernels::local_response_norm_forward<Arch>(g, x.data(), y.mutable_data(), scale.mutable_data());
            double worst = 0;
            test::for_each_index(x.shape(), [&](std::array<Index, 3> at) {
                double sum = 0;
                for (Index c = at[1] - size / 2; c <= at[1] + (size - 1) / 2; ++c)
                    if (c >= 0 && c < 6) sum += double(x(at[0], c, at[2])) * double(x(at[0], c, at[2]));
                const double expected = double(x(at[0], at[1], at[2])) / std::pow(1.5 + 0.5 / double(size) * sum, 0.75);
                worst = std::max(worst, std::abs(double(y(at[0], at[1], at[2])) - expected));
            });
            CHECK(worst < 5e-7);
        }
}

TEST_CASE("local_response_norm: gradients match finite differences; options, nothing in, errors") {
    const auto x = permute(test::wave<double>(Shape{3, 2, 7, 2}), {3, 2, 1, 0});
    for (Index size : {1, 2, 5, 20})
        CHECK(
            autograd::gradcheck(
                [=](const auto& t) { return local_response_norm(t, {.size = size, .alpha = 2, .beta = 0.6, .k = 1}); },
                x) < 1e-8);
    const auto one = nn::LocalResponseNorm{{.size = 1, .alpha = 1, .beta = 1}}(full<double>(Shape{1, 2, 3}, 2));
    CHECK(std::abs(one(0, 1, 2) - 0.4) < 1e-15);
    CHECK(local_response_norm(zeros<float>(Shape{0, 2, 3})).shape() == Shape{0, 2, 3});
    CHECK(test::message_of<ValueError>([] {
              local_response_norm(zeros<float>(Shape{1, 2, 3}), {.size = 0});
          }) == "local_response_norm: size must be positive but is 0");
}
