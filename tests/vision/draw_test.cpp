#include <lamina/autograd/gradcheck.hpp>
#include <lamina/vision/coco_names.hpp>
#include <lamina/vision/draw.hpp>
#include <lamina/vision/letterbox.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {
Index different(const Tensor<std::uint8_t, 3>& a, const Tensor<std::uint8_t, 3>& b) {
    Index count = 0;
    for (Index i = 0; i < a.dim(0); ++i)
        for (Index j = 0; j < a.dim(1); ++j)
            count += a(i, j, 0) != b(i, j, 0) || a(i, j, 1) != b(i, j, 1) || a(i, j, 2) != b(i, j, 2);
    return count;
}
}  // namespace

TEST_CASE("drawing: boxes have lines where they should, and nothing else changes") {
    const auto image = full<std::uint8_t>(Shape{40, 50, 3}, 7);
    const auto y = vision::draw_boxes(image, Tensor<float, 2>{{10, 5, 30, 25}}, {.thickness = 1});
    CHECK(different(y, image) == 2 * 20 + 2 * 18);
    for (Index i = 10; i < 30; ++i) CHECK((y(5, i, 0) != 7 && y(24, i, 0) != 7));
    for (Index i = 5; i < 25; ++i) CHECK((y(i, 10, 0) != 7 && y(i, 29, 0) != 7));
    CHECK(y(15, 20, 1) == 7);
    CHECK(image(5, 10, 0) == 7);
    const auto thick = vision::draw_boxes(image, Tensor<float, 2>{{10, 5, 30, 25}}, {.thickness = 3});
    CHECK(different(thick, image) == 20 * 20 - 14 * 14);
    const auto labelled = vision::draw_boxes(image, Tensor<float, 2>{{10, 20, 30, 35}, {1, 1, 9, 9}},
                                             {.labels = {"ab", "c"}, .colors = {3, 3}, .thickness = 1});
    CHECK(labelled(9, 10, 0) == labelled(20, 10, 0));  // the label's ground has the box's colour
    CHECK(labelled(2, 2, 0) == labelled(20, 10, 0));
}

TEST_CASE("drawing: boxes outside, inverted, huge or not numbers do no harm; errors") {
    const auto image = full<std::uint8_t>(Shape{10, 12, 3}, 7);
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, 2> lost{{20, 20, 30, 30}, {-9, -9, -5, -5}, {nan, 1, 2, 3}};
    CHECK(different(vision::draw_boxes(image, lost), image) == 0);
    const Tensor<float, 2> wild{{-inf, -inf, inf, inf}, {8, 8, 2, 2}, {-1e30f, 3, 1e30f, 5}, {4, 4, 4, 4}};
    CHECK(vision::draw_boxes(image, wild, {.labels = {"a", "b", "c", "d"}}).shape() == image.shape());
    CHECK(test::message_of<ValueError>([&] { (void)vision::draw_boxes(image, lost, {.labels = {"a"}}); }) ==
          "draw_boxes: labels and colors must have 3 entries or none but have 1 and 0");
    CHECK(test::message_of<ShapeError>([&] {
              (void)vision::draw_boxes(full<std::uint8_t>(Shape{4, 4, 1}, 0), lost);
          }) == "draw_boxes: image must have shape [H, W, 3] but has [4, 4, 1]");
}

TEST_CASE("drawing: heat maps and tiles") {
    const Tensor<float, 2> heat{{0, .5f}, {1, std::numeric_limits<float>::quiet_NaN()}};
    const auto colors = vision::heat_colors(heat);
    CHECK((colors(0, 0, 2) == 4 && colors(0, 1, 0) == 188 && colors(1, 0, 1) == 255 && colors(1, 1, 0) == 128));
    const auto image = full<std::uint8_t>(Shape{4, 6, 3}, 100);
    const auto y = vision::draw_heat(image, heat, 1);
    for (Index i = 0; i < 4; ++i)
        for (Index j = 0; j < 6; ++j) CHECK(y(i, j, 1) == colors(i / 2, j / 3, 1));
    CHECK(different(vision::draw_heat(image, heat, 0), image) == 0);
    CHECK(vision::draw_heat(image, heat, 0.5)(0, 0, 0) == 50);

    const auto x = test::wave<float>(Shape{3, 2, 4, 5});
    const auto tiles = vision::tile_images(x, 2, 1, 9);
    REQUIRE(tiles.shape() == Shape{2, 11, 13});
    test::for_each_index(tiles.shape(), [&](const auto& at) {
        const Index row = (at[1] - 1) / 5, column = (at[2] - 1) / 6, n = row * 2 + column;
        const bool inside = at[1] > 0 && at[2] > 0 && (at[1] - 1) % 5 < 4 && (at[2] - 1) % 6 < 5 && n < 3;
        CHECK(tiles(at[0], at[1], at[2]) == (inside ? x(n, at[0], (at[1] - 1) % 5, (at[2] - 1) % 6) : 9));
    });
    CHECK(test::message_of<ValueError>([&] { (void)vision::tile_images(x, 0); }) ==
          "tile_images: columns must be positive and padding not negative but are 0 and 2");
}

TEST_CASE("letterbox: places, margins, and boxes there and back") {
    const auto x = full<float>(Shape{1, 3, 30, 60}, 0.25f);
    const auto y = vision::letterbox(x, {.size = {64, 96}, .fill = 1});
    REQUIRE(y.image.shape() == Shape{1, 3, 64, 96});
    CHECK((y.place.top == 8 && y.place.left == 0));
    CHECK(y.place.scale_x == doctest::Approx(1.6));
    for (const Index row : {0, 7, 56, 63}) CHECK(y.image(0, 1, row, 40) == 1);
    for (const Index row : {8, 30, 55}) CHECK(y.image(0, 1, row, 40) == doctest::Approx(0.25));
    const Tensor<double, 2> boxes{{0, 0, 60, 30}, {12.5, 3, 40, 28.25}};
    const auto placed = y.place.place(boxes);
    CHECK(placed(0, 1) == doctest::Approx(8));
    CHECK(placed(0, 2) == doctest::Approx(96));
    CHECK(test::max_error(y.place.restore(placed), boxes) < 1e-12);
    CHECK(y.place.restore(Tensor<double, 2>{{-5, -5, 500, 500}})(0, 3) == 30);
    const auto small = vision::letterbox(x, {.size = {64, 96}, .enlarge = false, .centred = false});
    CHECK((small.place.scale_x == 1 && small.place.top == 0));
    CHECK(small.image(0, 0, 29, 59) == 0.25f);
    CHECK(small.image(0, 0, 30, 0) == doctest::Approx(114.0 / 255));
    for (const Size2 size : {Size2(7, 7), Size2(1, 1), Size2(33, 5), Size2(3, 200)})
        CHECK(vision::letterbox(x, {.size = size}).image.shape() == Shape{1, 3, size.h, size.w});
    CHECK(test::message_of<ValueError>([&] {
              (void)vision::letterbox(x, {.size = {0, 9}});
          }) == "letterbox: sizes must be positive (image 30x60, size 0x9)");
    CHECK(autograd::gradcheck(
              [](const auto& t) {
                  return vision::letterbox(t, {.size = {7, 9}}).image;
              },
              test::wave<double>(Shape{1, 2, 4, 5})) < 1e-7);
}

TEST_CASE("normalisation of channels; COCO's names and ids") {
    const auto x = test::wave<double>(Shape{2, 3, 2, 2});
    const auto y = vision::normalize_channels(x, vision::imagenet_mean, vision::imagenet_std);
    test::for_each_index(x.shape(), [&](const auto& at) {
        const auto c = std::size_t(at[1]);
        CHECK(y(at[0], at[1], at[2], at[3]) ==
              doctest::Approx((x(at[0], at[1], at[2], at[3]) - vision::imagenet_mean[c]) / vision::imagenet_std[c]));
    });
    CHECK(test::message_of<ShapeError>([&] {
              (void)vision::normalize_channels(x, {0.5}, {1, 1, 1});
          }) == "normalize_channels: mean and std must have one number for each channel ([2, 3, 2, 2], 1 and 3)");

    CHECK(vision::coco_names[79] == "toothbrush");
    CHECK((vision::coco_category(0) == 1 && vision::coco_category(11) == 13 && vision::coco_category(79) == 90));
    Index classes = 0;
    for (int id = -2; id < 100; ++id) {
        const int label = vision::coco_class(id);
        if (label < 0) continue;
        CHECK(vision::coco_category(label) == id);
        ++classes;
    }
    CHECK(classes == 80);
    for (const int gap : {0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}) CHECK(vision::coco_class(gap) == -1);
    CHECK(test::message_of<ValueError>([] { (void)vision::coco_category(80); }) ==
          "coco_category: class must lie in [0, 80) but is 80");
}
