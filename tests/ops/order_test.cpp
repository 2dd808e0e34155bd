// Order statistics and bins: against sorting by hand, ties, NaN, empty and strided tensors, gradients, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/bins.hpp>
#include <lamina/ops/order.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace lamina;
using autograd::gradcheck;

TEST_CASE("order: median is the lower middle, kthvalue counts from 1, NaN is largest") {
    CHECK(median(Tensor<float, 1>{4, 1, 3, 2}).item() == 2);
    const Tensor<float, 2> x{{5, 1, 5, 2, 4}, {0, 9, 8, 7, 7}};
    const auto m = median(x, 1);
    CHECK(test::bitwise_equal(m.values, Tensor<float, 1>{4, 7}));
    CHECK(test::bitwise_equal(m.indices, Tensor<std::int64_t, 1>{4, 4}));
    CHECK(test::bitwise_equal(median(x, 0).values, Tensor<float, 1>{0, 1, 5, 2, 4}));
    const auto k = kthvalue(x, 5);
    CHECK(test::bitwise_equal(k.values, Tensor<float, 1>{5, 9}));
    CHECK(test::bitwise_equal(k.indices, Tensor<std::int64_t, 1>{2, 1}));
    const auto spoilt = median(Tensor<float, 2>{{1, NAN, 0}, {3, 1, 2}}, -1);
    CHECK(std::isnan(spoilt.values(0)));
    CHECK(spoilt.indices(0) == 1);
    CHECK(spoilt.values(1) == 2);
    CHECK(kthvalue(Tensor<float, 1>{1, NAN, 0}, 2).values.item() == 1);
    CHECK(median(zeros<float>(Shape{0, 3}), 1).values.shape() == Shape{0});
    // Any place of a strided tensor's lines is that of its sorted copy.
    const auto y = transpose(test::wave<double>(Shape{7, 4}), 0, 1);
    for (Index i = 0; i < 4; ++i) {
        std::vector<double> line;
        for (Index j = 0; j < 7; ++j) line.push_back(y(i, j));
        std::sort(line.begin(), line.end());
        for (Index n = 1; n <= 7; ++n) CHECK(kthvalue(y, n, 1).values(i) == line[std::size_t(n - 1)]);
        CHECK(median(y, 1).values(i) == line[3]);
        CHECK(quantile(y, 0.4, 1)(i) == doctest::Approx(line[2] + 0.4 * (line[3] - line[2])).epsilon(1e-14));
    }
    CHECK(gradcheck([](const auto& t) { return median(t, 0).values; }, y) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return quantile(t, 0.3, 0); }, y) < 1e-7);
}

TEST_CASE("order: quantiles lie between elements in proportion") {
    const Tensor<float, 1> x{3, 0, 1, 2};
    CHECK(quantile(x, 0).item() == 0);
    CHECK(quantile(x, 1).item() == 3);
    CHECK(quantile(x, 0.5).item() == 1.5f);
    CHECK(quantile(x, 0.25).item() == 0.75f);
    CHECK(quantile(Tensor<float, 1>{7}, 0.3).item() == 7);
    CHECK(std::isnan(quantile(Tensor<float, 1>{1, NAN, 2}, 0).item()));
    const auto message = [](auto f) { return test::message_of<Error>(f); };
    CHECK(message([&] { quantile(x, 1.5); }) == "quantile: q must lie in [0, 1] but is 1.5");
    CHECK(message([] {
              quantile(zeros<float>(Shape{2, 0}), 0.5, 1);
          }) == "quantile: dimension 1 must not be empty (shape [2, 0])");
    CHECK(message([] { median(zeros<float>(Shape{0})); }) == "median: dimension 0 must not be empty (shape [0])");
    CHECK(message([&] { kthvalue(x, 5); }) == "kthvalue: k must lie in [1, 4] but is 5 (shape [4], dimension 0)");
}

TEST_CASE("order: running extrema take the last of equals; NaN wins and stays") {
    const auto most = cummax(Tensor<float, 1>{1, 3, 3, 2, NAN, 5}, 0);
    CHECK(test::bitwise_equal(slice(most.values, 0, 0, 4), Tensor<float, 1>{1, 3, 3, 3}));
    CHECK(std::isnan(most.values(5)));
    CHECK(test::bitwise_equal(most.indices, Tensor<std::int64_t, 1>{0, 1, 2, 2, 4, 4}));
    const auto least = cummin(Tensor<float, 2>{{1, 5}, {3, 2}, {1, 4}, {0, 2}}, 0);
    CHECK(test::bitwise_equal(least.values, Tensor<float, 2>{{1, 5}, {1, 2}, {1, 2}, {0, 2}}));
    CHECK(test::bitwise_equal(least.indices, Tensor<std::int64_t, 2>{{0, 0}, {0, 1}, {2, 1}, {3, 3}}));
    const auto x = transpose(test::wave<double>(Shape{5, 4}), 0, 1);
    CHECK(gradcheck([](const auto& t) { return cummax(t, 1).values; }, x) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return cummin(t, 0).values; }, x) < 1e-7);
    CHECK(cummax(zeros<float>(Shape{0, 3}), 0).values.shape() == Shape{0, 3});
    CHECK(test::message_of<ValueError>([&] { cummax(x, 2); }) == "cummax: dim must lie in [-2, 1] but is 2");
}

TEST_CASE("bins: places among sorted numbers") {
    const Tensor<float, 1> edges{1, 3, 3, 5};
    const Tensor<float, 2> x{{0, 1, 2}, {3, 5, 6}};
    CHECK(test::bitwise_equal(searchsorted(edges, x), Tensor<std::int64_t, 2>{{0, 0, 1}, {1, 3, 4}}));
    CHECK(test::bitwise_equal(bucketize(x, edges, true), Tensor<std::int64_t, 2>{{0, 1, 1}, {3, 4, 4}}));
    CHECK(searchsorted(edges, Tensor<float, 1>{NAN}).item() == 4);
    CHECK(searchsorted(zeros<float>(Shape{0}), x)(1, 2) == 0);
    CHECK(searchsorted(Tensor<std::int64_t, 1>{2, 4}, Tensor<std::int64_t, 1>{4}).item() == 1);
}

TEST_CASE("bins: histograms and different elements") {
    const Tensor<float, 1> x{0, 1, 1, 2.5f, 4, 7, NAN};
    CHECK(test::bitwise_equal(histc(x, {.bins = 4, .min = 0, .max = 4}), Tensor<float, 1>{1, 2, 1, 1}));
    CHECK(test::bitwise_equal(histc(Tensor<float, 2>{{1, 2}, {3, 5}}, {.bins = 2}), Tensor<float, 1>{2, 2}));
    CHECK(test::bitwise_equal(histc(Tensor<float, 1>{3, 3}, {.bins = 2}), Tensor<float, 1>{0, 2}));
    CHECK(test::bitwise_equal(histc(zeros<float>(Shape{0}), {.bins = 2}), Tensor<float, 1>{0, 0}));
    CHECK(test::message_of<ValueError>([&] { histc(x, {.bins = 0, .max = 7}); }) ==
          "histc: there must be bins and a range of numbers but there are 0 bins from 0 to 7");
    CHECK(test::bitwise_equal(unique(Tensor<std::int64_t, 2>{{3, 1}, {3, -2}}), Tensor<std::int64_t, 1>{-2, 1, 3}));
    const auto u = unique(x);
    CHECK(u.shape() == Shape{6});
    CHECK(u(4) == 7);
    CHECK(std::isnan(u(5)));
    CHECK(unique(zeros<float>(Shape{0, 2})).shape() == Shape{0});
}
