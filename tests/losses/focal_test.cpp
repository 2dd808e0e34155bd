#include <lamina/autograd/gradcheck.hpp>
#include <lamina/losses/focal.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using losses::Reduction;

namespace {

template <int R, class F>
void check(const test::GoldenCase& c, F&& loss, float factor = 1) {
    auto x = autograd::leaf(c.tensor<float, R>("in.x"));
    autograd::Tape tape;
    const auto y = loss(x, c.tensor<float, R>("in.target"));
    constexpr int rank = std::decay_t<decltype(y)>::rank;
    auto value = y.clone(), up = c.tensor<float, rank>("r.y").clone();
    for (Index i = 0; i < y.numel(); ++i) value.mutable_data()[i] /= factor, up.mutable_data()[i] /= factor;
    test::check_golden(c, "y", value);
    tape.backward(y, up);
    test::check_golden_grad(c, "in.x", autograd::grad(x));
}

double entropy(double x, double y) { return std::max(x, 0.0) - x * y + std::log1p(std::exp(-std::abs(x))); }
double sigma(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("focal losses: golden values and gradients") {
    for (const auto& c : test::golden_cases("vision/sigmoid_focal_loss")) {
        if (c.meta("reduction") == "mean")
            check<2>(c, [](auto& x, const auto& y) { return losses::sigmoid_focal<Reduction::mean>(x, y); });
        else check<2>(c, [](auto& x, const auto& y) { return losses::sigmoid_focal(x, y); });
    }
    for (const auto& c : test::golden_cases("vfnet/varifocal_loss")) {
        if (c.has_meta("avg_factor"))
            check<2>(
                c, [](auto& x, const auto& y) { return losses::varifocal(x, y); }, float(c.number("avg_factor", 1)));
        else check<2>(c, [](auto& x, const auto& y) { return losses::varifocal<Reduction::none>(x, y); });
    }
    for (const auto& c : test::golden_cases("centernet/focal_loss"))
        check<4>(c, [](auto& x, const auto& y) { return losses::gaussian_focal(x, y); });
}

TEST_CASE("focal losses: against their formulas, and gradients against differences") {
    for (const Index n : {1, 7, 8, 9, 16, 17, 33}) {
        auto x = test::wave<double>(Shape{n}), y = test::wave<double>(Shape{n}, 2);
        for (Index i = 0; i < n; ++i) {
            x.mutable_data()[i] *= 6;
            y.mutable_data()[i] = i % 3 == 0 ? 0 : std::abs(y.data()[i]);
        }
        auto hard = y.clone();
        for (Index i = 0; i < n; ++i) hard.mutable_data()[i] = y.data()[i] > 0.5;
        const auto focal = losses::sigmoid_focal(x, hard, {.alpha = 0.3, .gamma = 1.5});
        const auto quality = losses::quality_focal<Reduction::none>(x, y);
        const auto vari = losses::varifocal<Reduction::none>(x, y, {.alpha = 0.6, .gamma = 3});
        const auto flat = losses::varifocal<Reduction::none>(x, y, {.iou_weighted = false});
        for (Index i = 0; i < n; ++i) {
            const double p = sigma(x(i)), q = y(i), e = entropy(x(i), q), h = hard(i);
            const double pt = h > 0 ? p : 1 - p;
            CHECK(focal(i) == doctest::Approx((h > 0 ? 0.3 : 0.7) * std::pow(1 - pt, 1.5) * entropy(x(i), h)));
            CHECK(quality(i) == doctest::Approx((p - q) * (p - q) * e).epsilon(1e-10));
            CHECK(vari(i) == doctest::Approx(q > 0 ? q * e : 0.6 * p * p * p * e).epsilon(1e-10));
            CHECK(flat(i) == doctest::Approx(q > 0 ? e : 0.75 * p * p * e).epsilon(1e-10));
        }
        CHECK(autograd::gradcheck([&](auto& t) { return losses::sigmoid_focal(t, hard, {.gamma = 1.5}); }, x) < 1e-7);
        CHECK(autograd::gradcheck([&](auto& t) { return losses::sigmoid_focal(t, hard, {.alpha = -1}); }, x) < 1e-7);
        CHECK(autograd::gradcheck([&](auto& t) { return losses::quality_focal(t, y); }, x) < 1e-7);
        CHECK(autograd::gradcheck([&](auto& t) { return losses::varifocal<Reduction::none>(t, y); }, x) < 1e-7);
        CHECK(autograd::gradcheck([&](auto& t) { return losses::gaussian_focal(t, hard, 2, 3); }, x) < 1e-7);
    }
}

TEST_CASE("focal losses: published numbers and extreme logits") {
    const Tensor<double, 1> x{1, -2}, y{1, 0};
    const auto focal = losses::sigmoid_focal(x, y);
    CHECK(focal(0) == doctest::Approx(0.0056645144).epsilon(1e-8));
    CHECK(focal(1) == doctest::Approx(0.0013526721).epsilon(1e-8));
    auto logits = autograd::leaf(Tensor<double, 1>{.3, -1.2});
    autograd::Tape tape;
    const auto vari = losses::varifocal<Reduction::none>(logits, Tensor<double, 1>{.8, 0});
    CHECK(vari(0) == doctest::Approx(0.4914842).epsilon(1e-7));
    CHECK(vari(1) == doctest::Approx(0.010580159).epsilon(1e-8));
    tape.backward(vari, Tensor<double, 1>{1, 1});
    CHECK(autograd::grad(logits)(0) == doctest::Approx(-0.18044599).epsilon(1e-8));
    CHECK(autograd::grad(logits)(1) == doctest::Approx(0.025564195).epsilon(1e-8));

    for (const double gamma : {0.0, 0.5, 1.0, 2.0}) {
        auto far = autograd::leaf(Tensor<float, 1>{200, -200, 200, -200});
        autograd::Tape other;
        const auto loss = losses::sigmoid_focal(far, Tensor<float, 1>{1, 0, 0, 1}, {.alpha = 0.5, .gamma = gamma});
        CHECK(loss(0) < 1e-6f);
        CHECK(loss(2) == doctest::Approx(100));
        CHECK(loss(3) == doctest::Approx(100));
        other.backward(loss, Tensor<float, 1>{1, 1, 1, 1});
        for (Index i = 0; i < 4; ++i) CHECK(std::isfinite(autograd::grad(far)(i)));
    }
    const Tensor<float, 1> a(Shape{3}), b(Shape{2});
    CHECK(test::message_of<ShapeError>([&] { (void)losses::varifocal(a, b); }) ==
          "varifocal: input and target must have one shape ([3] and [2])");
}
