#include <lamina/vision/matching.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {
std::vector<std::int64_t> list(const Tensor<std::int64_t, 1>& x) { return {x.data(), x.data() + x.numel()}; }
}  // namespace

TEST_CASE("match_atss: golden") {
    for (const auto& c : test::golden_cases("vfnet/atss")) {
        const auto levels = c.tensor<std::int64_t, 1>("in.num_level");
        const auto got = vision::match_atss(c.tensor<float, 2>("in.anchors"), levels.span(),
                                            c.tensor<float, 2>("in.gt"), c.integer("topk", 9));
        const auto objects = c.tensor<std::int64_t, 1>("out.gt_inds");
        const auto overlaps = c.tensor<float, 1>("out.max_overlaps");
        for (Index i = 0; i < objects.numel(); ++i) {
            CHECK(got.objects(i) == objects(i) - 1);
            if (objects(i) > 0) CHECK(got.overlaps(i) == doctest::Approx(overlaps(i)).epsilon(1e-6));
            else CHECK(got.overlaps(i) == 0);
        }
    }
    const Tensor<float, 2> one{{0, 0, 8, 8}}, object{{1, 1, 9, 9}};
    const std::int64_t size[] = {1}, wrong[] = {2};
    CHECK(vision::match_atss(one, size, object).objects(0) == 0);
    CHECK(test::message_of<ShapeError>([&] { (void)vision::match_atss(one, wrong, object); }) ==
          "match_atss: levels must add up to the anchors (2 and 1)");
}

TEST_CASE("match_by_iou: thresholds, rescue and no objects") {
    const Tensor<float, 2> x{{.8f, .5f, .1f, .3f, .2f}, {.1f, .6f, .2f, .4f, .4f}, {.2f, .1f, .25f, .1f, .4f}};
    CHECK(list(vision::match_by_iou(x)) == std::vector<std::int64_t>{0, -2, -1, -2, -2});
    CHECK(list(vision::match_by_iou(x, {.rescue = 0.3})) == std::vector<std::int64_t>{0, 1, -1, -2, 1});
    CHECK(list(vision::match_by_iou(x, {.positive = 0.5, .negative = 0.5})) ==
          std::vector<std::int64_t>{0, 1, -1, -1, -1});
    CHECK(list(vision::match_by_iou(Tensor<float, 2>(Shape{0, 3}))) == std::vector<std::int64_t>{-1, -1, -1});
    CHECK(test::message_of<ValueError>([&] { (void)vision::match_by_iou(x, {.positive = 0.25, .negative = 0.5}); }) ==
          "match_by_iou: negative threshold must not be above the positive one (0.5 and 0.25)");
}

TEST_CASE("match_greedy: cheapest first, each once") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, 2> cost{{4, 1, 3}, {2, 0, 5}, {3, 2, nan}};
    CHECK(list(vision::match_greedy(cost)) == std::vector<std::int64_t>{2, 1, 0});
    CHECK(list(vision::match_greedy(cost, 2.5)) == std::vector<std::int64_t>{-1, 1, -1});
    CHECK(list(vision::match_greedy(Tensor<float, 2>(Shape{2, 0}))) == std::vector<std::int64_t>{-1, -1});
}
