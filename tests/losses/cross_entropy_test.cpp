#include <lamina/autograd/gradcheck.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using losses::Reduction;
using Indices = std::int64_t;

namespace {

/// Compares loss(x) and its gradient with the case.
template <int R, class F>
void check_case(const test::GoldenCase& c, F&& loss) {
    auto x = autograd::leaf(c.tensor<float, R>("in.x"));
    autograd::Tape tape;
    const auto y = loss(x);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
}

/// Terms by the definition, in double.
template <class T>
double naive_term(const kernels::CrossEntropyGeometry& g, const T* x, Index n, Index inner, Index target,
                  double smoothing, const T* weight) {
    const auto at = [&](Index c) { return double(x[(n * g.classes + c) * g.inner + inner]); };
    const auto w = [&](Index c) { return weight ? double(weight[c]) : 1.0; };
    double top = at(0), sum = 0, smooth = 0;
    for (Index c = 0; c < g.classes; ++c) top = std::max(top, at(c));
    for (Index c = 0; c < g.classes; ++c) sum += std::exp(at(c) - top);
    const double lse = top + std::log(sum);
    for (Index c = 0; c < g.classes; ++c) smooth += w(c) * (lse - at(c));
    return (1 - smoothing) * w(target) * (lse - at(target)) + smoothing / double(g.classes) * smooth;
}

}  // namespace

TEST_CASE("cross_entropy: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/cross_entropy")) {
        losses::CrossEntropyOptions<float> o;
        if (c.has("in.weight")) o.weight = c.tensor<float, 1>("in.weight");
        o.ignore_index = c.integer("ignore_index", -100);
        o.label_smoothing = c.number("label_smoothing", 0);
        if (c.any("in.target").dtype() == DType::f32) {
            const auto target = c.tensor<float, 2>("in.target");
            check_case<2>(c, [&](const auto& x) { return losses::cross_entropy(x, target, o); });
        } else if (c.rank("in.x") == 4) {
            const auto target = c.tensor<Indices, 3>("in.target");
            check_case<4>(c, [&](const auto& x) { return losses::cross_entropy<Reduction::none>(x, target, o); });
        } else {
            const auto target = c.tensor<Indices, 1>("in.target");
            check_case<2>(c, [&](const auto& x) { return losses::cross_entropy(x, target, o); });
        }
    }
}

TEST_CASE("nll: golden values and gradients") {
    if (test::golden_root().empty()) return;
    const test::GoldenCase none("ops/loss/nll_none"), mean("ops/loss/nll_mean"), sum("ops/loss/nll_sum");
    check_case<2>(none,
                  [&](const auto& x) { return losses::nll<Reduction::none>(x, none.tensor<Indices, 1>("in.target")); });
    check_case<2>(mean, [&](const auto& x) { return losses::nll(x, mean.tensor<Indices, 1>("in.target")); });
    check_case<2>(sum,
                  [&](const auto& x) { return losses::nll<Reduction::sum>(x, sum.tensor<Indices, 1>("in.target")); });
}

TEST_CASE("cross_entropy: values of the specification") {
    const Tensor<float, 1> x{2, -1, 0.5f};
    const Tensor<Indices, 0> zero(0);
    CHECK(losses::cross_entropy(x, zero).item() == doctest::Approx(0.2413113));
    CHECK(losses::cross_entropy(x, zero, {.label_smoothing = 0.1}).item() == doctest::Approx(0.3913113));
    CHECK(losses::cross_entropy(Tensor<float, 2>{{2, -1, 0.5f}, {0, 1, 2}}, {0, 2},
                                {.weight = Tensor<float, 1>{1, 1, 0.1f}})
              .item() == doctest::Approx(0.25642899));
}

TEST_CASE_TEMPLATE("cross_entropy_forward: every ISA agrees with the definition in both layouts", Arch,
                   LAMINA_TEST_ARCHS) {
    for (Index inner : {1, 2, 17, 130})
        for (Index classes : {1, 3, 16, 17, 33, 2100}) {
            if (inner > 1 && classes > 33) continue;
            const kernels::CrossEntropyGeometry g{3, classes, inner};
            const auto x = test::wave<float>(Shape{3, classes, inner}) * 5.0f;
            const auto w = abs(test::wave<float>(Shape{classes}, 2));
            auto target = empty<Indices>(Shape{3, inner});
            for (Index i = 0; i < target.numel(); ++i) target.mutable_data()[i] = i * 7 % classes;
            auto loss = empty<float>(Shape{3, inner}), top = empty<float>(Shape{3, inner}),
                 log_sum = empty<float>(Shape{3, inner}), mass = empty<float>(Shape{3, inner});
            for (const float smoothing : {0.0f, 0.2f})
                for (const float* weight : {static_cast<const float*>(nullptr), w.data()}) {
                    const kernels::CrossEntropyTarget<float> t{target.data(), nullptr, weight, -100, smoothing};
                    kernels::cross_entropy_forward<Arch>(
                        g, t, x.data(), loss.mutable_data(),
                        {top.mutable_data(), log_sum.mutable_data(), mass.mutable_data()});
                    double error = 0;
                    for (Index n = 0; n < 3; ++n)
                        for (Index i = 0; i < inner; ++i)
                            error = std::max(error,
                                             std::abs(double(loss(n, i)) - naive_term(g, x.data(), n, i, target(n, i),
                                                                                      double(smoothing), weight)));
                    CHECK(error < 3e-5);
                }
        }
}

TEST_CASE("cross_entropy: gradients match finite differences") {
    const auto x = test::wave<double>(Shape{5, 19});
    const auto w = map([](auto v) { return abs(v) + 0.1; }, test::wave<double>(Shape{19}, 1));
    const Tensor<Indices, 1> target{3, 18, -100, 0, 7};
    const auto p = map([](auto v) { return v * v; }, test::wave<double>(Shape{5, 19}, 2));
    CHECK(autograd::gradcheck(
              [&](const auto& t) { return losses::cross_entropy(t, target, {.weight = w, .label_smoothing = 0.1}); },
              x) < 1e-7);
    CHECK(autograd::gradcheck(
              [&](const auto& t) {
                  return losses::cross_entropy<Reduction::none>(t, p, {.weight = w, .label_smoothing = 0.1});
              },
              x) < 1e-7);
    const auto planes = test::wave<double>(Shape{2, 3, 2, 5});
    auto labels = empty<Indices>(Shape{2, 2, 5});
    for (Index i = 0; i < 20; ++i) labels.mutable_data()[i] = i % 4 == 3 ? -100 : i % 3;
    CHECK(autograd::gradcheck(
              [&](const auto& t) { return losses::cross_entropy<Reduction::sum>(t, labels, {.label_smoothing = 0.2}); },
              planes) < 1e-7);
    const Tensor<double, 2> turned(x.storage(), const_cast<double*>(x.data()), Shape{19, 5}, {1, 19});
    auto many = empty<Indices>(Shape{19});
    for (Index i = 0; i < 19; ++i) many.mutable_data()[i] = i % 5;
    CHECK(autograd::gradcheck([&](const auto& t) { return losses::cross_entropy(t, many); }, turned) < 1e-7);
}

TEST_CASE("cross_entropy: a gradient adds to what is there, ignored rows add nothing, large outputs too") {
    auto x = autograd::leaf(test::wave<float>(Shape{600, 2048}));
    auto target = zeros<Indices>(Shape{600});
    target.mutable_data()[1] = -100;
    for (int pass = 1; pass <= 2; ++pass) {
        autograd::Tape tape;
        tape.backward(losses::cross_entropy<Reduction::sum>(x, target));
        const auto dx = autograd::grad(x);
        double error = 0, ignored = 0;
        for (Index r = 0; r < 600; ++r) {
            double sum = 0;
            for (Index c = 0; c < 2048; ++c) {
                sum += double(dx(r, c));
                if (r == 1) ignored = std::max(ignored, std::abs(double(dx(r, c))));
            }
            error = std::max(error, std::abs(sum));
        }
        CHECK(error < 1e-5);
        CHECK(ignored == 0);
        CHECK(double(dx(5, 0)) == doctest::Approx(pass * (std::exp(-naive_term({600, 2048, 1}, x.data(), 5, 0, 0, 0,
                                                                               static_cast<const float*>(nullptr))) -
                                                          1)));
    }
}

TEST_CASE("cross_entropy: small losses of large logits keep their digits") {
    // A class that leads by 8: in float, 1000 + log(1 + 2 e^-8) would keep none of the digits of the loss.
    const double others = 2 * std::exp(-8.0), loss = std::log1p(others), share = std::exp(-8.0) / (1 + others);
    for (const float level : {0.0f, 1000.0f, -300.0f}) {
        auto rows = autograd::leaf(Tensor<float, 2>{{level + 8, level, level}});
        auto planes = autograd::leaf(Tensor<float, 3>{{{level, level}, {level + 8, level}, {level, level + 8}}});
        const auto soft = Tensor<float, 2>{{1, 0, 0}};
        autograd::Tape tape;
        const auto hard = losses::cross_entropy(rows, {0});
        CHECK(double(hard.item()) == doctest::Approx(loss).epsilon(3e-4));
        CHECK(double(losses::cross_entropy(rows, soft).item()) == doctest::Approx(loss).epsilon(3e-4));
        CHECK(double(losses::cross_entropy(planes, Tensor<Indices, 2>{{1, 2}}).item()) ==
              doctest::Approx(loss).epsilon(3e-4));
        // Smoothing 0.3 shares 0.1 with each class: 0.2 of the target is 8 below the top.
        CHECK(double(losses::cross_entropy(rows, {0}, {.label_smoothing = 0.3}).item()) ==
              doctest::Approx(loss + 1.6).epsilon(1e-6));
        tape.backward(hard);
        CHECK(double(autograd::grad(rows)(0, 1)) == doctest::Approx(share).epsilon(1e-6));
    }
    // The largest logit comes in a later chunk than the first.
    auto x = full<double>(Shape{1, 5000}, 1000.0);
    x.mutable_at(0, 4000) = 1010;
    double sum = 0;
    for (int c = 0; c < 5000; ++c) sum += c == 4000 ? 1 : std::exp(-10.0);
    const auto even = full<double>(Shape{1, 5000}, 1 / 5000.0);
    CHECK(losses::cross_entropy(x, even).item() == doctest::Approx(std::log(sum) + 10 * 4999 / 5000.0).epsilon(1e-13));
}

TEST_CASE("cross_entropy: infinities, empty input, all ignored") {
    constexpr float inf = std::numeric_limits<float>::infinity();
    CHECK(losses::cross_entropy(Tensor<float, 2>{{-inf, 0}}, {1}).item() == 0);
    CHECK(losses::cross_entropy(Tensor<float, 2>{{-inf, 0}}, {0}).item() == inf);
    CHECK(std::isnan(losses::cross_entropy(Tensor<float, 2>{{-inf, -inf}}, {0}).item()));
    CHECK(std::isnan(losses::cross_entropy(Tensor<float, 2>{{inf, 0}}, {0}).item()));
    CHECK(std::isnan(losses::cross_entropy(zeros<float>(Shape{0, 3}), zeros<Indices>(Shape{0})).item()));
    CHECK(std::isnan(losses::cross_entropy(Tensor<float, 2>{{1, 2}}, {-100}).item()));
    CHECK(losses::cross_entropy<Reduction::sum>(Tensor<float, 2>{{1, 2}}, {-100}).item() == 0);
}

TEST_CASE("cross_entropy, nll: errors") {
    const auto x = zeros<float>(Shape{2, 3});
    CHECK(test::message_of<ValueError>([&] {
              losses::cross_entropy(x, {0, 3});
          }) == "cross_entropy: targets must lie in [0, 2] but element 1 is 3");
    CHECK(test::message_of<ValueError>([&] {
              losses::nll(x, {-1, 0});
          }) == "nll: targets must lie in [0, 2] but element 0 is -1");
    CHECK(test::message_of<ShapeError>([&] { losses::cross_entropy(x, zeros<Indices>(Shape{3})); }) ==
          "cross_entropy: target must have shape [2] but has [3] (input [2, 3])");
    CHECK(test::message_of<ShapeError>([&] {
              losses::cross_entropy(x, {0, 0}, {.weight = ones<float>(Shape{2})});
          }) == "cross_entropy: weight must have 3 elements but has 2 (input [2, 3])");
    CHECK(test::message_of<ValueError>([&] {
              losses::cross_entropy(x, {0, 0}, {.label_smoothing = 1.5});
          }) == "cross_entropy: label_smoothing must lie in [0, 1] but is 1.5");
}
