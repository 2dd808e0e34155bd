// Products by PyTorch's names: values by hand, gradients, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/products.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

TEST_CASE("products: values by hand") {
    const Tensor<float, 1> u{1, 2, 3}, v{4, 5, 6}, w{1, -1};
    const Tensor<float, 2> a{{1, 2, 3}, {4, 5, 6}}, b{{1, 0}, {0, 1}, {2, 2}};
    CHECK(dot(u, v).item() == 32);
    CHECK(test::bitwise_equal(mv(a, u), Tensor<float, 1>{14, 32}));
    CHECK(test::bitwise_equal(mm(a, b), Tensor<float, 2>{{7, 8}, {16, 17}}));
    CHECK(test::bitwise_equal(outer(w, u), Tensor<float, 2>{{1, 2, 3}, {-1, -2, -3}}));
    CHECK(test::bitwise_equal(addmm(w, a, b), Tensor<float, 2>{{8, 7}, {17, 16}}));
    CHECK(test::bitwise_equal(addmm(w, a, b, {.beta = 2, .alpha = 0.5}), Tensor<float, 2>{{5.5f, 2}, {10, 6.5f}}));
    const auto nan = full<float>(Shape{2}, std::numeric_limits<float>::quiet_NaN());
    CHECK(test::bitwise_equal(addmm(nan, a, b, {.beta = 0}), mm(a, b)));
    CHECK(trace(a).item() == 6);
    CHECK(test::bitwise_equal(kron(Tensor<float, 2>{{1, 2}}, Tensor<float, 2>{{1, 3}, {0, 5}}),
                              Tensor<float, 2>{{1, 3, 2, 6}, {0, 5, 0, 10}}));
    const auto batch = bmm(reshape(a, Shape{1, 2, 3}), reshape(b, Shape{1, 3, 2}));
    CHECK(test::bitwise_equal(reshape(batch, Shape{2, 2}), mm(a, b)));
    CHECK(test::bitwise_equal(baddbmm(w, reshape(a, Shape{1, 2, 3}), reshape(b, Shape{1, 3, 2})),
                              reshape(addmm(w, a, b), Shape{1, 2, 2})));
    // Nothing to sum over, nothing at all.
    CHECK(dot(zeros<float>(Shape{0}), zeros<float>(Shape{0})).item() == 0);
    CHECK(test::bitwise_equal(addmm(w, zeros<float>(Shape{1, 0}), zeros<float>(Shape{0, 2})), reshape(w, Shape{1, 2})));
    CHECK(kron(zeros<float>(Shape{0, 2}), a).shape() == Shape{0, 6});
    CHECK(trace(zeros<float>(Shape{0, 3})).item() == 0);
}

TEST_CASE("products: gradients match finite differences; errors") {
    const auto a = test::wave<double>(Shape{2, 3}), b = test::wave<double>(Shape{3, 4}, 1);
    const auto x = test::wave<double>(Shape{4}, 2);
    CHECK(gradcheck([](const auto& s, const auto& t, const auto& u) { return addmm(u, s, t, {.beta = 0.3}); }, a, b,
                    x) < 1e-7);
    CHECK(gradcheck([](const auto& s, const auto& t) { return kron(s, t); }, a, b) < 1e-7);
    CHECK(
        gradcheck([](const auto& s,
                     const auto& t) { return trace(mm(s, t)) * outer(mv(s, select(t, 1, 0)), mv(s, select(t, 1, 1))); },
                  a, b) < 1e-7);
    CHECK(test::message_of<ShapeError>([&] {
              bmm(zeros<float>(Shape{2, 3, 4}), zeros<float>(Shape{1, 4, 5}));
          }) == "bmm: both must have the same batch ([2, 3, 4] and [1, 4, 5])");
    CHECK(test::message_of<ShapeError>([&] {
              addmm(zeros<double>(Shape{3, 4}), slice(a, 0, 0, 1), b);
          }) == "addmm: the sum must have the shape of the product ([3, 4] and [1, 4])");
}
