#include <lamina/data/augment.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using doctest::Approx;

namespace {
/// An image of the values 0 to n - 1.
Tensor<float, 3> counting(const Shape<3>& shape) {
    auto x = empty<float>(shape);
    for (Index i = 0; i < x.numel(); ++i) x.mutable_data()[i] = float(i);
    return x;
}
}  // namespace

TEST_CASE("augment: flip") {
    const auto x = counting(Shape{2, 2, 3});
    const auto y = data::flip_horizontal(x);
    CHECK(y(1, 0, 0) == x(1, 0, 2));
    CHECK(y(1, 1, 1) == x(1, 1, 1));
    CHECK(test::bitwise_equal(data::flip_horizontal(y), x));
    random::Rng rng(1);
    int flipped = 0;
    for (int i = 0; i < 1000; ++i) flipped += data::random_flip(x, rng)(0, 0, 0) != 0;
    CHECK(std::abs(flipped - 500) < 64);  // four standard deviations
}

TEST_CASE("augment: crops inside, across and outside the image") {
    const auto x = counting(Shape{2, 4, 5});
    const auto inside = data::crop(x, 1, 2, 2, 3);
    CHECK(inside(1, 1, 2) == x(1, 2, 4));
    const auto across = data::crop(x, -1, -2, 4, 5, 9);
    CHECK(across(0, 0, 4) == 9);
    CHECK(across(0, 1, 1) == 9);
    CHECK(across(1, 1, 2) == x(1, 0, 0));
    CHECK(across(1, 3, 4) == x(1, 2, 2));
    const auto corner = data::crop(x, 3, 4, 4, 5, -1);
    CHECK(corner(1, 0, 0) == x(1, 3, 4));
    CHECK(corner(1, 0, 1) == -1);
    CHECK(corner(1, 1, 0) == -1);
    const auto outside = data::crop(x, 0, 50, 2, 2, 3);
    CHECK(outside(0, 0, 0) == 3);
    CHECK(data::crop(x, 0, -50, 2, 2, 3)(1, 1, 1) == 3);
    CHECK(test::message_of<ValueError>([&] { data::crop(x, 0, 0, -1, 2); }) ==
          "crop: height and width must not be negative but are -1 and 2");
    random::Rng rng(2);
    bool seen[5] = {};
    for (int i = 0; i < 200; ++i) {
        const auto y = data::random_crop(x, rng, 2, -1);
        CHECK(y.shape() == x.shape());
        int empty_rows = 0;
        for (Index r = 0; r < 4; ++r) empty_rows += y(0, r, 2) == -1;
        seen[empty_rows] = true;
    }
    CHECK((seen[0] && seen[1] && seen[2] && !seen[3]));
}

TEST_CASE("augment: colours") {
    random::Rng rng(3);
    auto x = empty<float>(Shape{3, 4, 4});
    for (Index i = 0; i < 48; ++i) x.mutable_data()[i] = float(0.5 + 0.1 * test::wave_at(i));
    CHECK(test::max_error(data::color_jitter(x, rng, {0, 0, 0}), x) < 1e-6);
    // Brightness is a factor; contrast and saturation keep the mean of a grey image.
    const auto bright = data::color_jitter(x, rng, {0.5, 0, 0});
    const double factor = double(bright(0, 0, 0)) / double(x(0, 0, 0));
    CHECK(factor > 0.49);
    CHECK(factor < 1.51);
    CHECK(bright(2, 3, 3) == Approx(factor * double(x(2, 3, 3))).epsilon(1e-5));
    auto grey = empty<float>(Shape{3, 2, 2});
    for (Index i = 0; i < 12; ++i) grey.mutable_data()[i] = 0.3f + 0.1f * float(i % 4);
    const auto contrast = data::color_jitter(grey, rng, {0, 0.4, 0});
    CHECK(contrast(0, 0, 0) + contrast(0, 1, 1) == Approx(0.9).epsilon(1e-3));
    const auto saturated = data::color_jitter(grey, rng, {0, 0, 0.9});
    CHECK(test::max_error(saturated, grey) < 1e-4);
    const auto wild = data::color_jitter(x, rng, {5, 5, 5});
    for (Index i = 0; i < 48; ++i) CHECK((wild.data()[i] >= 0 && wild.data()[i] <= 1));
    CHECK(test::message_of<ShapeError>([&] {
              data::color_jitter(counting(Shape{1, 2, 2}), rng);
          }) == "color_jitter: the image must have 3 channels but has shape [1, 2, 2]");
    const auto n = data::normalize_channels(counting(Shape{2, 1, 2}), {1, 2}, {0.5, 2});
    CHECK(n(0, 0, 0) == -2);
    CHECK(n(1, 0, 1) == 0.5f);
    CHECK(test::message_of<ShapeError>([&] {
              data::normalize_channels(counting(Shape{2, 1, 1}), {1}, {1, 1});
          }) ==
          "normalize_channels: mean and std must have a number for each channel but have 1 and 2 (image [2, 1, 1])");
}

TEST_CASE("augment: mixup and the beta distribution") {
    random::Rng rng(4);
    for (double alpha : {0.2, 1.0, 3.0}) {
        double sum = 0, squares = 0;
        const int n = 20000;
        for (int i = 0; i < n; ++i) {
            const double x = data::draw_beta(rng, alpha, alpha);
            CHECK_MESSAGE((x >= 0 && x <= 1), x);
            sum += x;
            squares += (x - 0.5) * (x - 0.5);
        }
        const double variance = 1 / (4 * (2 * alpha + 1));
        CHECK(std::abs(sum / n - 0.5) < 4 * std::sqrt(variance / n));
        CHECK(squares / n == Approx(variance).epsilon(0.05));
    }
    double sum = 0;
    for (int i = 0; i < 20000; ++i) sum += data::draw_beta(rng, 2, 6) / 20000;
    CHECK(sum == Approx(0.25).epsilon(0.02));

    const Index n = 12;
    auto x = empty<float>(Shape{n, 2});
    auto labels = empty<std::int64_t>(Shape{n});
    for (Index i = 0; i < n; ++i) {
        x.mutable_at(i, 0) = x.mutable_at(i, 1) = float(i);
        labels.mutable_at(i) = i;
    }
    const auto mixed = data::mixup(x, labels, n, rng, 1.0);
    double total = 0;
    for (Index i = 0; i < n; ++i) {
        double weights = 0, value = 0;
        for (Index k = 0; k < n; ++k) {
            weights += double(mixed.targets(i, k));
            value += double(mixed.targets(i, k)) * double(k);
        }
        CHECK(weights == Approx(1));
        CHECK(value == Approx(double(mixed.inputs(i, 1))).epsilon(1e-5));
        CHECK(double(mixed.targets(i, i)) >= mixed.share - 1e-6);
        total += double(mixed.inputs(i, 0));
    }
    CHECK(total == Approx(66));  // the others are a permutation
    CHECK(test::message_of<ValueError>([&] { data::mixup(x, labels, 3, rng); }).find(" must lie in [0, 3) but is ") !=
          std::string::npos);
    CHECK(test::message_of<ShapeError>([&] { data::mixup(x, zeros<std::int64_t>(Shape{3}), 3, rng); }) ==
          "mixup: there must be a label for each input but there are [3] for [12, 2]");
    CHECK(test::message_of<ValueError>([&] { data::draw_beta(rng, 0, 1); }) ==
          "draw_beta: a and b must be positive but are 0 and 1");
}
