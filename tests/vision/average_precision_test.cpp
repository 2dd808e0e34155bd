#include <lamina/vision/average_precision.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using vision::AveragePrecision;

namespace {

using Found = vision::Detections<float>;
using There = vision::Objects<float>;

Tensor<float, 2> boxes_of(const std::vector<std::array<float, 4>>& rows) {
    auto out = empty<float>(Shape{Index(rows.size()), 4});
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t k = 0; k < 4; ++k) out.mutable_data()[4 * i + k] = rows[i][k];
    return out;
}
Found found(const std::vector<std::array<float, 4>>& boxes, const std::vector<float>& scores,
            const std::vector<std::int64_t>& classes) {
    return {boxes_of(boxes), from_span<float>(Shape{Index(scores.size())}, std::span<const float>(scores)),
            from_span<std::int64_t>(Shape{Index(classes.size())}, std::span<const std::int64_t>(classes))};
}
There there(const std::vector<std::array<float, 4>>& boxes, const std::vector<std::int64_t>& classes,
            std::vector<bool> crowd = {}, std::vector<double> areas = {}) {
    return {boxes_of(boxes),
            from_span<std::int64_t>(Shape{Index(classes.size())}, std::span<const std::int64_t>(classes)),
            std::move(crowd), std::move(areas)};
}

const std::array<float, 4> a{0, 0, 10, 10}, b{20, 20, 60, 60}, c{100, 100, 300, 300}, nowhere{500, 500, 510, 510};

}  // namespace

TEST_CASE("average precision: worked by hand") {
    {
        AveragePrecision metric(2);
        metric.add(found({a}, {.9f}, {0}), there({a}, {0}));
        const auto m = metric.compute();
        CHECK(m.ap == doctest::Approx(1));
        CHECK(m.ap_small == doctest::Approx(1));
        CHECK(m.ap_medium == -1);
        CHECK(m.ap_by_class[0] == doctest::Approx(1));
        CHECK(m.ap_by_class[1] == -1);
        CHECK(m.ar1 == 1);
        CHECK(m.ar_large == -1);
    }
    {  // right .9, wrong .8, right .7 of two objects: precision 1 up to recall 0.5, 2/3 up to 1
        AveragePrecision metric(1);
        metric.add(found({a, nowhere, b}, {.9f, .8f, .7f}, {0, 0, 0}), there({a, b}, {0, 0}));
        const auto m = metric.compute();
        CHECK(m.ap50 == doctest::Approx((51 + 50 * 2.0 / 3) / 101));
        CHECK(m.ar1 == doctest::Approx(0.5));
        CHECK(m.ar10 == doctest::Approx(1));
    }
    {  // the second detection of an object is wrong, wherever its class matters it is not
        AveragePrecision metric(2);
        metric.add(found({a, a, b}, {.9f, .8f, .7f}, {0, 0, 0}), there({a, b}, {0, 0}));
        metric.add(found({a}, {.95f}, {1}), there({a}, {0}));
        const auto m = metric.compute();
        CHECK(m.ap50 ==
              doctest::Approx((34 + 33 * 2.0 / 3) / 101));  // recall 1/3: 34 levels; then 2/3; the third missed
        CHECK(m.ap_by_class[1] == -1);
        CHECK(m.ar100 == doctest::Approx(2.0 / 3));
    }
    {  // IoU 0.8 counts at the thresholds 0.50 to 0.80, seven of ten
        AveragePrecision metric(1);
        metric.add(found({{0, 0, 10, 8}}, {.5f}, {0}), there({a}, {0}));
        const auto m = metric.compute();
        CHECK(m.ap == doctest::Approx(0.7));
        CHECK(m.ap50 == doctest::Approx(1));
        CHECK(m.ap75 == doctest::Approx(1));
        CHECK(m.ar100 == doctest::Approx(0.7));
    }
    {  // nothing found, nothing there, all wrong
        AveragePrecision metric(3);
        metric.add(found({}, {}, {}), there({a}, {0}));
        metric.add(found({nowhere}, {.9f}, {1}), there({a}, {1}));
        metric.add(found({nowhere}, {.9f}, {2}), there({}, {}));
        const auto m = metric.compute();
        CHECK(m.ap_by_class == std::vector<double>{0, 0, -1});
        CHECK(m.ap == 0);
        CHECK(AveragePrecision(1).compute().ap == -1);
    }
}

TEST_CASE("average precision: crowds, annotated areas and sizes") {
    {  // detections in a crowd are left out, any number of them; those outside are wrong
        AveragePrecision metric(1);
        metric.add(found({{110, 110, 120, 120}, {130, 130, 140, 140}, a}, {.9f, .8f, .7f}, {0, 0, 0}),
                   there({c, a}, {0, 0}, {true, false}));
        CHECK(metric.compute().ap == doctest::Approx(1));
        metric.add(found({nowhere}, {.95f}, {0}), there({c}, {0}, {true}));
        CHECK(metric.compute().ap == doctest::Approx(0.5));
    }
    {  // an object found is not given to the crowd around it
        AveragePrecision metric(1);
        metric.add(found({a}, {.9f}, {0}), there({{-20, -20, 30, 30}, a}, {0, 0}, {true, false}));
        CHECK(metric.compute().ar1 == doctest::Approx(1));
    }
    {  // b has 1600: medium; with annotated 900 it is small, and the detection of 1600 no mistake among medium ones
        AveragePrecision by_box(1), annotated(1);
        by_box.add(found({b}, {.9f}, {0}), there({b}, {0}));
        annotated.add(found({b}, {.9f}, {0}), there({b}, {0}, {}, {900}));
        CHECK(by_box.compute().ap_medium == doctest::Approx(1));
        CHECK(by_box.compute().ap_small == -1);
        CHECK(annotated.compute().ap_medium == -1);
        CHECK(annotated.compute().ap_small == doctest::Approx(1));
    }
    {  // wrong detections of another size do not count against a size
        AveragePrecision metric(1);
        metric.add(found({nowhere, c}, {.95f, .9f}, {0, 0}), there({c}, {0}));
        CHECK(metric.compute().ap_large == doctest::Approx(1));
        CHECK(metric.compute().ap == doctest::Approx(0.5));
    }
}

TEST_CASE("average precision: at most a hundred detections, stable ties, NaN scores last; errors") {
    AveragePrecision metric(1);
    std::vector<std::array<float, 4>> boxes(100, nowhere);
    std::vector<float> scores(100, .9f);
    boxes.push_back(a), scores.push_back(.8f);
    metric.add(found(boxes, scores, std::vector<std::int64_t>(101)), there({a}, {0}));
    CHECK(metric.compute().ap == 0);

    AveragePrecision ties(1), nan(1);
    ties.add(found({a, nowhere}, {.5f, .5f}, {0, 0}), there({a}, {0}));
    CHECK(ties.compute().ap == doctest::Approx(1));
    nan.add(found({nowhere, a}, {std::numeric_limits<float>::quiet_NaN(), .1f}, {0, 0}), there({a}, {0}));
    CHECK(nan.compute().ap == doctest::Approx(1));

    const auto message = [&](const Found& f, const There& t) {
        return test::message_of<Error>([&] { AveragePrecision(2).add(f, t); });
    };
    CHECK(message(found({a}, {.1f}, {2}), there({}, {})) == "AveragePrecision: class must lie in [0, 2) but is 2");
    CHECK(message(found({a}, {}, {0}), there({}, {})) ==
          "AveragePrecision: there must be one score for each box ([0] and [1, 4])");
    CHECK(message(found({a}, {.1f}, {}), there({}, {})) ==
          "AveragePrecision: there must be one class for each box ([0] and [1, 4])");
    CHECK(message(found({}, {}, {}), there({a}, {0}, {true, false})) ==
          "AveragePrecision: crowd and areas must have 1 entries or none but have 2 and 0");
    CHECK(test::message_of<ValueError>([] { AveragePrecision(0); }) ==
          "AveragePrecision: number of classes must be positive but is 0");
}
