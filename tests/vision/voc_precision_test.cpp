#include <lamina/vision/voc_precision.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using vision::VocPrecision;

namespace {

using Row = std::array<float, 4>;

Tensor<float, 2> boxes_of(const std::vector<Row>& rows) {
    auto out = empty<float>(Shape{Index(rows.size()), 4});
    for (std::size_t i = 0; i < rows.size(); ++i) std::copy_n(rows[i].data(), 4, out.mutable_data() + 4 * i);
    return out;
}
Tensor<std::int64_t, 1> classes_of(const std::vector<std::int64_t>& classes) {
    return from_span<std::int64_t>(Shape{Index(classes.size())}, std::span<const std::int64_t>(classes));
}
vision::Detections<float> found(const std::vector<Row>& boxes, const std::vector<float>& scores,
                                const std::vector<std::int64_t>& classes) {
    return {boxes_of(boxes), from_span<float>(Shape{Index(scores.size())}, std::span<const float>(scores)),
            classes_of(classes)};
}
vision::Objects<float> there(const std::vector<Row>& boxes, const std::vector<std::int64_t>& classes,
                             std::vector<bool> difficult = {}) {
    return {boxes_of(boxes), classes_of(classes), std::move(difficult)};
}

const Row a{0, 0, 10, 10}, b{20, 20, 60, 60}, nowhere{500, 500, 510, 510};

}  // namespace

TEST_CASE("VOC precision: worked by hand") {
    {  // the first right, a class without objects, a detection of it
        VocPrecision metric(3);
        metric.add(found({a, b}, {.9f, .8f}, {0, 2}), there({a}, {0}));
        CHECK(metric.by_class() == std::vector<double>{1, -1, -1});
        CHECK(metric.mean() == 1);
    }
    // Right .9, wrong .8, right .7 of two objects, in two images: precision 1 up to recall 0.5, 2/3 up to 1.
    for (const bool eleven : {false, true}) {
        VocPrecision metric(1, {.eleven_points = eleven});
        metric.add(found({nowhere, a}, {.8f, .9f}, {0, 0}), there({a}, {0}));
        metric.add(found({b}, {.7f}, {0}), there({b}, {0}));
        CHECK(metric.mean() == doctest::Approx(eleven ? (6 + 5 * 2.0 / 3) / 11 : 0.5 + 0.5 * 2 / 3));
    }
    {  // one of two is found: the area ends at recall 0.5
        VocPrecision metric(1), eleven(1, {.eleven_points = true});
        for (auto* m : {&metric, &eleven}) m->add(found({a}, {.5f}, {0}), there({a, b}, {0, 0}));
        CHECK(metric.mean() == doctest::Approx(0.5));
        CHECK(eleven.mean() == doctest::Approx(6.0 / 11));
    }
    {  // a difficult object is neither found nor missed, and may be hit again and again
        VocPrecision metric(1);
        metric.add(found({b, b, a}, {.9f, .8f, .7f}, {0, 0, 0}), there({a, b}, {0, 0}, {false, true}));
        CHECK(metric.mean() == 1);
    }
    {  // the second detection overlaps the taken object most, and is wrong although the other one would do
        VocPrecision metric(1);
        metric.add(found({a, {0, 0, 10, 10.5f}}, {.9f, .8f}, {0, 0}), there({a, {0, 0, 10, 12}}, {0, 0}));
        CHECK(metric.mean() == doctest::Approx(0.5));
    }
    {  // scores that are NaN come last
        VocPrecision metric(1);
        metric.add(found({nowhere, a}, {NAN, .1f}, {0, 0}), there({a}, {0}));
        CHECK(metric.mean() == 1);
    }
}

TEST_CASE("VOC precision: the threshold itself is right; whole pixels") {
    const auto with = [](const Row& box, const Row& object, const vision::VocPrecisionOptions& o) {
        VocPrecision metric(1, o);
        metric.add(found({box}, {1}, {0}), there({object}, {0}));
        return metric.mean();
    };
    CHECK(with(a, {0, 0, 10, 5}, {}) == 1);
    CHECK(with(a, {0, 0, 10, 5}, {.iou = 0.51}) == 0);
    CHECK(with(a, {0, 0, 10, 5}, {.iou = 0.54, .legacy_plus_one = true}) == 1);  // 66 of 121 pixels
    CHECK(with({0, 0, 1, 1}, {1, 1, 2, 2}, {.iou = 0.1}) == 0);
    CHECK(with({0, 0, 1, 1}, {1, 1, 2, 2}, {.iou = 0.14, .legacy_plus_one = true}) == 1);  // 1 of 7
    CHECK(with({0, 0, 1, 1}, {2, 0, 3, 1}, {.iou = 0, .legacy_plus_one = true}) == 0);
}

TEST_CASE("VOC precision: nothing, and what does not fit") {
    VocPrecision metric(2);
    CHECK(metric.mean() == -1);
    metric.add(found({}, {}, {}), there({a}, {1}));
    CHECK(metric.by_class() == std::vector<double>{-1, 0});
    CHECK(test::message_of<ValueError>([] { VocPrecision(0); }) ==
          "VocPrecision: number of classes must be positive but is 0");
    CHECK(test::message_of<ValueError>([&] { metric.add(found({a}, {1}, {2}), there({}, {})); }) ==
          "VocPrecision: class must lie in [0, 2) but is 2");
    CHECK(test::message_of<ShapeError>([&] {
              metric.add(found({a}, {1, 1}, {0}), there({}, {}));
          }) == "VocPrecision: there must be one score for each box ([2] and [1, 4])");
    CHECK(test::message_of<ShapeError>([&] {
              metric.add(found({a}, {1}, {0}), there({a}, {0, 1}));
          }) == "VocPrecision: there must be one class for each box ([2] and [1, 4])");
    CHECK(test::message_of<ShapeError>([&] {
              metric.add(found({}, {}, {}), there({a, b}, {0, 1}, {true}));
          }) == "VocPrecision: crowd must have 2 entries or none but has 1");
}
