#include <lamina/autograd/gradcheck.hpp>
#include <lamina/losses/at_points.hpp>
#include <lamina/losses/iou.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/vision/matching_gaussian.hpp>
#include <lamina/vision/matching_points.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("losses at points: golden") {
    for (const auto& c : test::golden_cases("centernet/reg_loss")) {
        auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        const auto places = c.tensor<std::int64_t, 2>("in.ind");
        const auto present = c.tensor<std::uint8_t, 2>("in.mask");
        auto mask = empty<float>(present.shape());
        for (Index i = 0; i < mask.numel(); ++i) mask.mutable_data()[i] = float(present.data()[i]);
        const auto target = c.tensor<float, 3>("in.target");
        autograd::Tape tape;
        const auto y = c.meta("op") == "RegL1Loss" ? losses::l1_at_points(x, places, mask, target)
                                                   : losses::smooth_l1_at_points(x, places, mask, target);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 0>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}

TEST_CASE("values at points: every place, equal ones, gradients and errors") {
    const auto x = test::wave<double>(Shape{2, 3, 4, 5});
    const Tensor<std::int64_t, 2> places{{0, 19, 7}, {7, 7, 3}};
    const auto y = vision::values_at(x, places);
    test::for_each_index(y.shape(), [&](const auto& at) {
        const Index place = places(at[0], at[1]);
        CHECK(y(at[0], at[1], at[2]) == x(at[0], at[2], place / 5, place % 5));
    });
    CHECK(autograd::gradcheck([&](const auto& t) { return vision::values_at(t, places); }, x) < 1e-7);
    CHECK(autograd::gradcheck([&](const auto& t) { return vision::values_at(t, places); },
                              permute(test::wave<double>(Shape{2, 4, 5, 3}), {0, 3, 1, 2})) < 1e-7);
    CHECK(test::message_of<ValueError>([&] {
              (void)vision::values_at(x, Tensor<std::int64_t, 2>{{20}, {0}});
          }) == "values_at: place must lie in [0, 20) but is 20");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::values_at(x, Tensor<std::int64_t, 2>{{0}}); }) ==
          "values_at: there must be one row of places for each image ([1, 1] and [2, 3, 4, 5])");
    CHECK(test::message_of<ShapeError>([&] {
              (void)losses::l1_at_points(x, places, zeros<double>(Shape{2, 2}), zeros<double>(Shape{2, 3, 3}));
          }) == "l1_at_points: mask must be [2, 3] and target [2, 3, 3] but they are [2, 2] and [2, 3, 3]");
}

TEST_CASE("Gaussian marks by sigma: golden") {
    for (const auto& c : test::golden_cases("centernet/draw_gaussian_msra")) {
        const auto centres = c.tensor<double, 2>("in.center_xy");
        const auto after = c.tensor<float, 3>("out.heatmap_after");
        auto heat = zeros<float>(Shape{after.dim(1), after.dim(2)});
        for (Index i = 0; i < after.dim(0); ++i) {
            vision::draw_gaussian_at(heat, centres(i, 1), centres(i, 0),
                                     double(c.tensor<std::int64_t, 1>("in.sigma")(i)));
            for (Index p = 0; p < heat.numel(); ++p)
                REQUIRE(std::abs(heat.data()[p] - after.data()[i * heat.numel() + p]) < 1e-6f);
        }
    }
    auto heat = zeros<float>(Shape{3, 3});
    CHECK(test::message_of<ValueError>([&] { vision::draw_gaussian_at(heat, 0, 0, 0); }) ==
          "draw_gaussian_at: sigma must be positive but is 0");
}

TEST_CASE("box losses: golden values of another library, whose eps is a bound and not a summand") {
    for (const auto& c : test::golden_cases("vfnet/box_losses")) {
        auto a = autograd::leaf(c.tensor<float, 2>("in.a")), b = autograd::leaf(c.tensor<float, 2>("in.b"));
        constexpr auto none = losses::Reduction::none;
        autograd::Tape tape;
        const auto name = c.meta("op");
        const bool complete = name.starts_with("ciou");
        const auto y = complete                   ? losses::ciou<none>(a, b)
                       : name.starts_with("diou") ? losses::diou<none>(a, b)
                       : name.starts_with("giou") ? losses::giou<none>(a, b)
                                                  : losses::log_iou<none>(a, b);
        test::check_golden(c, "y", y, 2);
        if (complete) continue;  // its gradient goes through alpha there
        tape.backward(y, c.tensor<float, 1>("r.y"));
        test::check_golden_grad(c, "in.a", autograd::grad(a), 2);
        test::check_golden_grad(c, "in.b", autograd::grad(b), 2);
    }
}

TEST_CASE("match_centres: inside, near the centre, of the right size, the smallest") {
    // Two levels: a 4 x 4 grid of stride 8 and a 2 x 2 grid of stride 16.
    auto points = empty<double>(Shape{20, 2});
    for (Index i = 0; i < 16; ++i)
        points.mutable_at(i, 0) = double(i % 4 * 8 + 4), points.mutable_at(i, 1) = double(i / 4 * 8 + 4);
    for (Index i = 0; i < 4; ++i)
        points.mutable_at(16 + i, 0) = double(i % 2 * 16 + 8), points.mutable_at(16 + i, 1) = double(i / 2 * 16 + 8);
    const vision::PointLevel levels[] = {{16, 8, 0, 16}, {4, 16, 16}};
    const Tensor<double, 2> objects{{0, 0, 32, 32}, {2, 2, 14, 14}, {1, 1, 15, 15}, {16, 16, 16, 16}};
    Index matched = 0;
    for (const double radius : {0.0, 1.5, 0.4}) {
        const auto match = vision::match_centres(points, levels, objects, radius);
        for (Index i = 0; i < 20; ++i) {
            const auto& level = levels[i < 16 ? 0 : 1];
            Index expected = -1;
            double smallest = 1e9;
            for (Index g = 0; g < 4; ++g) {
                const double x = points(i, 0), y = points(i, 1), x1 = objects(g, 0), y1 = objects(g, 1),
                             x2 = objects(g, 2), y2 = objects(g, 3), far = std::max({x - x1, y - y1, x2 - x, y2 - y});
                const bool inside = x > x1 && x < x2 && y > y1 && y < y2;
                const double reach = radius * level.stride, cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
                const bool near = radius == 0 || (std::abs(x - cx) < reach && std::abs(y - cy) < reach);
                if (inside && near && far >= level.least && far <= level.most && (x2 - x1) * (y2 - y1) < smallest)
                    smallest = (x2 - x1) * (y2 - y1), expected = g;
            }
            CHECK(match(i) == expected);
            matched += expected >= 0;
        }
    }
    CHECK(matched > 8);
    CHECK(vision::match_centres(points, levels, zeros<double>(Shape{0, 4}))(3) == vision::background);
    CHECK(test::message_of<ShapeError>([&] { (void)vision::match_centres(points, std::span(levels, 1), objects); }) ==
          "match_centres: levels must add up to the points (16 and 20)");
}

TEST_CASE("sample_balanced: proportions, no ignored ones, no repeats, evenly") {
    auto match = full<std::int64_t>(Shape{100}, vision::background);
    for (Index i = 0; i < 20; ++i) match.mutable_at(i * 5) = i % 3;
    for (Index i = 0; i < 10; ++i) match.mutable_at(i * 10 + 1) = vision::ignored;
    random::Rng rng(7);
    std::vector<Index> hits(100);
    for (int round = 0; round < 500; ++round) {
        const auto sample = vision::sample_balanced(match, 32, 0.25, rng);
        CHECK((sample.positive.dim(0) == 8 && sample.negative.dim(0) == 24));
        for (Index i = 0; i < 8; ++i) REQUIRE(match(sample.positive(i)) >= 0);
        for (Index i = 0; i < 24; ++i) REQUIRE(match(sample.negative(i)) == vision::background);
        std::vector<bool> seen(100);
        for (const auto* t : {&sample.positive, &sample.negative})
            for (Index i = 0; i < t->dim(0); ++i) {
                REQUIRE(!seen[std::size_t((*t)(i))]);
                seen[std::size_t((*t)(i))] = true;
                ++hits[std::size_t((*t)(i))];
            }
    }
    // 8 of 20 and 24 of 70, 500 times: 200 and 171.4, deviations of 11 and 10.6.
    for (Index i = 0; i < 100; ++i) {
        const double expected = match(i) >= 0 ? 200 : match(i) == vision::background ? 171.4 : 0;
        CHECK(std::abs(double(hits[std::size_t(i)]) - expected) < (expected > 0 ? 55 : 1));
    }
    const auto all = vision::sample_balanced(match, 1000, 0.5, rng);
    CHECK((all.positive.dim(0) == 20 && all.negative.dim(0) == 70));
    CHECK(vision::sample_balanced(zeros<std::int64_t>(Shape{0}), 5, 1, rng).positive.dim(0) == 0);
    random::Rng one(3), other(3);
    CHECK(test::bitwise_equal(vision::sample_balanced(match, 9, 0.5, one).negative,
                              vision::sample_balanced(match, 9, 0.5, other).negative));
    CHECK(test::message_of<ValueError>([&] { (void)vision::sample_balanced(match, 5, 1.5, rng); }) ==
          "sample_balanced: count must not be negative and the fraction lie in [0, 1] but they are 5 and 1.5");
}
