#include <lamina/losses/iou.hpp>
#include <lamina/random/rng.hpp>
#include <lamina/vision/boxes.hpp>
#include <lamina/vision/boxes_iou.hpp>
#include <lamina/vision/hungarian.hpp>
#include <lamina/vision/matching.hpp>
#include <lamina/vision/nms.hpp>
#include <lamina/vision/suppression.hpp>
#include <lamina/vision/suppression_fusion.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using vision::BoxMetric;

namespace {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T nan_of = std::numeric_limits<T>::quiet_NaN();

/// Coordinates from one of several distributions: ordinary, tiny (denormal products), huge (overflowing products),
/// on a coarse grid (many ties and empty boxes); inverted in part.
template <class T>
Tensor<T, 2> random_boxes(random::Rng& rng, Index n, int kind) {
    auto out = empty<T>(Shape{n, 4});
    const T scale = kind == 1   ? std::numeric_limits<T>::min() * T(4)
                    : kind == 2 ? std::sqrt(std::numeric_limits<T>::max()) * T(2)
                                : T(100);
    for (Index i = 0; i < 4 * n; ++i) {
        T x = rng.uniform<T>(T(-1), T(1));
        if (kind == 3) x = std::round(x * T(3)) / T(3);
        out.mutable_data()[i] = x * scale;
    }
    if (kind != 4)
        for (Index i = 0; i < n; ++i) {
            T* b = out.mutable_data() + 4 * i;
            if (b[0] > b[2]) std::swap(b[0], b[2]);
            if (b[1] > b[3]) std::swap(b[1], b[3]);
        }
    return out;
}
/// Boxes that have hurt somebody.
template <class T>
Tensor<T, 2> evil_boxes() {
    const T inf = infinity<T>, nan = nan_of<T>, low = std::numeric_limits<T>::denorm_min(),
            most = std::numeric_limits<T>::max();
    return {{0, 0, 1, 1},         {0, 0, 1, 1},         {0, 0, 0, 0},           {1, 1, 1, 1},
            {1, 1, 0, 0},         {0, 0, inf, inf},     {-inf, -inf, inf, inf}, {nan, 0, 1, 1},
            {nan, nan, nan, nan}, {inf, inf, inf, inf}, {0, 0, low, low},       {-most, -most, most, most},
            {0, 0, most, 1},      {0, 0, 1, 0},         {2, 0, 1, 5},           {0, 0, low, 1},
            {5, 5, 5, 9},         {inf, 0, -inf, 1},    {0, nan, 1, 1},         {-0.0, -0.0, 0.0, 0.0}};
}
template <class T>
bool finite(const Tensor<T, 2>& boxes, Index i) {
    for (Index k = 0; k < 4; ++k)
        if (!std::isfinite(boxes(i, k))) return false;
    return true;
}

/// Overlap as nms rounds it.
template <class T>
T overlap(const T* a, const T* b) {
    const T w = std::max(T(0), std::min(a[2], b[2]) - std::max(a[0], b[0]));
    const T h = std::max(T(0), std::min(a[3], b[3]) - std::max(a[1], b[1]));
    volatile T inner = w * h, area_a = (a[2] - a[0]) * (a[3] - a[1]), area_b = (b[2] - b[0]) * (b[3] - b[1]);
    return inner / (area_a + area_b - inner);
}

}  // namespace

TEST_CASE_TEMPLATE("overlaps of random boxes: symmetric, bounded, independent of scale and place", T, float, double) {
    random::Rng rng(11);
    for (int kind = 0; kind < 5; ++kind) {
        const auto a = random_boxes<T>(rng, 70, kind), b = random_boxes<T>(rng, 65, kind);
        const auto iou = vision::pairwise_iou(a, b), back = vision::pairwise_iou(b, a);
        const auto giou = vision::pairwise_iou<BoxMetric::giou>(a, b);
        auto a2 = a.clone(), b2 = b.clone();
        for (auto* t : {&a2, &b2})
            for (Index i = 0; i < t->numel(); ++i) t->mutable_data()[i] *= T(0.25);
        const auto scaled = vision::pairwise_iou(a2, b2);
        for (Index i = 0; i < 70; ++i)
            for (Index j = 0; j < 65; ++j) {
                CAPTURE(kind);
                const T v = iou(i, j);
                if (kind == 2) {  // products overflow: infinity by infinity is the documented NaN, else the value holds
                    REQUIRE((std::isnan(v) || (v >= 0 && v <= 1)));
                    continue;
                }
                if (kind != 4) {
                    REQUIRE((v >= 0 && v <= 1));
                    REQUIRE(giou(i, j) <= v + T(1e-5));
                    REQUIRE(giou(i, j) >= T(-1) - T(1e-5));
                }
                REQUIRE(test::error_of(double(back(j, i)), double(v)) < 1e-5);
                if (kind != 1) REQUIRE(test::error_of(double(scaled(i, j)), double(v)) == 0);
            }
    }
}

TEST_CASE_TEMPLATE("overlaps of evil boxes: finite ones have finite overlaps, NaN stays with its row", T, float,
                   double) {
    const auto boxes = evil_boxes<T>();
    const Index n = boxes.dim(0);
    const auto iou = vision::pairwise_iou(boxes, boxes);
    const auto alone = vision::elementwise_iou(boxes, boxes);
    for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < n; ++j) {
            if (!finite(boxes, i) || !finite(boxes, j) || i == 11 || j == 11) continue;
            CAPTURE(i);
            CAPTURE(j);
            CHECK((iou(i, j) >= 0 && iou(i, j) <= 1));
        }
    CHECK(iou(0, 1) == 1);
    for (const Index empty_box : {2, 3, 4, 13, 14, 16, 19})
        for (const Index other : {0, 2, 3, 4, 13}) CHECK(iou(empty_box, other) == 0);
    for (Index i = 0; i < n; ++i) CHECK(test::error_of(double(alone(i)), double(iou(i, i))) == 0);
}

TEST_CASE_TEMPLATE("losses of evil boxes: values and gradients of finite boxes are finite", T, float, double) {
    const auto all = evil_boxes<T>();
    std::vector<std::array<T, 4>> kept;
    for (Index i = 0; i < all.dim(0); ++i)
        if (finite(all, i) && std::abs(all(i, 2)) < T(1e9) && all(i, 2) >= all(i, 0) && all(i, 3) >= all(i, 1))
            kept.push_back({all(i, 0), all(i, 1), all(i, 2), all(i, 3)});
    const auto count = Index(kept.size());
    auto a = empty<T>(Shape{count * count, 4}), b = empty<T>(Shape{count * count, 4});
    for (Index i = 0; i < count * count; ++i)
        for (Index k = 0; k < 4; ++k) {
            a.mutable_data()[4 * i + k] = kept[std::size_t(i / count)][std::size_t(k)];
            b.mutable_data()[4 * i + k] = kept[std::size_t(i % count)][std::size_t(k)];
        }
    const auto check = [&](auto&& loss) {
        auto x = autograd::leaf(a.clone());
        autograd::Tape tape;
        const auto y = loss(x, b);
        tape.backward(y, full<T>(y.shape(), T(1)));
        const auto dx = autograd::grad(x);
        for (Index i = 0; i < y.numel(); ++i) {
            CAPTURE(i);
            CHECK(std::isfinite(y.data()[i]));
            for (Index k = 0; k < 4; ++k) CHECK(std::isfinite(dx(i, k)));
        }
    };
    constexpr auto none = losses::Reduction::none;
    check([](const auto& x, const auto& y) { return losses::iou<none>(x, y); });
    check([](const auto& x, const auto& y) { return losses::log_iou<none>(x, y); });
    check([](const auto& x, const auto& y) { return losses::giou<none>(x, y); });
    check([](const auto& x, const auto& y) { return losses::diou<none>(x, y); });
    check([](const auto& x, const auto& y) { return losses::ciou<none>(x, y); });
    check([](const auto& x, const auto& y) { return losses::eiou<none>(x, y); });
}

TEST_CASE_TEMPLATE("nms: a maximal independent set in the order of scores", T, float, double) {
    random::Rng rng(5);
    for (int kind = 0; kind < 5; ++kind)
        for (const Index n : {0, 1, 2, 15, 16, 17, 33, 300})
            for (const double threshold : {0.0, 0.3, 0.5, 1.0}) {
                const auto boxes = random_boxes<T>(rng, n, kind);
                auto scores = empty<T>(Shape{n});
                for (Index i = 0; i < n; ++i) scores.mutable_data()[i] = T(rng.integer(0, 20)) / T(20);
                const auto keep = vision::nms(boxes, scores, threshold);
                std::vector<bool> kept(static_cast<std::size_t>(n));
                for (Index k = 0; k < keep.dim(0); ++k) {
                    kept[std::size_t(keep(k))] = true;
                    if (k == 0) continue;
                    const Index x = keep(k - 1), y = keep(k);
                    REQUIRE((scores(x) > scores(y) || (scores(x) == scores(y) && x < y)));
                }
                const auto before = [&](Index x, Index y) {
                    return scores(x) > scores(y) || (scores(x) == scores(y) && x < y);
                };
                for (Index i = 0; i < n; ++i) {
                    bool hit = false;  // by a kept box that comes first
                    for (Index k = 0; k < keep.dim(0) && !hit; ++k)
                        hit = keep(k) != i && before(keep(k), i) &&
                              double(overlap(boxes.data() + 4 * keep(k), boxes.data() + 4 * i)) > threshold;
                    CAPTURE(kind);
                    REQUIRE(kept[std::size_t(i)] != hit);
                }
            }
}

TEST_CASE_TEMPLATE("suppression of evil boxes and scores ends, with every index at most once", T, float, double) {
    const auto boxes = evil_boxes<T>();
    const Index n = boxes.dim(0);
    auto scores = empty<T>(Shape{n});
    auto classes = empty<std::int64_t>(Shape{n});
    const T wild[] = {infinity<T>, -infinity<T>, nan_of<T>, 0, T(-0.0), std::numeric_limits<T>::max(), T(0.5)};
    for (Index i = 0; i < n; ++i) {
        scores.mutable_data()[i] = wild[i % 7];
        classes.mutable_data()[i] = i % 3 == 0 ? std::numeric_limits<std::int64_t>::min() + i : i % 3;
    }
    const auto distinct = [&](const Tensor<std::int64_t, 1>& keep) {
        std::vector<bool> seen(static_cast<std::size_t>(n));
        for (Index k = 0; k < keep.dim(0); ++k) {
            REQUIRE((keep(k) >= 0 && keep(k) < n));
            REQUIRE(!seen[std::size_t(keep(k))]);
            seen[std::size_t(keep(k))] = true;
        }
    };
    for (const double threshold : {-1.0, 0.0, 0.5, 1.0, 2.0, double(infinity<T>), double(nan_of<T>)}) {
        distinct(vision::nms(boxes, scores, threshold));
        distinct(vision::batched_nms(boxes, scores, classes, threshold));
        distinct(vision::diou_nms(boxes, scores, threshold));
    }
    CHECK(vision::nms(boxes, scores, 1.0).dim(0) >= n - 1);
    const auto soft = vision::soft_nms(boxes, scores);
    distinct(soft.indices);
    CHECK_THROWS_AS((void)vision::fuse_boxes(boxes, scores, classes, 2), ValueError);
    for (Index i = 0; i < n; ++i) scores.mutable_data()[i] = i % 2 ? infinity<T> : std::numeric_limits<T>::denorm_min();
    CHECK(vision::fuse_boxes(boxes, scores, classes, 2).boxes.dim(0) <= n);
}

TEST_CASE("assignment and matching of evil numbers: an answer or the documented error") {
    const double inf = infinity<double>, nan = nan_of<double>;
    CHECK(vision::hungarian(Tensor<double, 2>{{1e308, 1e308}, {1e308, -1e308}}).rows.dim(0) == 2);
    CHECK_THROWS_AS((void)vision::hungarian(Tensor<double, 2>{{nan}}), ValueError);
    CHECK_THROWS_AS((void)vision::hungarian(Tensor<double, 2>{{inf, inf}}), ValueError);
    CHECK_THROWS_AS((void)vision::hungarian(Tensor<double, 2>{{-inf, 0}}), ValueError);
    const auto boxes = evil_boxes<double>();
    const Tensor<double, 2> objects{{0, 0, 1, 1}, {nan, 0, 1, 1}, {-inf, -inf, inf, inf}};
    const std::int64_t sizes[] = {12, 8};
    const auto atss = vision::match_atss(boxes, sizes, objects);
    const auto by_iou = vision::match_by_iou(vision::pairwise_iou(objects, boxes), {.rescue = 0});
    for (Index i = 0; i < boxes.dim(0); ++i) {
        CHECK((atss.objects(i) >= -2 && atss.objects(i) < 3));
        CHECK((by_iou(i) >= -2 && by_iou(i) < 3));
    }
    const auto greedy = vision::match_greedy(Tensor<double, 2>{{nan, inf}, {-inf, nan}});
    CHECK((greedy(0) == 1 && greedy(1) == 0));
}
