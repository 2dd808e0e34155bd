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

TEST_CASE("nms, soft_nms: sides of whole pixels are one longer") {
    const Tensor<double, 2> boxes{{0, 0, 1, 1}, {1, 0, 2, 1}};  // 2 x 2 pixels each, of which 2 are common: 1/3
    const Tensor<double, 1> scores{.9, .8};
    CHECK(vision::nms(boxes, scores, 0.3).numel() == 2);
    CHECK(vision::nms(boxes, scores, 0.3, true).numel() == 1);
    CHECK(vision::nms(boxes, scores, 0.34, true).numel() == 2);
    CHECK(vision::soft_nms(boxes, scores, {.legacy_plus_one = true}).scores(1) == doctest::Approx(.8 * 2 / 3));
    CHECK(vision::soft_nms(boxes, scores, {}).scores(1) == .8);
}

TEST_CASE("tensorflow_nms: any corners, scores above the threshold, so many") {
    // The first and the third are one box, the third given by its other corners; the fifth touches nothing.
    const Tensor<float, 2> boxes{{0, 0, 10, 20}, {0, 0, 10, 9},    {10, 20, 0, 0},
                                 {0, 20, 10, 0}, {30, 30, 40, 40}, {50, 50, 60, 60}};
    const Tensor<float, 1> scores{.5f, .9f, .7f, .5f, .4f, NAN};
    const auto kept = [&](const vision::TensorflowNmsOptions& o) {
        const auto k = vision::tensorflow_nms(boxes, scores, o);
        return std::vector<Index>(k.data(), k.data() + k.numel());
    };
    CHECK(kept({}) == std::vector<Index>{1, 2, 4});
    CHECK(kept({.iou_threshold = 0.4}) == std::vector<Index>{1, 4});  // 90 of 200
    CHECK(kept({.most = 2}) == std::vector<Index>{1, 2});
    CHECK(kept({.most = 0}).empty());
    CHECK(kept({.score_threshold = double(.4f)}) == std::vector<Index>{1, 2});
    CHECK(test::message_of<ValueError>([&] { kept({.most = -1}); }) ==
          "tensorflow_nms: the number of boxes must not be negative but is -1");
}

TEST_CASE("suppression: errors") {
    const Tensor<float, 2> a(Shape{3, 4});
    const Tensor<float, 1> s(Shape{2});
    CHECK(test::message_of<ShapeError>([&] { (void)vision::soft_nms(a, s); }) ==
          "soft_nms: there must be one score for each box ([2] and [3, 4])");
    CHECK(test::message_of<ValueError>([] { (void)vision::soft_nms(some_boxes(2), some_scores(2), {.sigma = 0}); }) ==
          "soft_nms: sigma must be positive but is 0");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::diou_nms(a, s, 0.5); }) ==
          "diou_nms: there must be one score for each box ([2] and [3, 4])");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::matrix_nms(a, s); }) ==
          "matrix_nms: overlaps must have shape [2, 2] but has [3, 4]");
}
