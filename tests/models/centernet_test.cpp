#include <lamina/models/centernet_decode.hpp>
#include <lamina/models/centernet_targets.hpp>
#include <tests/models/centernet_scenes.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using test::on_map, test::perfect, test::centernet_scenes;

namespace {

Tensor<float, 4> mirrored(const Tensor<float, 4>& x) { return flip(x, {3}); }

}  // namespace

TEST_CASE("CenterNet heads: names, shapes and first values") {
    models::CenterNetHeads heads(8, {.classes = 5, .hidden = 6});
    const auto state = nn::state_dict(heads);
    for (const char* name : {"hm.0.weight", "hm.2.bias", "wh.0.bias", "wh.2.weight", "reg.0.weight", "reg.2.bias"})
        CHECK(state.find(name) != nullptr);
    CHECK(nn::count_parameters(heads) == 3 * (8 * 9 + 1) * 6 + (6 + 1) * (5 + 2 + 2));
    random::Rng rng(1);
    nn::reset_parameters(heads, rng);
    const auto y = heads(zeros<float>(Shape{2, 8, 7, 9}));
    CHECK(y.heat.shape() == Shape{2, 5, 7, 9});
    CHECK(y.size.shape() == Shape{2, 2, 7, 9});
    CHECK(y.offset.shape() == Shape{2, 2, 7, 9});
    CHECK(test::max_error(y.size, zeros<float>(y.size.shape())) == 0);
    CHECK((*heads.hm.get<2>().bias)(4) == -2.19F);
    // The heat map's weights are PyTorch's, those of the others small.
    const auto largest = [](const auto& x) {
        float most = 0;
        for (Index i = 0; i < x.numel(); ++i) most = std::max(most, std::abs(x.data()[i]));
        return most;
    };
    CHECK(largest(heads.hm.get<0>().weight) > 0.1F);
    CHECK(largest(heads.wh.get<0>().weight) < 0.01F);
    CHECK(largest(heads.reg.get<2>().weight) > 0);
}

TEST_CASE("CenterNet targets: by definition, object by object") {
    const auto images = centernet_scenes();
    const auto t = models::centernet_targets(images, on_map);
    CHECK(t.heat.shape() == Shape{2, 3, 12, 16});
    Index present = 0;
    for (Index i = 0; i < 2; ++i)
        for (Index k = 0; k < 5; ++k) {
            present += t.mask(i, k) == 1;
            if (t.mask(i, k) == 0) {
                CHECK(t.size(i, k, 0) + t.offset(i, k, 0) + float(t.places(i, k)) == 0);
                continue;
            }
            const auto& b = images[std::size_t(i)].boxes;
            const float x1 = std::max(b(k, 0) / 4, 0.F), x2 = std::min(b(k, 2) / 4, 15.F);
            const float y1 = std::max(b(k, 1) / 4, 0.F), y2 = std::min(b(k, 3) / 4, 11.F);
            const Index u = t.places(i, k) % 16, v = t.places(i, k) / 16;
            CHECK(t.size(i, k, 0) == x2 - x1);
            CHECK(t.size(i, k, 1) == y2 - y1);
            CHECK(float(u) + t.offset(i, k, 0) == doctest::Approx((x1 + x2) / 2));
            CHECK(float(v) + t.offset(i, k, 1) == doctest::Approx((y1 + y2) / 2));
            CHECK(t.heat(i, images[std::size_t(i)].classes(k), v, u) == 1);
        }
    CHECK(present == 5);
    CHECK(t.mask(0, 2) == 0);
    Index peaks = 0;
    for (Index i = 0; i < t.heat.numel(); ++i) peaks += t.heat.data()[i] == 1;
    CHECK(peaks == 5);
    // 30 x 35 pixels are 6.5 x 8.75 cells: radius 2 by the published formula.
    const auto radius = Index(vision::gaussian_radius(9, 7));
    CHECK(t.heat(0, 0, 5, 4 + radius) > 0);
    CHECK(t.heat(0, 0, 5, 4 + radius + 1) == 0);

    auto few = on_map;
    few.most = 1;
    CHECK(models::centernet_targets(images, few).mask.shape() == Shape{2, 1});
    const auto none = models::centernet_targets(std::span<const vision::Objects<float>>(), on_map);
    CHECK(none.heat.shape() == Shape{0, 3, 12, 16});
    auto two = on_map;
    two.classes = 2;
    CHECK(test::message_of<ValueError>([&] { (void)models::centernet_targets(images, two); }) ==
          "centernet_targets: class must lie in [0, 2) but is 2");
    auto odd = centernet_scenes();
    odd[1].classes = Tensor<std::int64_t, 1>{1};
    CHECK(test::message_of<ShapeError>([&] { (void)models::centernet_targets(odd, on_map); }) ==
          "centernet_targets: there must be one class for each box ([1] and [2, 4])");
}

TEST_CASE("CenterNet decode: perfect maps give the objects back, images that were mirrored too") {
    const auto images = centernet_scenes();
    const auto y = perfect(models::centernet_targets(images, on_map));
    const auto check = [&](const std::vector<vision::Detections<float>>& found) {
        REQUIRE(found.size() == 2);
        const Index counts[] = {3, 2};
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(found[i].scores.dim(0) == counts[i]);
            const auto& truth = images[i];
            for (Index k = 0; k < truth.boxes.dim(0); ++k) {
                if (i == 0 && k == 2) continue;
                Index hits = 0;
                for (Index f = 0; f < found[i].scores.dim(0); ++f) {
                    bool same = found[i].classes(f) == truth.classes(k);
                    const float limits[] = {60, 44, 60, 44};
                    for (Index d = 0; d < 4; ++d) {
                        const float held = std::min(std::max(truth.boxes(k, d), 0.F), limits[d]);
                        same = same && std::abs(found[i].boxes(f, d) - held) < 1e-4F;
                    }
                    hits += same;
                }
                CHECK(hits == 1);
            }
        }
    };
    check(models::centernet_decode(y, {.threshold = 0.5}));
    check(models::centernet_decode(y, {mirrored(y.heat), mirrored(y.size), mirrored(y.offset)}, {.threshold = 0.5}));
    // The offset is the first image's alone.
    check(models::centernet_decode(y, {mirrored(y.heat), mirrored(y.size), y.offset * 3.F}, {.threshold = 0.5}));
    CHECK(models::centernet_decode(y, {.most = 2})[0].boxes.shape() == Shape{2, 4});
    CHECK(models::centernet_decode(y, {.threshold = 1})[0].boxes.shape() == Shape{0, 4});

    const auto network = [&](const Tensor<float, 4>& x) {
        // Knows a mirrored image by its first pixel.
        const bool is_mirrored = x(0, 0, 0, 0) != 0;
        return models::CenterNetOutput{is_mirrored ? mirrored(y.heat) : y.heat, is_mirrored ? mirrored(y.size) : y.size,
                                       y.offset};
    };
    auto image = zeros<float>(Shape{2, 3, 48, 64});
    image.mutable_at(0, 0, 0, 63) = 1;
    check(models::centernet_detect(network, image, {.threshold = 0.5}));
    check(models::centernet_detect(network, image, {.threshold = 0.5}, true));
}
