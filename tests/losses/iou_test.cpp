#include <lamina/autograd/gradcheck.hpp>
#include <lamina/losses/iou.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using losses::Reduction;

namespace {

using Boxes = Tensor<double, 2>;

template <Reduction reduction, class F>
void check_loss(const test::GoldenCase& c, F&& loss) {
    auto a = autograd::leaf(c.tensor<float, 2>("in.a")), b = autograd::leaf(c.tensor<float, 2>("in.b"));
    autograd::Tape tape;
    const auto y = loss(a, b);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
    test::check_golden_grad(c, "in.a", autograd::grad(a));
    if (c.has("grad.in.b")) test::check_golden_grad(c, "in.b", autograd::grad(b));
}
template <Reduction reduction>
void check_folder(const test::GoldenCase& c) {
    const std::string op = c.meta("op");
    if (op == "generalized_box_iou_loss")
        check_loss<reduction>(c, [](const auto& a, const auto& b) { return losses::giou<reduction>(a, b); });
    else if (op == "distance_box_iou_loss")
        check_loss<reduction>(c, [](const auto& a, const auto& b) { return losses::diou<reduction>(a, b); });
    else if (op == "complete_box_iou_loss")
        check_loss<reduction>(c, [](const auto& a, const auto& b) { return losses::ciou<reduction>(a, b); });
    else FAIL_CHECK("unknown loss " << op);
}

/// n pairs of proper boxes without ties.
Boxes some_boxes(Index n, double phase) {
    auto boxes = test::wave<double>(Shape{n, 4}, phase);
    for (Index i = 0; i < n; ++i) {
        double* b = boxes.mutable_data() + 4 * i;
        b[2] = b[0] + 0.3 + std::abs(b[2]), b[3] = b[1] + 0.2 + std::abs(b[3]);
    }
    return boxes;
}

/// Written anew, in double and without lanes, for the comparison.
double naive(const double* p, const double* g, kernels::BoxMetric metric, double eps) {
    const double w = p[2] - p[0], h = p[3] - p[1], gw = g[2] - g[0], gh = g[3] - g[1];
    const double iw = std::max(0.0, std::min(p[2], g[2]) - std::max(p[0], g[0]));
    const double ih = std::max(0.0, std::min(p[3], g[3]) - std::max(p[1], g[1]));
    const double united = w * h + gw * gh - iw * ih, iou = iw * ih / (united + eps);
    const double cw = std::max(p[2], g[2]) - std::min(p[0], g[0]), ch = std::max(p[3], g[3]) - std::min(p[1], g[1]);
    if (metric == kernels::BoxMetric::iou) return iou;
    if (metric == kernels::BoxMetric::giou) return iou - (cw * ch - united) / (cw * ch + eps);
    const double dx = (p[0] + p[2] - g[0] - g[2]) / 2, dy = (p[1] + p[3] - g[1] - g[3]) / 2;
    const double diou = iou - (dx * dx + dy * dy) / (cw * cw + ch * ch + eps);
    if (metric == kernels::BoxMetric::eiou)
        return diou - (w - gw) * (w - gw) / (cw * cw + eps) - (h - gh) * (h - gh) / (ch * ch + eps);
    if (metric == kernels::BoxMetric::diou) return diou;
    const double angle = std::atan(gw / gh) - std::atan(w / h), v = 4 * angle * angle / (M_PI * M_PI);
    return diou - v * v / (1 - iou + v + eps);
}

}  // namespace

TEST_CASE("box losses: golden values and gradients") {
    for (const char* folder :
         {"vision/generalized_box_iou_loss", "vision/distance_box_iou_loss", "vision/complete_box_iou_loss"}) {
        for (const auto& c : test::golden_cases(folder)) {
            const std::string reduction = c.meta("reduction");
            if (reduction == "mean") check_folder<Reduction::mean>(c);
            else if (reduction == "sum") check_folder<Reduction::sum>(c);
            else check_folder<Reduction::none>(c);
        }
    }
    for (const auto& c : test::golden_cases("vfnet/giou_weighted")) {
        const auto weight = c.tensor<float, 1>("in.weight");
        auto a = autograd::leaf(c.tensor<float, 2>("in.a"));
        autograd::Tape tape;
        const auto y = losses::giou<Reduction::sum>(a, c.tensor<float, 2>("in.b"), {.weight = weight, .eps = 1e-10});
        const auto factor = float(c.number("avg_factor", 1));
        test::check_golden(c, "y", Tensor<float, 0>(y.item() / factor), 4);
        tape.backward(y, Tensor<float, 0>(c.tensor<float, 0>("r.y").item() / factor));
        test::check_golden_grad(c, "in.a", autograd::grad(a), 4);
    }
}

TEST_CASE("box losses: published values and gradients of three pairs") {
    struct Row {
        double p[4], g[4];
        int metric;
        double value, gradient[4];
    };
    const Row rows[] = {
        {{0, 0, 2, 2}, {1, 1, 3, 4}, 0, 0.11111111, {-0.02469136, -0.02469136, -0.09876543, -0.09876543}},
        {{0, 0, 2, 2}, {1, 1, 3, 4}, 1, -0.13888889, {-0.1080247, -0.04552469, -0.1820988, -0.1820988}},
        {{0, 0, 2, 2}, {1, 1, 3, 4}, 2, -0.01888889, {-0.03349136, -0.04309136, -0.1387654, -0.1587654}},
        {{0, 0, 2, 2}, {1, 1, 3, 4}, 3, -0.01916455, {-0.0341896, -0.04239311, -0.1380672, -0.1594637}},
        {{0, 0, 1, 1}, {2, 3, 4, 5}, 0, 0, {0, 0, 0, 0}},
        {{0, 0, 1, 1}, {2, 3, 4, 5}, 1, -0.75, {-0.0125, 0, -0.05, -0.05}},
        {{0, 0, 1, 1}, {2, 3, 4, 5}, 2, -0.45121951, {0.02706722, 0.02468769, -0.06097561, -0.08536585}},
        {{0, 0, 1, 1}, {2, 3, 4, 5}, 3, -0.45121951, {0.02706722, 0.02468769, -0.06097561, -0.08536585}},
        {{0, 0, 4, 4}, {1, 1, 2, 3}, 0, 0.125, {-0.03125, -0.03125, 0.03125, 0.03125}},
        {{0, 0, 4, 4}, {1, 1, 2, 3}, 1, 0.125, {-0.03125, -0.03125, 0.03125, 0.03125}},
        {{0, 0, 4, 4}, {1, 1, 2, 3}, 2, 0.1171875, {-0.01367187, -0.02929687, 0.04492187, 0.02929687}},
        {{0, 0, 4, 4}, {1, 1, 2, 3}, 3, 0.11526773, {-0.01516353, -0.02780522, 0.04641353, 0.02780522}},
    };
    for (const Row& row : rows) {
        auto p = autograd::leaf(Boxes{{row.p[0], row.p[1], row.p[2], row.p[3]}});
        const Boxes g{{row.g[0], row.g[1], row.g[2], row.g[3]}};
        autograd::Tape tape;
        const auto loss = row.metric == 0   ? losses::iou(p, g)
                          : row.metric == 1 ? losses::giou(p, g)
                          : row.metric == 2 ? losses::diou(p, g)
                                            : losses::ciou(p, g);
        CHECK(loss.item() == doctest::Approx(1 - row.value).epsilon(3e-7));
        tape.backward(loss);
        for (int k = 0; k < 4; ++k) CHECK(std::abs(autograd::grad(p)(0, k) - row.gradient[k]) < 1.5e-7);
    }
}

TEST_CASE("box losses: against plain loops and finite differences") {
    using kernels::BoxMetric;
    for (const Index n : {0, 1, 3, 4, 5, 15, 16, 17, 33, 20000}) {
        const auto p = some_boxes(n, 0.1), g = some_boxes(n, 0.7);
        const Tensor<double, 1> results[] = {losses::iou<Reduction::none>(p, g), losses::giou<Reduction::none>(p, g),
                                             losses::diou<Reduction::none>(p, g), losses::ciou<Reduction::none>(p, g),
                                             losses::eiou<Reduction::none>(p, g)};
        double sum = 0;
        for (int m = 0; m < 5; ++m)
            for (Index i = 0; i < n; ++i) {
                const double expected = 1 - naive(p.data() + 4 * i, g.data() + 4 * i, BoxMetric(m), 1e-7);
                REQUIRE(std::abs(results[m].data()[i] - expected) < 1e-12);
                if (m == 3) sum += expected;
            }
        CHECK(losses::ciou<Reduction::sum>(p, g).item() == doctest::Approx(sum).epsilon(1e-12));
        if (n > 0) CHECK(losses::ciou(p, g).item() == doctest::Approx(sum / double(n)).epsilon(1e-12));
        else CHECK(std::isnan(losses::ciou(p, g).item()));
    }
    const auto p = some_boxes(21, 0.1), g = some_boxes(21, 0.7), w = test::wave<double>(Shape{21, 1});
    const auto weight = Tensor<double, 1>(w.storage(), const_cast<double*>(w.data()), Shape{21}, {1});
    CHECK(autograd::gradcheck([&](auto& a, auto& b) { return losses::iou<Reduction::none>(a, b); }, p, g) < 1e-7);
    CHECK(autograd::gradcheck([&](auto& a, auto& b) { return losses::giou(a, b, {.weight = weight}); }, p, g) < 1e-7);
    CHECK(autograd::gradcheck([&](auto& a, auto& b) { return losses::diou<Reduction::none>(a, b); }, p, g) < 1e-7);
    CHECK(autograd::gradcheck([&](auto& a, auto& b) { return losses::eiou<Reduction::sum>(a, b); }, p, g) < 1e-7);
    Boxes near = p.clone();
    for (Index i = 0; i < near.numel(); ++i) near.mutable_data()[i] += 0.02 * test::wave_at(i, 3);
    CHECK(autograd::gradcheck([&](auto& a, auto& b) { return losses::log_iou<Reduction::none>(a, b); }, p, near) <
          1e-6);
    const auto strided = Boxes(p.storage(), const_cast<double*>(p.data()) + 4, Shape{10, 4}, {8, 1});
    const auto other = some_boxes(10, 0.7);
    CHECK(autograd::gradcheck([&](auto& a) { return losses::diou<Reduction::none>(a, other); }, strided) < 1e-7);
}

TEST_CASE("CIoU: the trade-off is a constant, the options act on the aspect term alone") {
    const auto p = some_boxes(9, 0.1), g = some_boxes(9, 0.7);
    const auto gradient = [&](auto&& loss) {
        auto x = autograd::leaf(p.clone());
        autograd::Tape tape;
        tape.backward(loss(x));
        return autograd::grad(x).clone();
    };
    const auto full = gradient([&](auto& x) { return losses::ciou<Reduction::sum>(x, g); });
    const auto without = gradient([&](auto& x) { return losses::diou<Reduction::sum>(x, g); });
    const auto none = gradient([&](auto& x) { return losses::ciou<Reduction::sum>(x, g, {.alpha_threshold = 2}); });
    const auto stable = gradient([&](auto& x) { return losses::ciou<Reduction::sum>(x, g, {.stable = true}); });
    CHECK(test::max_error(none, without) < 1e-14);
    for (Index i = 0; i < 9; ++i) {
        const double* a = p.data() + 4 * i;
        const double* b = g.data() + 4 * i;
        const double w = a[2] - a[0], h = a[3] - a[1];
        const double angle = std::atan((b[2] - b[0]) / (b[3] - b[1])) - std::atan(w / h);
        const double v = 4 * angle * angle / (M_PI * M_PI), iou = naive(a, b, kernels::BoxMetric::iou, 1e-7);
        const double alpha = v / (1 - iou + v + 1e-7), slope = alpha * 8 / (M_PI * M_PI) * angle;
        const double square = w * w + h * h;
        CHECK(full(i, 2) - without(i, 2) == doctest::Approx(-slope * h / square).epsilon(1e-9));
        CHECK(full(i, 3) - without(i, 3) == doctest::Approx(slope * w / square).epsilon(1e-9));
        CHECK(stable(i, 2) - without(i, 2) == doctest::Approx(-slope * h).epsilon(1e-9));
    }
}

TEST_CASE("box losses: degenerate boxes have finite losses and gradients") {
    const float tiny = 1e-40f;
    const Tensor<float, 2> odd{{3, 3, 3, 3},
                               {2, 2, 8, 2},
                               {0, 0, 0, 5},
                               {5, 5, 1, 1},
                               {0, 0, tiny, tiny},
                               {0, 0, 1, 1},
                               {1e8f, 1e8f, 2e8f, 3e8f},
                               {-5, -5, -4, -4},
                               {0, 0, 0, 0}};
    for (Index i = 0; i < 9; ++i)
        for (Index j = 0; j < 9; ++j) {
            auto p = autograd::leaf(Tensor<float, 2>{{odd(i, 0), odd(i, 1), odd(i, 2), odd(i, 3)}});
            const Tensor<float, 2> g{{odd(j, 0), odd(j, 1), odd(j, 2), odd(j, 3)}};
            autograd::Tape tape;
            const auto loss = losses::ciou<Reduction::sum>(p, g);
            const bool inverted = i == 3 || j == 3;
            CHECK(std::isfinite(loss.item()));
            if (!inverted) CHECK((loss.item() > -1e-5f && loss.item() < 3.0001f));
            tape.backward(loss);
            for (int k = 0; k < 4; ++k) CHECK(!std::isnan(autograd::grad(p)(0, k)));
            if (i < 2) CHECK(losses::iou(p.detach(), g).item() == 1.0f);
        }
}

TEST_CASE("box losses: errors") {
    const Tensor<float, 2> a(Shape{3, 4}), b(Shape{2, 4}), c(Shape{3, 5});
    CHECK(test::message_of<ShapeError>([&] { (void)losses::giou(a, b); }) ==
          "giou: both operands must have as many rows ([3, 4] and [2, 4])");
    CHECK(test::message_of<ShapeError>([&] { (void)losses::iou(c, a); }) ==
          "iou: boxes must have shape [N, 4] but has [3, 5]");
    CHECK(test::message_of<ShapeError>([&] { (void)losses::ciou(a, a, {.weight = Tensor<float, 1>(Shape{2})}); }) ==
          "ciou: weight must have one number for each pair ([2] and [3, 4])");
}
