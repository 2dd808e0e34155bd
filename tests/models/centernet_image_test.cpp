#include <lamina/models/centernet_image.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("CenterNet affine map: three points of the official construction, and back") {
    // The centre, the point half an extent above it in the rotated frame, and the third corner of their square.
    const double x = 31, y = 17.5, extent = 40;
    for (const double degrees : {0.0, 30.0, -75.0}) {
        const auto map = models::centernet_affine(x, y, extent, {96, 128}, degrees);
        const double angle = degrees * 3.141592653589793 / 180, dx = std::sin(angle) * extent / 2,
                     dy = -std::cos(angle) * extent / 2;
        const double from[3][2] = {{x, y}, {x + dx, y + dy}, {x + dx - dy, y + dy + dx}};
        const double to[3][2] = {{64, 48}, {64, 48 - 64}, {64 + 64, 48 - 64}};
        for (int k = 0; k < 3; ++k) {
            const auto p = map(from[k][0], from[k][1]), back = map.inverse()(p.x, p.y);
            CHECK(p.x == doctest::Approx(to[k][0]).epsilon(1e-9));
            CHECK(p.y == doctest::Approx(to[k][1]).epsilon(1e-9));
            CHECK(back.x == doctest::Approx(from[k][0]));
            CHECK(back.y == doctest::Approx(from[k][1]));
        }
    }
    CHECK(test::message_of<ValueError>([] {
              (void)models::centernet_affine(0, 0, 0, {4, 4});
          }) == "centernet_affine: extent must be positive but is 0");
    CHECK(test::message_of<ValueError>([] { (void)models::AffineMap{1, 2, 0, 2, 4, 0}.inverse(); }) ==
          "AffineMap: inverse needs a map that keeps areas from 0");
}

TEST_CASE("CenterNet affine map: pixels by definition") {
    const auto x = test::wave<float>(Shape{2, 3, 9, 13});
    const auto map = models::centernet_affine(6.5, 4, 17, {11, 7}, 20);
    const auto y = models::warp_affine(x, map, {11, 7});
    REQUIRE(y.shape() == Shape{2, 3, 11, 7});
    const auto back = map.inverse();
    test::for_each_index(y.shape(), [&](const auto& at) {
        const auto p = back(double(at[3]), double(at[2]));
        double sum = 0;
        for (Index v = 0; v < 9; ++v)
            for (Index u = 0; u < 13; ++u) {
                const double wx = 1 - std::abs(p.x - double(u)), wy = 1 - std::abs(p.y - double(v));
                if (wx > 0 && wy > 0) sum += wx * wy * double(x(at[0], at[1], v, u));
            }
        CHECK(std::abs(double(y(at[0], at[1], at[2], at[3])) - sum) < 1e-5);
    });
    CHECK(test::max_error(models::warp_affine(x, models::AffineMap(), {9, 13}), x) < 1e-5);
}

TEST_CASE("CenterNet input: centred, normalised, blue first; boxes return") {
    auto photo = full<float>(Shape{1, 3, 30, 60}, 0.25F);
    for (Index i = 0; i < 30 * 60; ++i) photo.mutable_data()[i] = 1;  // red
    const auto input = models::centernet_input(photo, {.size = 64});
    REQUIRE(input.image.shape() == Shape{1, 3, 64, 64});
    CHECK(input.image(0, 2, 32, 32) == doctest::Approx((1 - 0.470) / 0.278));
    CHECK(input.image(0, 0, 32, 32) == doctest::Approx((0.25 - 0.408) / 0.289));
    CHECK(input.image(0, 1, 2, 32) == doctest::Approx((0 - 0.447) / 0.274));  // above the photograph
    vision::Detections<float> found;
    found.boxes = Tensor<float, 2>{{0, 16, 64, 48}};
    const auto there = input.restore(found).boxes;
    const float whole[] = {0, 0, 60, 30};
    for (Index d = 0; d < 4; ++d) CHECK(std::abs(there(0, d) - whole[d]) < 1e-4F);

    const auto kept = models::centernet_input(photo, {.size = 0, .bgr = false});
    REQUIRE(kept.image.shape() == Shape{1, 3, 32, 64});
    CHECK(kept.image(0, 0, 1, 2) == doctest::Approx((1 - 0.408) / 0.289));
    CHECK(kept.image(0, 0, 0, 2) == doctest::Approx((0 - 0.408) / 0.289));
    CHECK(kept.map(0, 0).x == 2);
    CHECK(kept.map(0, 0).y == 1);
    CHECK(test::message_of<ShapeError>([] {
              (void)models::centernet_input(zeros<float>(Shape{1, 1, 4, 4}));
          }) == "centernet_input: photo must have shape [1, 3, H, W] but has [1, 1, 4, 4]");
}
