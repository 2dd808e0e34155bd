#include <lamina/vision/suppression_fusion.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("fuse_boxes: means by score, one class each, rescaled by the models that agree") {
    const Tensor<double, 2> boxes{{0, 0, 10, 10}, {1, 0, 11, 10}, {0, 0, 10, 10}, {50, 50, 60, 60}};
    const Tensor<double, 1> scores{.6, .3, .8, .5};
    const Tensor<std::int64_t, 1> classes{4, 4, 7, 4};
    const auto fused = vision::fuse_boxes(boxes, scores, classes, 2);
    REQUIRE(fused.scores.numel() == 3);
    CHECK(fused.scores(0) == doctest::Approx(.45));  // two models, mean of .6 and .3
    CHECK(fused.classes(0) == 4);
    CHECK(fused.from(0) == 0);
    CHECK(fused.boxes(0, 0) == doctest::Approx(1. / 3));
    CHECK(fused.boxes(0, 2) == doctest::Approx(10 + 1. / 3));
    CHECK(fused.scores(1) == doctest::Approx(.4));  // one model of two
    CHECK(fused.classes(1) == 7);
    CHECK(fused.scores(2) == doctest::Approx(.25));
    CHECK(fused.from(2) == 3);
    CHECK(vision::fuse_boxes(boxes, scores, classes, 1).scores(0) == doctest::Approx(.8));
    const auto none = vision::fuse_boxes(Tensor<float, 2>(Shape{0, 4}), Tensor<float, 1>(Shape{0}),
                                         Tensor<std::int64_t, 1>(Shape{0}), 3);
    CHECK(none.boxes.shape() == Shape{0, 4});
    CHECK(test::message_of<ValueError>([&] { (void)vision::fuse_boxes(boxes, scores, classes, 0); }) ==
          "fuse_boxes: there must be one model or more but there are 0");
    CHECK(test::message_of<ValueError>([&] {
              (void)vision::fuse_boxes(boxes, Tensor<double, 1>{1, 1, 1, -1}, classes, 1);
          }) == "fuse_boxes: scores must be positive but number 3 is -1");
}
