#include <lamina/data/loader.hpp>
#include <lamina/data/scenes.hpp>
#include <lamina/ops/slice.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <set>

using namespace lamina;

namespace {

/// Ten images 12 x 16; number c is a white rectangle of height 3 + c / 2 and width 12 - c that touches no edge.
data::Scenes rectangles(const data::ScenesOptions& options) {
    auto images = zeros<std::uint8_t>(Shape{10, 12, 16});
    auto labels = empty<std::int64_t>(Shape{10});
    for (Index c = 0; c < 10; ++c) {
        labels.mutable_at(c) = c;
        for (Index i = 1; i < 4 + c / 2; ++i)
            for (Index j = 2; j < 14 - c; ++j) images.mutable_at(c, i, j) = 255;
    }
    return data::Scenes(images, labels, options);
}

template <int R>
bool same_bits(const Tensor<float, R>& a, const Tensor<float, R>& b) {
    return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), std::size_t(a.numel()) * sizeof(float)) == 0;
}

/// Every batch of one epoch, in order.
std::vector<Tensor<float, 4>> batches(int workers, Index epoch, std::uint64_t seed = 3) {
    const data::Loader loader(rectangles({.scenes = 10, .side = 48, .smallest = 8, .largest = 20}),
                              {.batch_size = 4, .workers = workers, .seed = seed});
    std::vector<Tensor<float, 4>> out;
    for (const auto& [images, boxes, classes] : loader.epoch(epoch)) {
        CHECK(boxes.shape() == Shape{images.dim(0), 6, 4});
        CHECK(classes.shape() == Shape{images.dim(0), 6});
        out.push_back(images);
    }
    return out;
}

}  // namespace

TEST_CASE("Scenes: numbers, sizes, places and overlaps of objects are as the options say") {
    const data::ScenesOptions o{.scenes = 200, .side = 96, .fewest = 2, .most = 5, .smallest = 10, .largest = 30};
    const auto scenes = rectangles(o);
    CHECK(scenes.size() == 200);
    std::set<Index> counts, seen;
    double least = 1, most = 0;
    for (Index i = 0; i < scenes.size(); ++i) {
        const auto [image, boxes, classes] = scenes[i];
        CHECK(image.shape() == Shape{3, 96, 96});
        for (Index k = 0; k < image.numel(); ++k) {
            least = std::min(least, double(image.data()[k]));
            most = std::max(most, double(image.data()[k]));
        }
        Index count = 0;
        while (count < 5 && classes(count) >= 0) ++count;
        counts.insert(count);
        for (Index k = count; k < 5; ++k) {
            CHECK(classes(k) == -1);
            for (Index d = 0; d < 4; ++d) CHECK(boxes(k, d) == 0);
        }
        for (Index k = 0; k < count; ++k) {
            const double x1 = boxes(k, 0), y1 = boxes(k, 1), x2 = boxes(k, 2), y2 = boxes(k, 3);
            CHECK(x1 >= 0);
            CHECK(y1 >= 0);
            CHECK(x2 <= 96);
            CHECK(y2 <= 96);
            const double w = x2 - x1, h = y2 - y1, longer = std::max(w, h);
            CHECK(longer >= 10);
            CHECK(longer <= 30);
            // Sides are whole numbers, so that ratios may be off by what rounding half a pixel does.
            const double ratio = double(12 - classes(k)) / double(3 + classes(k) / 2);
            CHECK((w + 0.5) / std::max(h - 0.5, 0.1) >= ratio / 1.2);
            CHECK((w - 0.5) / (h + 0.5) <= ratio * 1.2);
            for (Index other = 0; other < k; ++other) {
                const double cw = std::min(x2, double(boxes(other, 2))) - std::max(x1, double(boxes(other, 0)));
                const double ch = std::min(y2, double(boxes(other, 3))) - std::max(y1, double(boxes(other, 1)));
                const double area = double((boxes(other, 2) - boxes(other, 0)) * (boxes(other, 3) - boxes(other, 1)));
                CHECK(std::max(cw, 0.0) * std::max(ch, 0.0) <= 0.25 * std::min(w * h, area) + 1e-9);
            }
            seen.insert(Index(classes(k)));
        }
    }
    CHECK(counts == std::set<Index>{2, 3, 4, 5});
    CHECK(seen.size() == 10);
    CHECK(least >= 0);
    CHECK(most <= 1);
    CHECK(most - least > 0.5);
}

TEST_CASE("Scenes: boxes fit what is pasted, to the pixel") {
    // On one colour, an opaque white rectangle changes every pixel of its box and no other one.
    const auto scenes = rectangles(
        {.scenes = 60, .side = 64, .fewest = 1, .most = 1, .smallest = 5, .largest = 40, .faintest = 1, .texture = 0});
    for (Index i = 0; i < scenes.size(); ++i) {
        const auto sample = scenes[i];
        const auto& image = std::get<0>(sample);
        const auto& boxes = std::get<1>(sample);
        CHECK(std::get<2>(sample)(0) >= 0);
        const auto inside = [&](Index y, Index x) {
            return float(x) >= boxes(0, 0) && float(x) < boxes(0, 2) && float(y) >= boxes(0, 1) &&
                   float(y) < boxes(0, 3);
        };
        float ground[3] = {};
        for (Index y = 0; y < 64; ++y)
            for (Index x = 0; x < 64; ++x)
                for (Index c = 0; c < 3 && !inside(y, x); ++c) ground[c] = image(c, y, x);
        Index wrong = 0;
        for (Index y = 0; y < 64; ++y)
            for (Index x = 0; x < 64; ++x) {
                bool changed = false;
                for (Index c = 0; c < 3; ++c) changed = changed || image(c, y, x) != ground[c];
                wrong += changed != inside(y, x);
            }
        CHECK(wrong == 0);
    }
}

TEST_CASE("Scenes: the same for any number of workers, new ones each epoch and for each seed") {
    const auto alone = batches(0, 0), one = batches(1, 0), three = batches(3, 0);
    const auto later = batches(1, 1), other = batches(1, 0, 4);
    REQUIRE(alone.size() == 3);
    for (std::size_t b = 0; b < 3; ++b) {
        CHECK(same_bits(alone[b], one[b]));
        CHECK(same_bits(alone[b], three[b]));
        CHECK_FALSE(same_bits(alone[b], later[b]));
        CHECK_FALSE(same_bits(alone[b], other[b]));
    }
    const auto scenes = rectangles({.scenes = 3, .side = 48, .smallest = 8, .largest = 20});
    CHECK(same_bits(std::get<0>(scenes[1]), std::get<0>(scenes[1])));
    CHECK_FALSE(same_bits(std::get<0>(scenes[1]), std::get<0>(scenes[2])));
}

TEST_CASE("Scenes: an image without anything bright is pasted whole, a crowded scene keeps what fits") {
    const data::Scenes dark(
        zeros<std::uint8_t>(Shape{1, 6, 12}), zeros<std::int64_t>(Shape{1}),
        {.scenes = 1, .side = 32, .fewest = 1, .most = 1, .smallest = 16, .largest = 16, .stretch = 1});
    const auto [image, boxes, classes] = dark[0];
    CHECK(classes(0) == 0);
    CHECK(boxes(0, 2) - boxes(0, 0) == 16);
    CHECK(boxes(0, 3) - boxes(0, 1) == 8);
    // Boxes of one size on a scene that is hardly larger: the second finds no place.
    const data::Scenes crowded(full<std::uint8_t>(Shape{1, 4, 4}, 255), zeros<std::int64_t>(Shape{1}),
                               {.scenes = 20,
                                .side = 20,
                                .fewest = 3,
                                .most = 3,
                                .smallest = 16,
                                .largest = 16,
                                .stretch = 1,
                                .covered = 0.1});
    for (Index i = 0; i < 20; ++i) {
        const auto sample = crowded[i];
        CHECK(std::get<2>(sample)(0) == 0);
        CHECK(std::get<2>(sample)(1) == -1);
    }
    const data::Scenes none(full<std::uint8_t>(Shape{1, 4, 4}, 255), zeros<std::int64_t>(Shape{1}),
                            {.scenes = 4, .side = 20, .fewest = 0, .most = 1, .smallest = 3, .largest = 16});
    std::set<std::int64_t> first;
    for (Index i = 0; i < 4; ++i) first.insert(std::get<2>(none[i])(0));
    CHECK(first.size() == 2);
}

TEST_CASE("Scenes: images that are views, and errors") {
    auto wide = zeros<std::uint8_t>(Shape{2, 8, 16});
    for (Index i = 0; i < 8; ++i)
        for (Index j = 0; j < 8; ++j) wide.mutable_at(1, i, j) = 255;
    const auto half = slice(wide, 2, 0, 8);
    const auto labels = Tensor<std::int64_t, 1>{4, 5};
    const data::ScenesOptions o{.scenes = 5, .side = 32, .smallest = 8, .largest = 16};
    const data::Scenes views(half, labels, o), dense(half.clone(), labels, o);
    for (Index i = 0; i < 5; ++i) CHECK(same_bits(std::get<0>(views[i]), std::get<0>(dense[i])));

    const auto images = zeros<std::uint8_t>(Shape{2, 4, 4});
    CHECK(test::message_of<ShapeError>([&] { data::Scenes(images, Tensor<std::int64_t, 1>{1}); }) ==
          "Scenes: there must be images and a label for each ([2, 4, 4] and [1])");
    const auto no_images = zeros<std::uint8_t>(Shape{0, 4, 4});
    const auto no_labels = zeros<std::int64_t>(Shape{0});
    CHECK(test::message_of<ShapeError>([&] { data::Scenes(no_images, no_labels, {}); }) ==
          "Scenes: there must be images and a label for each ([0, 4, 4] and [0])");
    CHECK(test::message_of<ValueError>([&] { data::Scenes(images, labels, {.fewest = 7}); }) ==
          "Scenes: the number of objects must lie in a range from 0 up but lies in [7, 6] (1000 scenes)");
    CHECK(test::message_of<ValueError>([&] { data::Scenes(images, labels, {.side = 24}); }) ==
          "Scenes: sizes must lie in [1, 24] but lie in [32, 64]");
    CHECK(test::message_of<ValueError>([&] { data::Scenes(images, labels, {.faintest = 1.5}); }) ==
          "Scenes: stretch must be at least 1, covered not negative and faintest lie in [0, 1] (1.2, 0.25, 1.5)");
    CHECK(test::message_of<ValueError>([&] { data::Scenes(images, labels, {.scenes = 3})[3]; }) ==
          "Scenes: index 3 must lie in [0, 3)");
}
