#include <lamina/ops/permute.hpp>
#include <lamina/vision/image_similarity.hpp>
#include <lamina/vision/mean_iou.hpp>
#include <lamina/vision/top_k_accuracy.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("mean IoU: worked by hand, over several maps") {
    vision::MeanIou metric(4);
    CHECK(metric.mean() == -1);
    CHECK(metric.pixel_accuracy() == -1);
    metric.add(Tensor<std::int64_t, 2>{{0, 0, 1}, {1, 2, 2}}, Tensor<std::int64_t, 2>{{0, 1, 1}, {1, 2, 255}});
    CHECK(metric.by_class() == std::vector<double>{0.5, 2.0 / 3, 1, -1});
    CHECK(metric.mean() == doctest::Approx((0.5 + 2.0 / 3 + 1) / 3));
    CHECK(metric.pixel_accuracy() == doctest::Approx(0.8));
    metric.add(permute(Tensor<std::int64_t, 2>{{3, 0}}, {1, 0}), Tensor<std::int64_t, 2>{{0}, {0}});
    CHECK(metric.by_class() == std::vector<double>{0.5, 2.0 / 3, 1, 0});
    CHECK(test::message_of<ValueError>([&] { metric.add(Tensor<std::int64_t, 1>{4}, Tensor<std::int64_t, 1>{0}); }) ==
          "MeanIou: class must lie in [0, 4) (predicted 4, true 0)");
    CHECK(test::message_of<ShapeError>([&] {
              metric.add(Tensor<std::int64_t, 1>{1}, Tensor<std::int64_t, 1>{1, 2});
          }) == "MeanIou: both maps must have one shape ([1] and [2])");
    CHECK(test::message_of<ValueError>([] { vision::MeanIou(0); }) ==
          "MeanIou: number of classes must be positive but is 0");
}

TEST_CASE_TEMPLATE("psnr: closed form, equal images, range", T, float, double) {
    const auto x = full<T>(Shape{2, 3, 4, 5}, T(0.5)), y = full<T>(Shape{2, 3, 4, 5}, T(0.25));
    CHECK(vision::psnr(x, y) == doctest::Approx(10 * std::log10(16.0)));
    CHECK(vision::psnr(x, y, 255) == doctest::Approx(10 * std::log10(16.0 * 255 * 255)));
    CHECK(vision::psnr(x, x) == std::numeric_limits<double>::infinity());
    CHECK(test::message_of<ShapeError>([&] {
              (void)vision::psnr(x, Tensor<T, 4>(zeros<T>(Shape{2, 3, 4, 4})));
          }) == "psnr: both images must have one shape, and not be empty ([2, 3, 4, 5] and [2, 3, 4, 4])");
}

TEST_CASE_TEMPLATE("ssim: by its definition, equal and constant images", T, float, double) {
    const Shape<4> shape{2, 2, 13, 12};
    const auto x = test::wave<T>(shape), y = test::wave<T>(shape, 0.2);
    double weights[11], total = 0, expected = 0;
    for (int i = 0; i < 11; ++i) total += weights[i] = std::exp(-(i - 5) * (i - 5) / (2 * 1.5 * 1.5));
    const double range = 2, c1 = 0.0004, c2 = 0.0036;
    for (Index n = 0; n < 2; ++n)
        for (Index c = 0; c < 2; ++c)
            for (Index i = 0; i < 3; ++i)
                for (Index j = 0; j < 2; ++j) {
                    const auto mean = [&](auto&& f) {
                        double sum = 0;
                        for (Index v = 0; v < 11; ++v)
                            for (Index u = 0; u < 11; ++u)
                                sum += weights[v] * weights[u] / (total * total) *
                                       f(double(x(n, c, i + v, j + u)), double(y(n, c, i + v, j + u)));
                        return sum;
                    };
                    const double mx = mean([](double s, double) { return s; }),
                                 my = mean([](double, double t) { return t; });
                    const double vx = mean([&](double s, double) { return (s - mx) * (s - mx); });
                    const double vy = mean([&](double, double t) { return (t - my) * (t - my); });
                    const double both = mean([&](double s, double t) { return (s - mx) * (t - my); });
                    expected += (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2)) / 24;
                }
    CHECK(vision::ssim(x, y, range) == doctest::Approx(expected).epsilon(1e-10));
    CHECK(vision::ssim(y, x, range) == doctest::Approx(expected).epsilon(1e-10));
    CHECK(vision::ssim(x, x) == doctest::Approx(1).epsilon(1e-12));
    // Two constants differ in luminance alone.
    const auto dark = full<T>(Shape{1, 1, 11, 11}, T(0.25)), light = full<T>(Shape{1, 1, 11, 11}, T(0.75));
    CHECK(vision::ssim(dark, light) == doctest::Approx((2 * 0.1875 + 1e-4) / (0.0625 + 0.5625 + 1e-4)).epsilon(1e-9));
    const auto small = zeros<T>(Shape{1, 1, 10, 20});
    CHECK(test::message_of<ShapeError>([&] { (void)vision::ssim(small, small); }) ==
          "ssim: both images must have one shape of at least 11 x 11 ([1, 1, 10, 20] and [1, 1, 10, 20])");
}

TEST_CASE("top-k accuracy: ties, NaN and errors") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, 2> scores{{.1f, .7f, .2f}, {.5f, .5f, 0}, {nan, .1f, .2f}, {nan, 1, 2}};
    const Tensor<std::int64_t, 1> labels{2, 1, 2, 0};
    CHECK(vision::top_k_accuracy(scores, labels) == doctest::Approx(0.25));
    CHECK(vision::top_k_accuracy(scores, labels, 2) == doctest::Approx(0.75));
    CHECK(vision::top_k_accuracy(scores, labels, 3) == doctest::Approx(0.75));
    CHECK(std::isnan(vision::top_k_accuracy(zeros<float>(Shape{0, 3}), zeros<std::int64_t>(Shape{0}))));
    CHECK(test::message_of<ValueError>([&] {
              (void)vision::top_k_accuracy(scores, Tensor<std::int64_t, 1>{0, 3, 0, 0});
          }) == "top_k_accuracy: label must lie in [0, 3) but is 3 in row 1");
    CHECK(test::message_of<ValueError>([&] { (void)vision::top_k_accuracy(scores, labels, 0); }) ==
          "top_k_accuracy: k must be positive but is 0");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::top_k_accuracy(scores, Tensor<std::int64_t, 1>{0}); }) ==
          "top_k_accuracy: there must be one label for each row ([1] and [4, 3])");
}
