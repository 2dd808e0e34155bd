// Distances between all pairs of rows: values by hand, broadcasting, gradients, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/distance.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("cdist: every pair of rows") {
    const Tensor<float, 2> a{{0, 0}, {1, 1}}, b{{3, 4}, {1, 1}, {0, -2}};
    CHECK(test::max_error(cdist(a, b),
                          Tensor<float, 2>{{5, std::sqrt(2.0f), 2}, {std::sqrt(13.0f), 0, std::sqrt(10.0f)}}) < 1e-6);
    CHECK(test::bitwise_equal(cdist(a, b, 1), Tensor<float, 2>{{7, 2, 2}, {5, 0, 4}}));
    const auto x = test::wave<double>(Shape{2, 3, 4}), y = test::wave<double>(Shape{1, 5, 4}, 1);
    CHECK(cdist(x, y).shape() == Shape{2, 3, 5});
    double sum = 0;
    for (Index i = 0; i < 4; ++i) sum += (x(1, 2, i) - y(0, 3, i)) * (x(1, 2, i) - y(0, 3, i));
    CHECK(cdist(x, y)(1, 2, 3) == doctest::Approx(std::sqrt(sum)).epsilon(1e-13));
    for (const double p : {1.0, 2.0, 3.0})
        CHECK(autograd::gradcheck([p](const auto& s, const auto& t) { return cdist(s, t, p); }, x, y) < 1e-6);
    const auto same = autograd::leaf(Tensor<double, 2>{{1, 2}});
    {
        autograd::Tape tape;
        tape.backward(cdist(same, same.clone()));
    }
    CHECK(test::max_error(autograd::grad(same), zeros<double>(Shape{1, 2})) == 0);
    CHECK(cdist(zeros<float>(Shape{0, 2}), b).shape() == Shape{0, 3});
    CHECK(test::message_of<ShapeError>([&] {
              cdist(a, zeros<float>(Shape{2, 3}));
          }) == "cdist: rows must have the same width ([2, 2] and [2, 3])");
}
