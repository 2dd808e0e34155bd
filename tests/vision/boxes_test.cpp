#include <lamina/autograd/gradcheck.hpp>
#include <lamina/vision/anchors.hpp>
#include <lamina/vision/boxes.hpp>
#include <lamina/vision/boxes_iou.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using vision::BoxFormat;
using vision::BoxMetric;

namespace {

constexpr auto xyxy = BoxFormat::xyxy, xywh = BoxFormat::xywh, cxcywh = BoxFormat::cxcywh;

/// Compares f(a) or f(a, b) and the gradients with the case.
template <class F>
void check_unary(const test::GoldenCase& c, F&& f) {
    auto a = autograd::leaf(c.tensor<float, 2>("in.a"));
    autograd::Tape tape;
    const auto y = f(a);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
    test::check_golden_grad(c, "in.a", autograd::grad(a));
}
template <class F>
void check_binary(const test::GoldenCase& c, const std::string& first, const std::string& second, F&& f,
                  double slack = 1) {
    auto a = autograd::leaf(c.tensor<float, 2>("in." + first)), b = autograd::leaf(c.tensor<float, 2>("in." + second));
    autograd::Tape tape;
    const auto y = f(a, b);
    test::check_golden(c, "y", y, slack);
    if (!c.has("r.y")) return;
    tape.backward(y, c.tensor<float, 2>("r.y"));
    test::check_golden_grad(c, "in." + first, autograd::grad(a), slack);
    test::check_golden_grad(c, "in." + second, autograd::grad(b), slack);
}
template <BoxMetric metric>
void check_pairwise(const char* folder) {
    for (const auto& c : test::golden_cases(folder))
        check_binary(
            c, "a", "b", [](const auto& a, const auto& b) { return vision::pairwise_iou<metric>(a, b); }, 2);
}

Tensor<double, 2> some_boxes(Index n, double phase) {
    auto boxes = test::wave<double>(Shape{n, 4}, phase);
    for (Index i = 0; i < n; ++i) {
        double* b = boxes.mutable_data() + 4 * i;
        b[2] = b[0] + 0.3 + std::abs(b[2]), b[3] = b[1] + 0.2 + std::abs(b[3]);
    }
    return boxes;
}

}  // namespace

TEST_CASE("boxes: golden conversions, areas and clipping") {
    for (const auto& c : test::golden_cases("vision/box_convert")) {
        const std::string way = c.meta("src") + "_" + c.meta("dst");
        if (way == "xyxy_xywh") check_unary(c, [](auto& a) { return vision::convert_boxes<xyxy, xywh>(a); });
        else if (way == "xyxy_cxcywh") check_unary(c, [](auto& a) { return vision::convert_boxes<xyxy, cxcywh>(a); });
        else if (way == "xywh_xyxy") check_unary(c, [](auto& a) { return vision::convert_boxes<xywh, xyxy>(a); });
        else if (way == "xywh_cxcywh") check_unary(c, [](auto& a) { return vision::convert_boxes<xywh, cxcywh>(a); });
        else if (way == "cxcywh_xyxy") check_unary(c, [](auto& a) { return vision::convert_boxes<cxcywh, xyxy>(a); });
        else FAIL_CHECK("unknown conversion " << way);
    }
    for (const auto& c : test::golden_cases("vision/box_area"))
        check_unary(c, [](auto& a) { return vision::box_area(a); });
    for (const auto& c : test::golden_cases("vision/clip_boxes"))
        check_unary(c, [&](auto& a) { return vision::clip_boxes(a, c.number("height", 0), c.number("width", 0)); });
    for (const auto& c : test::golden_cases("vision/remove_small")) {
        const auto keep = vision::remove_small_boxes(c.tensor<float, 2>("in.a"), c.number("min_size", 0));
        test::check_golden(c, "keep", keep);
    }
}

TEST_CASE("boxes: conversions are undone by their inverse at every size") {
    for (const Index n : {0, 1, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 8200}) {
        const auto boxes = some_boxes(n, 0.4);
        const auto there = vision::convert_boxes<BoxFormat::xyxy, BoxFormat::cxcywh>(boxes);
        const auto back = vision::convert_boxes<BoxFormat::cxcywh, BoxFormat::xyxy>(there);
        CHECK(test::max_error(back, boxes) < 1e-15);
        const auto wide = vision::convert_boxes<BoxFormat::cxcywh, BoxFormat::xywh>(there);
        CHECK(test::max_error(vision::convert_boxes<BoxFormat::xywh, BoxFormat::cxcywh>(wide), there) < 1e-15);
        CHECK(test::bitwise_equal(vision::convert_boxes<BoxFormat::xyxy, BoxFormat::xyxy>(boxes), boxes));
    }
}

TEST_CASE("boxes: golden pairwise overlaps") {
    check_pairwise<BoxMetric::iou>("vision/box_iou");
    check_pairwise<BoxMetric::giou>("vision/generalized_box_iou");
    check_pairwise<BoxMetric::diou>("vision/distance_box_iou");
    check_pairwise<BoxMetric::ciou>("vision/complete_box_iou");
}

TEST_CASE("boxes: pairwise and elementwise overlaps agree; symmetric, bounded, independent of scale") {
    for (const Index n : {0, 1, 5})
        for (const Index m : {0, 1, 7, 8, 9, 17}) {
            const auto a = some_boxes(n, 0.1), b = some_boxes(m, 0.9);
            const auto all = vision::pairwise_iou(a, b), other = vision::pairwise_iou(b, a);
            const auto fore = vision::pairwise_iou<BoxMetric::iof>(a, b);
            const auto generalized = vision::pairwise_iou<BoxMetric::giou>(a, b);
            auto a_scaled = a.clone(), b_scaled = b.clone();
            for (auto* t : {&a_scaled, &b_scaled})
                for (Index i = 0; i < t->numel(); ++i) t->mutable_data()[i] *= 1024;
            CHECK(test::bitwise_equal(vision::pairwise_iou(a_scaled, b_scaled), all));
            REQUIRE(all.shape() == Shape{n, m});
            for (Index i = 0; i < n; ++i)
                for (Index j = 0; j < m; ++j) {
                    const auto one = [&](const auto& t, Index k) {
                        return Tensor<double, 2>{{t(k, 0), t(k, 1), t(k, 2), t(k, 3)}};
                    };
                    CHECK(all(i, j) == doctest::Approx(other(j, i)).epsilon(1e-14));
                    CHECK((all(i, j) >= 0 && all(i, j) <= 1));
                    CHECK((generalized(i, j) >= -1 && generalized(i, j) <= all(i, j) + 1e-15));
                    const double single = vision::elementwise_iou(one(a, i), one(b, j)).item();
                    CHECK(single == doctest::Approx(all(i, j)).epsilon(1e-14));
                    const double area = vision::box_area(one(a, i)).item(), area_b = vision::box_area(one(b, j)).item();
                    const double inner = all(i, j) / (1 + all(i, j)) * (area + area_b);
                    CHECK(fore(i, j) == doctest::Approx(inner / area).epsilon(1e-12));
                }
        }
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, 2> odd{{1, 1, 1, 1}, {1, 1, 1, 1}, {5, 5, 2, 2}, {0, 0, 1e-40f, 1e-40f}, {0, 0, 4, 0}};
    const auto none = vision::pairwise_iou(odd, odd);
    for (Index i = 0; i < 5; ++i)
        for (Index j = 0; j < 5; ++j)
            if (i != 3 || j != 3) CHECK(none(i, j) == 0.0f);
    const Tensor<float, 2> mixed{{0, 0, 1, 1}, {0, 0, inf, 1}, {nan, 0, 1, 1}, {2, 2, 1, 1}};
    const auto valid = vision::valid_boxes(mixed);
    REQUIRE(valid.numel() == 1);
    CHECK(valid(0) == 0);
}

TEST_CASE("boxes: gradients of overlaps against differences") {
    const auto a = some_boxes(9, 0.1), b = some_boxes(9, 0.9), c = some_boxes(19, 0.5);
    CHECK(autograd::gradcheck([](auto& x, auto& y) { return vision::pairwise_iou(x, y); }, a, c) < 1e-7);
    CHECK(autograd::gradcheck([](auto& x, auto& y) { return vision::pairwise_iou<BoxMetric::giou>(x, y); }, a, c) <
          1e-7);
    CHECK(autograd::gradcheck([](auto& x, auto& y) { return vision::elementwise_iou<BoxMetric::iof>(x, y); }, a, b) <
          1e-7);
    CHECK(autograd::gradcheck([](auto& x, auto& y) { return vision::elementwise_iou<BoxMetric::eiou>(x, y); }, a, b) <
          1e-7);
}

TEST_CASE("boxes: golden coding against anchors and points") {
    const vision::BoxCoding coding{.std = {0.1, 0.1, 0.2, 0.2}};
    const auto encode = [&](auto& g, auto& p) { return vision::encode_boxes(g, p, coding); };
    for (const auto& c : test::golden_cases("vision/box_coder")) {
        if (c.has("in.gt")) {
            check_binary(c, "gt", "proposal", encode, 2);
            continue;
        }
        // Two classes side by side: the anchors' gradient is the sum over both.
        auto anchors = autograd::leaf(c.tensor<float, 2>("in.proposal"));
        const auto deltas = c.tensor<float, 2>("in.delta"), r = c.tensor<float, 2>("r.y");
        const auto part = [](const Tensor<float, 2>& x, Index at) {
            return Tensor<float, 2>(x.storage(), const_cast<float*>(x.data()) + at, Shape{x.dim(0), 4}, {8, 1}).clone();
        };
        for (const Index at : {0, 4}) {
            auto delta = autograd::leaf(part(deltas, at));
            autograd::Tape tape;
            const auto boxes = vision::decode_boxes(delta, anchors, coding);
            CHECK(test::relative_error(boxes, part(c.tensor<float, 2>("out.y"), at)) < 2e-6);
            tape.backward(boxes, part(r, at));
            CHECK(test::relative_error(autograd::grad(delta), part(c.tensor<float, 2>("grad.in.delta"), at)) < 1e-5);
        }
        test::check_golden_grad(c, "in.proposal", autograd::grad(anchors), 4);
    }
    for (const auto& c : test::golden_cases("vfnet/distance")) {
        if (c.has("in.b")) {
            const double most = c.number("max_dis", 0), eps = c.number("eps", 0);
            check_binary(c, "points", "b", [&](auto& p, auto& b) { return vision::encode_distances(p, b, most, eps); });
        } else {
            const auto size = c.numbers("max_shape");
            check_binary(c, "points", "d", [&](auto& p, auto& d) {
                return vision::clip_boxes(vision::decode_distances(p, d), size[0], size[1]);
            });
        }
    }
}

TEST_CASE("boxes: deltas and distances are undone; huge ones are held") {
    const auto boxes = some_boxes(33, 0.2), around = some_boxes(33, 0.8);
    const vision::BoxCoding coding{.mean = {0.1, -0.1, 0.2, 0}, .std = {0.1, 0.1, 0.2, 0.2}};
    const auto deltas = vision::encode_boxes(boxes, around, coding);
    CHECK(test::max_error(vision::decode_boxes(deltas, around, coding), boxes) < 1e-14);
    const Tensor<float, 2> huge{{0, 0, 50, 1e30f}}, unit{{0, 0, 16, 16}};
    const auto held = vision::decode_boxes(huge, unit);
    CHECK(held(0, 2) - held(0, 0) == doctest::Approx(1000));
    CHECK(held(0, 3) - held(0, 1) == doctest::Approx(1000));
    const auto points = vision::point_grid<double>(3, 11, 0.25, 0.5);
    REQUIRE(points.shape() == Shape{33, 2});
    CHECK(points(12, 0) == 0.375);
    CHECK(points(12, 1) == 0.375);
    const auto distances = vision::encode_distances(points, boxes);
    CHECK(test::max_error(vision::decode_distances(points, distances), boxes) < 1e-14);
}

TEST_CASE("anchors: golden, orders and errors") {
    for (const auto& c : test::golden_cases("vision/anchors")) {
        const double small[] = {16, 32}, large[] = {64}, ratios[] = {0.5, 1, 2};
        const vision::AnchorOptions options{.rounded = true};
        const auto first = vision::anchors<float>(small, ratios, 4, 5, 16, 16, options);
        const auto second = vision::anchors<float>(large, ratios, 2, 3, 32, 26, options);
        auto all = empty<float>(Shape{first.dim(0) + second.dim(0), 4});
        std::copy_n(first.data(), first.numel(), all.mutable_data());
        std::copy_n(second.data(), second.numel(), all.mutable_data() + first.numel());
        test::check_golden(c, "anchors", all);
    }
    const double sizes[] = {2, 4}, ratios[] = {1, 4}, bad[] = {1, 0};
    const auto a = vision::anchors<double>(sizes, ratios, 1, 1, 8, 8, {.offset = 0.5, .size_major = true});
    const Tensor<double, 2> expected{{3, 3, 5, 5}, {3.5, 2, 4.5, 6}, {2, 2, 6, 6}, {3, 0, 5, 8}};
    CHECK(test::max_error(a, expected) == 0);
    CHECK(test::message_of<ValueError>([&] { (void)vision::anchors<float>(sizes, bad, 1, 1, 8, 8); }) ==
          "anchors: ratios must be positive but one is 0");
    CHECK(test::message_of<ValueError>([&] { (void)vision::anchors<float>(bad, ratios, 1, 1, 8, 8); }) ==
          "anchors: sizes must be positive but one is 0");
}

TEST_CASE("boxes: errors") {
    const Tensor<float, 2> a(Shape{3, 4}), b(Shape{2, 4}), c(Shape{3, 2});
    CHECK(test::message_of<ShapeError>([&] { (void)vision::box_area(c); }) ==
          "box_area: boxes must have shape [N, 4] but has [3, 2]");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::elementwise_iou(a, b); }) ==
          "elementwise_iou: both operands must have as many rows ([3, 4] and [2, 4])");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::pairwise_iou(c, a); }) ==
          "pairwise_iou: a must have shape [N, 4] but has [3, 2]");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::encode_distances(a, a); }) ==
          "encode_distances: points must have shape [N, 2] but has [3, 4]");
}
