#include <lamina/vision/suppression.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

double overlap(const Tensor<double, 2>& b, Index i, Index j, double* centres = nullptr) {
    const double w = std::max(0.0, std::min(b(i, 2), b(j, 2)) - std::max(b(i, 0), b(j, 0)));
    const double h = std::max(0.0, std::min(b(i, 3), b(j, 3)) - std::max(b(i, 1), b(j, 1)));
    const auto area = [&](Index k) { return (b(k, 2) - b(k, 0)) * (b(k, 3) - b(k, 1)); };
    const double cw = std::max(b(i, 2), b(j, 2)) - std::min(b(i, 0), b(j, 0));
    const double ch = std::max(b(i, 3), b(j, 3)) - std::min(b(i, 1), b(j, 1));
    const double dx = (b(i, 0) + b(i, 2) - b(j, 0) - b(j, 2)) / 2, dy = (b(i, 1) + b(i, 3) - b(j, 1) - b(j, 3)) / 2;
    if (centres) *centres = (dx * dx + dy * dy) / (cw * cw + ch * ch);
    return w * h / (area(i) + area(j) - w * h);
}

Tensor<double, 2> some_boxes(Index n) {
    auto boxes = test::wave<double>(Shape{n, 4});
    for (Index i = 0; i < n; ++i) {
        double* b = boxes.mutable_data() + 4 * i;
        b[2] = b[0] + 0.6 + std::abs(b[2]), b[3] = b[1] + 0.6 + std::abs(b[3]);
    }
    return boxes;
}
Tensor<double, 1> some_scores(Index n) {
    auto scores = test::wave<double>(Shape{n}, 1);
    for (Index i = 0; i < n; ++i) scores.mutable_data()[i] = 0.5 + 0.5 * scores.data()[i];
    return scores;
}

}  // namespace

TEST_CASE("soft_nms: the published loop") {
    for (const Index n : {0, 1, 2, 7, 8, 9, 17, 60})
        for (const auto decay : {vision::Decay::hard, vision::Decay::linear, vision::Decay::gaussian}) {
            const auto boxes = some_boxes(n);
            auto scores = some_scores(n);
            const auto got = vision::soft_nms(boxes, scores, {.decay = decay, .least = 0.01});
            std::vector<double> left(scores.data(), scores.data() + n);
            for (Index k = 0; k < got.indices.numel(); ++k) {
                const auto best = std::max_element(left.begin(), left.end()) - left.begin();
                CHECK(got.indices(k) == best);
                CHECK(got.scores(k) == doctest::Approx(left[std::size_t(best)]).epsilon(1e-12));
                left[std::size_t(best)] = -1;
                for (Index j = 0; j < n; ++j) {
                    const double x = overlap(boxes, best, j);
                    double& s = left[std::size_t(j)];
                    if (s < 0) continue;
                    if (decay == vision::Decay::gaussian) s *= std::exp(-x * x / 0.5);
                    else if (x > 0.3) s *= decay == vision::Decay::linear ? 1 - x : 0;
                    if (s < 0.01) s = -1;
                }
            }
            for (std::size_t i = 0; i < left.size(); ++i) CHECK(left[i] < 0.01);
            if (decay == vision::Decay::hard) {
                const auto plain = vision::nms(boxes, scores, 0.3);
                Index above = 0;
                for (Index k = 0; k < plain.numel(); ++k) above += scores(plain(k)) >= 0.01;
                REQUIRE(got.indices.numel() == above);
                for (Index k = 0; k < above; ++k) CHECK(got.indices(k) == plain(k));
            }
        }
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(vision::soft_nms(some_boxes(2), Tensor<double, 1>{nan, .5}).indices.numel() == 1);
}

TEST_CASE("diou_nms: by its definition; matrix_nms: by hand") {
    const Index n = 60;
    const auto boxes = some_boxes(n);
    const auto scores = some_scores(n);
    const auto order = vision::nms(boxes, scores, 1.0);
    REQUIRE(order.numel() == n);
    for (const double beta : {1.0, 0.6}) {
        std::vector<Index> kept;
        for (Index k = 0; k < n; ++k) {
            bool keep = true;
            for (const Index j : kept) {
                double centres = 0;
                const double x = overlap(boxes, order(k), j, &centres);
                keep = keep && x - std::pow(centres, beta) <= 0.3;
            }
            if (keep) kept.push_back(order(k));
        }
        const auto got = vision::diou_nms(boxes, scores, 0.3, beta);
        CHECK(std::vector<Index>(got.data(), got.data() + got.numel()) == kept);
    }
    const Tensor<double, 2> x{{0, .5, .2}, {0, 0, .8}, {0, 0, 0}};
    const Tensor<double, 1> s{.9, .8, .7};
    const auto linear = vision::matrix_nms(x, s, vision::Decay::linear);
    CHECK(linear(0) == doctest::Approx(.9));
    CHECK(linear(1) == doctest::Approx(.8 * .5));
    CHECK(linear(2) == doctest::Approx(.7 * .4));
    const auto gaussian = vision::matrix_nms(x, s);
    CHECK(gaussian(1) == doctest::Approx(.8 * std::exp(-.5)));
    CHECK(gaussian(2) == doctest::Approx(.7 * std::exp(-2 * (.64 - .25))));
    const Tensor<double, 2> same{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
    const auto covered = vision::matrix_nms(same, s, vision::Decay::linear);
    CHECK(covered(2) == 0);
}

TEST_CASE("suppression: errors") {
    const Tensor<float, 2> a(Shape{3, 4});
    const Tensor<float, 1> s(Shape{2});
    CHECK(test::message_of<ShapeError>([&] { (void)vision::soft_nms(a, s); }) ==
          "soft_nms: there must be one score for each box ([2] and [3, 4])");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::diou_nms(a, s, 0.5); }) ==
          "diou_nms: there must be one score for each box ([2] and [3, 4])");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::matrix_nms(a, s); }) ==
          "matrix_nms: overlaps must have shape [2, 2] but has [3, 4]");
}
