#include <lamina/vision/nms.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// n boxes around a few centres, with repeated scores when `levels` is small.
void cluster(Index n, unsigned seed, Index levels, Tensor<float, 2>& boxes, Tensor<float, 1>& scores) {
    boxes = empty<float>(Shape{n, 4});
    scores = empty<float>(Shape{n});
    unsigned state = seed * 2654435761u + 1;
    const auto next = [&] { return state = state * 1664525u + 1013904223u, float(state >> 8) / 16777216.0f; };
    for (Index i = 0; i < n; ++i) {
        float* b = boxes.mutable_data() + 4 * i;
        const float cx = std::floor(next() * 6) * 20 + next() * 8, cy = std::floor(next() * 6) * 20 + next() * 8;
        const float w = 4 + 20 * next(), h = 4 + 20 * next();
        b[0] = cx - w, b[1] = cy - h, b[2] = cx + w, b[3] = cy + h;
        scores.mutable_data()[i] = std::floor(next() * float(levels)) / float(levels);
    }
}

/// The definition, one pair at a time in single numbers.
std::vector<Index> naive(const Tensor<float, 2>& boxes, const Tensor<float, 1>& scores, double threshold) {
    const Index n = boxes.dim(0);
    std::vector<Index> order(static_cast<std::size_t>(n)), kept;
    for (Index i = 0; i < n; ++i) order[std::size_t(i)] = i;
    std::sort(order.begin(), order.end(),
              [&](Index a, Index b) { return scores(a) != scores(b) ? scores(a) > scores(b) : a < b; });
    const auto area = [&](Index i) {
        volatile float w = boxes(i, 2) - boxes(i, 0), h = boxes(i, 3) - boxes(i, 1);
        volatile float product = w * h;
        return float(product);
    };
    for (const Index i : order) {
        bool keep = true;
        for (const Index k : kept) {
            const float w = std::max(0.0f, std::min(boxes(i, 2), boxes(k, 2)) - std::max(boxes(i, 0), boxes(k, 0)));
            const float h = std::max(0.0f, std::min(boxes(i, 3), boxes(k, 3)) - std::max(boxes(i, 1), boxes(k, 1)));
            volatile float inner = w * h, sum = area(k) + area(i);
            const float united = sum - inner;
            keep = keep && !(double(inner / united) > threshold);
        }
        if (keep) kept.push_back(i);
    }
    return kept;
}

std::vector<Index> list(const Tensor<std::int64_t, 1>& x) { return {x.data(), x.data() + x.numel()}; }

}  // namespace

TEST_CASE("nms: golden") {
    for (const auto& c : test::golden_cases("vision/nms"))
        test::check_golden(
            c, "keep",
            vision::nms(c.tensor<float, 2>("in.boxes"), c.tensor<float, 1>("in.scores"), c.number("iou_threshold", 0)));
    for (const auto& c : test::golden_cases("vision/batched_nms"))
        test::check_golden(c, "keep",
                           vision::batched_nms(c.tensor<float, 2>("in.boxes"), c.tensor<float, 1>("in.scores"),
                                               c.tensor<std::int64_t, 1>("in.classes"), c.number("iou_threshold", 0)));
}

TEST_CASE("nms: agrees with the definition at every size, with ties") {
    for (const Index n : {0, 1, 2, 7, 8, 15, 16, 17, 33, 400})
        for (const double threshold : {-1.0, 0.0, 0.1, 0.5, 0.6, 0.95, 1.0}) {
            Tensor<float, 2> boxes;
            Tensor<float, 1> scores;
            cluster(n, unsigned(n) + 1, n < 20 ? 3 : 50, boxes, scores);
            const auto kept = list(vision::nms(boxes, scores, threshold));
            CHECK(kept == naive(boxes, scores, threshold));
            if (threshold == 1.0) CHECK(Index(kept.size()) == n);
            if (threshold == -1.0) CHECK(Index(kept.size()) == std::min<Index>(n, 1));
        }
    const Tensor<float, 2> four{{0, 0, 10, 10}, {1, 1, 11, 11}, {20, 20, 30, 30}, {0, 0, 10, 10.5f}};
    CHECK(list(vision::nms(four, Tensor<float, 1>{.9f, .8f, .7f, .95f}, 0.5)) == std::vector<Index>{3, 2});
}

TEST_CASE_TEMPLATE("nms: every instruction set keeps the same boxes", Arch, LAMINA_TEST_ARCHS) {
    Tensor<float, 2> boxes;
    Tensor<float, 1> scores;
    cluster(333, 5, 1000, boxes, scores);
    std::vector<Index> order(333), kept(333);
    const Index voters = kernels::score_order(Index(333), scores.data(), order.data());
    kept.resize(std::size_t(kernels::nms<Arch>(Index(333), boxes.data(), order.data(), voters, 0.4, kept.data())));
    CHECK(kept == naive(boxes, scores, 0.4));
}

TEST_CASE("nms: NaN, infinite, empty and repeated boxes") {
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    const Tensor<float, 2> same{{0, 0, 4, 4}, {0, 0, 4, 4}, {0, 0, 4, 4}, {9, 9, 12, 12}};
    CHECK(list(vision::nms(same, Tensor<float, 1>{nan, .5f, .4f, nan}, 0.5)) == std::vector<Index>{1, 3});
    CHECK(list(vision::nms(same, Tensor<float, 1>{nan, nan, nan, nan}, 0.5)) == std::vector<Index>{0, 1, 2, 3});
    CHECK(list(vision::nms(same, Tensor<float, 1>{-inf, inf, 0, -0.0f}, 0.5)) == std::vector<Index>{1, 3});
    const Tensor<float, 2> odd{{nan, 0, 4, 4}, {0, 0, 4, 4}, {0, 0, inf, inf},
                               {3, 3, 3, 3},   {3, 3, 3, 3}, {4, 4, 0, 0}};
    CHECK(list(vision::nms(odd, Tensor<float, 1>{6, 5, 4, 3, 2, 1}, 0.5)) == std::vector<Index>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("batched and multi-class suppression are suppression class by class") {
    Tensor<float, 2> boxes;
    Tensor<float, 1> scores;
    cluster(300, 9, 40, boxes, scores);
    auto classes = empty<std::int64_t>(Shape{300});
    for (Index i = 0; i < 300; ++i) classes.mutable_data()[i] = (i * 7 % 5) * 1000003 - 2000000;
    const auto kept = list(vision::batched_nms(boxes, scores, classes, 0.3));
    std::vector<bool> expected(300), got(300);
    for (Index id = 0; id < 5; ++id) {
        std::vector<Index> members;
        for (Index i = 0; i < 300; ++i)
            if (classes(i) == id * 1000003 - 2000000) members.push_back(i);
        auto b = empty<float>(Shape{Index(members.size()), 4});
        auto s = empty<float>(Shape{Index(members.size())});
        for (std::size_t k = 0; k < members.size(); ++k) {
            std::copy_n(boxes.data() + 4 * members[k], 4, b.mutable_data() + 4 * k);
            s.mutable_data()[k] = scores(members[k]);
        }
        for (const Index k : naive(b, s, 0.3)) expected[std::size_t(members[std::size_t(k)])] = true;
    }
    for (std::size_t k = 0; k < kept.size(); ++k) {
        got[std::size_t(kept[k])] = true;
        if (k > 0)
            CHECK((scores(kept[k - 1]) > scores(kept[k]) ||
                   (scores(kept[k - 1]) == scores(kept[k]) && kept[k - 1] < kept[k])));
    }
    CHECK(got == expected);

    const Tensor<float, 2> two{{0, 0, 4, 4}, {0, 0, 4, 5}}, by_class{{.9f, .2f, .01f}, {.8f, .7f, .05f}};
    const auto found = vision::multiclass_nms(two, by_class, 0.05, 0.5, 2);
    REQUIRE(found.scores.numel() == 2);
    CHECK(found.scores(0) == .9f);
    CHECK(found.classes(0) == 0);
    CHECK(found.scores(1) == .7f);
    CHECK(found.classes(1) == 1);
    CHECK(found.from(1) == 1);
    CHECK(found.boxes(1, 3) == 5);
    CHECK(vision::multiclass_nms(two, by_class, 0.95, 0.5).boxes.shape() == Shape{0, 4});
}

TEST_CASE("nms: errors") {
    const Tensor<float, 2> a(Shape{3, 4}), c(Shape{3, 5});
    const Tensor<float, 1> s(Shape{2});
    CHECK(test::message_of<ShapeError>([&] { (void)vision::nms(a, s, 0.5); }) ==
          "nms: there must be one score for each box ([2] and [3, 4])");
    CHECK(test::message_of<ShapeError>([&] { (void)vision::nms(c, s, 0.5); }) ==
          "nms: boxes must have shape [N, 4] but has [3, 5]");
}
