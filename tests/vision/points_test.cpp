#include <lamina/vision/matching_gaussian.hpp>
#include <lamina/vision/suppression_peaks.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("peaks: golden decode") {
    for (const auto& c : test::golden_cases("centernet/decode")) {
        const Index most = c.integer("K", 0);
        const auto heat = c.tensor<float, 4>("in.heat");
        const auto peaks = vision::find_peaks(heat, most);
        const auto boxes = c.has("in.reg")
                               ? vision::decode_peaks(peaks, c.tensor<float, 4>("in.wh"), c.tensor<float, 4>("in.reg"))
                               : vision::decode_peaks(peaks, c.tensor<float, 4>("in.wh"));
        const auto expected = c.tensor<float, 3>("out.detections");
        const auto places = c.tensor<std::int64_t, 2>("out.inds");
        Index compared = 0;
        for (Index i = 0; i < heat.dim(0); ++i)
            for (Index k = 0; k < most; ++k) {
                if (!(expected(i, k, 4) > 0)) continue;  // the reference's order is arbitrary there
                ++compared;
                for (Index d = 0; d < 4; ++d) CHECK(boxes(i, k, d) == doctest::Approx(expected(i, k, d)).epsilon(1e-6));
                CHECK(peaks.scores(i, k) == expected(i, k, 4));
                CHECK(double(peaks.classes(i, k)) == double(expected(i, k, 5)));
                CHECK(peaks.places(i, k) == places(i, k));
            }
        CHECK(compared == c.integer("positive_scores", 0));
    }
}

TEST_CASE("peaks: plateaus, borders, ties and too few peaks") {
    auto heat = zeros<float>(Shape{1, 2, 3, 5});
    heat.mutable_at(0, 0, 0, 0) = .5f, heat.mutable_at(0, 0, 0, 1) = .5f, heat.mutable_at(0, 0, 0, 2) = .4f;
    heat.mutable_at(0, 1, 2, 4) = .5f, heat.mutable_at(0, 1, 1, 3) = .25f;
    const auto peaks = vision::find_peaks(heat, 4);
    const Index places[] = {0, 1, 14}, classes[] = {0, 0, 1};
    for (Index k = 0; k < 3; ++k) {
        CHECK(peaks.scores(0, k) == .5f);
        CHECK(peaks.places(0, k) == places[k]);
        CHECK(peaks.classes(0, k) == classes[k]);
    }
    CHECK(peaks.scores(0, 3) == 0);
    auto wave = test::wave<float>(Shape{2, 3, 9, 7});
    const auto few = vision::find_peaks(wave, 5), many = vision::find_peaks(wave, 50);
    for (Index i = 0; i < 2; ++i)
        for (Index k = 0; k < 5; ++k) CHECK(few.places(i, k) == many.places(i, k));
    Index count = 0;  // by definition, a pixel at a time
    test::for_each_index(wave.shape(), [&](const auto& at) {
        const float value = wave(at[0], at[1], at[2], at[3]);
        bool peak = value > 0;
        for (Index v = at[2] - 1; v <= at[2] + 1; ++v)
            for (Index u = at[3] - 1; u <= at[3] + 1; ++u)
                if (v >= 0 && v < 9 && u >= 0 && u < 7) peak = peak && wave(at[0], at[1], v, u) <= value;
        count += peak;
    });
    Index found = 0;
    for (Index i = 0; i < 2; ++i)
        for (Index k = 0; k < 50; ++k) found += many.scores(i, k) > 0;
    CHECK(found == count);

    const auto both = test::wave<float>(Shape{1, 4, 3, 5});
    const auto by_class = vision::decode_peaks(peaks, both);
    CHECK(by_class(0, 2, 2) - by_class(0, 2, 0) == doctest::Approx(both(0, 2, 2, 4)));
    CHECK(by_class(0, 0, 3) - by_class(0, 0, 1) == doctest::Approx(both(0, 1, 0, 0)));
    CHECK(vision::find_peaks(heat, 0).scores.shape() == Shape{1, 0});
    CHECK(test::message_of<ValueError>([&] { (void)vision::find_peaks(heat, -1); }) ==
          "find_peaks: the number of peaks must not be negative but is -1");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::decode_peaks(peaks, wave); }) ==
          "decode_peaks: size must have shape [1, 2 or 2 C, H, W] but has [2, 3, 9, 7]");
}

TEST_CASE("Gaussian radius and marks: golden") {
    for (const auto& c : test::golden_cases("centernet/gaussian_radius")) {
        const auto sides = c.tensor<double, 2>("in.height_width");
        const auto radius = c.tensor<double, 1>("out.radius");
        for (Index i = 0; i < radius.numel(); ++i)
            CHECK(vision::gaussian_radius(sides(i, 0), sides(i, 1), c.number("min_overlap", 0)) ==
                  doctest::Approx(radius(i)).epsilon(1e-12));
    }
    for (const auto& c : test::golden_cases("centernet/draw_gaussian")) {
        if (c.name().find("msra") != std::string::npos) continue;
        const auto centres = c.tensor<double, 2>("in.center_xy");
        const auto after = c.tensor<float, 3>("out.heatmap_after");
        auto heat = zeros<float>(Shape{after.dim(1), after.dim(2)});
        for (Index i = 0; i < after.dim(0); ++i) {
            vision::draw_gaussian(heat, Index(centres(i, 1)), Index(centres(i, 0)),
                                  c.tensor<std::int64_t, 1>("in.radius")(i), double(c.tensor<float, 1>("in.k")(i)));
            for (Index p = 0; p < heat.numel(); ++p)
                REQUIRE(std::abs(heat.data()[p] - after.data()[i * heat.numel() + p]) < 1e-6f);
        }
    }
}

TEST_CASE("Gaussian radius, corrected: the moved box keeps the overlap") {
    for (const double h : {3.0, 20.0, 100.0})
        for (const double w : {5.0, 20.0, 64.0}) {
            const double r = vision::gaussian_radius(h, w, 0.7, true);
            CHECK(r > 0);
            const double moved = (h - r) * (w - r), shifted = moved / (2 * h * w - moved);
            const double inside = (h - 2 * r) * (w - 2 * r) / (h * w), outside = h * w / ((h + 2 * r) * (w + 2 * r));
            CHECK(std::min(shifted, std::min(inside, outside)) == doctest::Approx(0.7).epsilon(1e-9));
        }
    auto heat = zeros<float>(Shape{4, 5});
    vision::draw_gaussian(heat, 0, 4, 2);
    CHECK(heat(0, 4) == 1.0f);
    vision::draw_gaussian(heat, 9, 9, 1);
    CHECK(test::message_of<ValueError>([&] { vision::draw_gaussian(heat, 0, 0, -1); }) ==
          "draw_gaussian: radius must not be negative but is -1");
}
