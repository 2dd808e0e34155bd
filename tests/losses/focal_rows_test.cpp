#include <lamina/autograd/gradcheck.hpp>
#include <lamina/losses/focal_rows.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using losses::Reduction;

namespace {

double log_probability(const Tensor<double, 2>& x, Index i, Index c) {
    double total = 0;
    for (Index k = 0; k < x.dim(1); ++k) total += std::exp(x(i, k));
    return x(i, c) - std::log(total);
}

}  // namespace

TEST_CASE("softmax and distribution focal losses, dice: formulas and gradients") {
    const auto x = test::wave<double>(Shape{5, 4});
    const Tensor<std::int64_t, 1> classes{0, 3, 1, 2, 3};
    const Tensor<double, 1> places{0, 1.25, 3, 2.5, -1};
    const auto focal = losses::softmax_focal<Reduction::none>(x, classes, 1.5);
    const auto bins = losses::distribution_focal<Reduction::none>(x, places);
    for (Index i = 0; i < 5; ++i) {
        const double log_p = log_probability(x, i, classes(i));
        CHECK(focal(i) == doctest::Approx(-std::pow(1 - std::exp(log_p), 1.5) * log_p).epsilon(1e-12));
        const double y = std::max(0.0, std::min(places(i), 2.99));
        const auto left = Index(y);
        const double expected = -log_probability(x, i, left) * (double(left) + 1 - y) -
                                log_probability(x, i, left + 1) * (y - double(left));
        CHECK(bins(i) == doctest::Approx(expected).epsilon(1e-12));
    }
    CHECK(losses::softmax_focal(x, classes, 0).item() * 5 ==
          doctest::Approx(losses::softmax_focal<Reduction::sum>(x, classes, 0).item()));
    auto mask = test::wave<double>(Shape{5, 4}, 1);
    for (Index i = 0; i < 20; ++i) mask.mutable_data()[i] = mask.data()[i] > 0;
    const auto dice = losses::dice<Reduction::none>(x, mask);
    for (Index i = 0; i < 5; ++i) {
        double common = 0, total = 0;
        for (Index k = 0; k < 4; ++k) {
            const double p = 1 / (1 + std::exp(-x(i, k)));
            common += p * mask(i, k), total += p + mask(i, k);
        }
        CHECK(dice(i) == doctest::Approx(1 - (2 * common + 1) / (total + 1)).epsilon(1e-12));
    }
    CHECK(autograd::gradcheck([&](auto& t) { return losses::softmax_focal(t, classes); }, x) < 1e-7);
    CHECK(autograd::gradcheck([&](auto& t) { return losses::distribution_focal(t, places); }, x) < 1e-7);
    CHECK(autograd::gradcheck([&](auto& t) { return losses::dice<Reduction::none>(t, mask); }, x) < 1e-7);
}

TEST_CASE("losses of rows: errors") {
    const Tensor<float, 2> x(Shape{3, 4}), y(Shape{3, 5});
    CHECK(test::message_of<ShapeError>([&] {
              (void)losses::softmax_focal(x, Tensor<std::int64_t, 1>{1, 2});
          }) == "softmax_focal: there must be one class for each row ([2] and [3, 4])");
    CHECK(test::message_of<ShapeError>([&] {
              (void)losses::distribution_focal(x, Tensor<float, 1>{1, 2});
          }) == "distribution_focal: there must be two bins or more and one target for each row ([2] and [3, 4])");
    CHECK(test::message_of<ShapeError>([&] { (void)losses::dice(x, y); }) ==
          "dice: input and target must have one shape ([3, 4] and [3, 5])");
}
