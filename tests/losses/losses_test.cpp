#include <lamina/autograd/gradcheck.hpp>
#include <lamina/losses/distance.hpp>
#include <lamina/losses/probability.hpp>
#include <lamina/losses/regression.hpp>
#include <lamina/parallel/for.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using losses::Reduction;

namespace {

/// Compares loss(x, target) and the gradients of both with the case.
template <class F>
void check_loss(const test::GoldenCase& c, F&& loss) {
    auto x = autograd::leaf(c.tensor<float, 2>("in.x"));
    auto target = autograd::leaf(c.tensor<float, 2>("in.target"));
    autograd::Tape tape;
    const auto y = loss(x, target);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    if (c.has("grad.in.target")) test::check_golden_grad(c, "in.target", autograd::grad(target));
}

template <Reduction reduction>
bool check_reduced(const test::GoldenCase& c) {
    const std::string op = c.meta("op");
#define LAMINA_CASE(text, call) \
    if (op == text) return check_loss(c, [&](const auto& x, const auto& y) { return losses::call; }), true;
    LAMINA_CASE("mse", mse<reduction>(x, y))
    LAMINA_CASE("l1", l1<reduction>(x, y))
    LAMINA_CASE("smooth_l1", smooth_l1<reduction>(x, y))
    LAMINA_CASE("smooth_l1_b0.11", smooth_l1<reduction>(x, y, 1 / 9.0f))
    LAMINA_CASE("huber", huber<reduction>(x, y))
    LAMINA_CASE("huber_d0.5", huber<reduction>(x, y, 0.5f))
    LAMINA_CASE("bce", bce<reduction>(x, y))
    LAMINA_CASE("bce_with_logits", bce_with_logits<reduction>(x, y))
    LAMINA_CASE(
        "bce_with_logits_pos_weight",
        bce_with_logits<reduction>(
            x, y, {.weight = c.tensor<float, 2>("in.weight"), .pos_weight = c.tensor<float, 1>("in.pos_weight")}))
    LAMINA_CASE("kl_div", kl_div<reduction>(x, y))
    LAMINA_CASE("kl_div_log_target", kl_div<reduction>(x, y, true))
#undef LAMINA_CASE
    return false;
}

}  // namespace

TEST_CASE("losses: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/loss")) {
        const std::string op = c.meta("op"), reduction = c.meta("reduction");
        if (op == "nll" || op == "triplet_margin_loss" || op == "cosine_similarity") continue;  // below and elsewhere
        bool known = false;
        if (reduction == "mean") known = check_reduced<Reduction::mean>(c);
        if (reduction == "sum") known = check_reduced<Reduction::sum>(c);
        if (reduction == "none") known = check_reduced<Reduction::none>(c);
        if (reduction == "batchmean") known = check_reduced<Reduction::batch_mean>(c);
        CHECK_MESSAGE(known, "no loss for " << c.name());
    }
}

TEST_CASE("cosine_similarity, triplet_margin: golden values and gradients") {
    if (test::golden_root().empty()) return;
    {
        const test::GoldenCase c("ops/loss/cosine_similarity");
        auto a = autograd::leaf(c.tensor<float, 2>("in.a")), b = autograd::leaf(c.tensor<float, 2>("in.b"));
        autograd::Tape tape;
        const auto y = losses::cosine_similarity(a, b);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 1>("r.y"));
        test::check_golden_grad(c, "in.a", autograd::grad(a));
        test::check_golden_grad(c, "in.b", autograd::grad(b));
    }
    const test::GoldenCase c("ops/loss/triplet");
    auto a = autograd::leaf(c.tensor<float, 2>("in.a")), p = autograd::leaf(c.tensor<float, 2>("in.p")),
         n = autograd::leaf(c.tensor<float, 2>("in.n"));
    autograd::Tape tape;
    const auto y = losses::triplet_margin(a, p, n, {.margin = c.number("margin", 1), .eps = c.number("eps", 1e-6)});
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, 0>("r.y"));
    test::check_golden_grad(c, "in.a", autograd::grad(a));
    test::check_golden_grad(c, "in.p", autograd::grad(p));
    test::check_golden_grad(c, "in.n", autograd::grad(n));
}

TEST_CASE("losses: nothing gives NaN as mean and 0 as sum; errors name both shapes") {
    const auto none = zeros<float>(Shape{0, 3});
    CHECK(std::isnan(losses::mse(none, none).item()));
    CHECK(losses::mse<Reduction::sum>(none, none).item() == 0);
    CHECK(std::isnan(losses::bce_with_logits(none, none).item()));
    CHECK(losses::l1<Reduction::none>(none, none).shape() == Shape{0, 3});
    const auto a = zeros<float>(Shape{2, 3});
    CHECK(test::message_of<ShapeError>([&] {
              losses::mse(a, zeros<float>(Shape{3, 2}));
          }) == "mse: input and target must have one shape ([2, 3] and [3, 2])");
    CHECK(test::message_of<ValueError>([&] { losses::huber(a, a, 0); }) == "huber: delta must be positive but is 0");
    CHECK(test::message_of<ValueError>([&] { losses::smooth_l1(a, a, -1); }) ==
          "smooth_l1: beta must not be negative but is -1");
    CHECK(test::message_of<ShapeError>([&] {
              losses::bce(a, a, zeros<float>(Shape{5, 3}));
          }) == "bce: shapes must broadcast but dimension 0 is 2 and 5 ([2, 3] and [5, 3])");
}

TEST_CASE("losses: the ends of their ranges stay finite") {
    CHECK(losses::bce(Tensor<float, 1>{0, 1}, Tensor<float, 1>{1, 0}).item() == 100);
    CHECK(losses::bce_with_logits(Tensor<float, 1>{1000, -1000}, Tensor<float, 1>{1, 0}).item() == 0);
    CHECK(losses::bce_with_logits(Tensor<float, 1>{1000, -1000}, Tensor<float, 1>{0, 1}).item() == 1000);
    CHECK(losses::kl_div(Tensor<float, 1>{-1, -2}, Tensor<float, 1>{0, 0}).item() == 0);
    CHECK(losses::smooth_l1(Tensor<float, 1>{3}, Tensor<float, 1>{1}, 0).item() == 2);
    const auto slope = [](auto loss) {
        auto x = autograd::leaf(Tensor<float, 1>{0});
        autograd::Tape tape;
        tape.backward(loss(x));
        return autograd::grad(x).item();
    };
    CHECK(slope([](const auto& x) { return losses::bce_with_logits(x, Tensor<float, 1>{1}); }) == -0.5f);
    CHECK(slope([](const auto& x) { return losses::smooth_l1(x, Tensor<float, 1>{0}, 0); }) == 0);
    CHECK(slope([](const auto& x) { return losses::l1(x, Tensor<float, 1>{0}); }) == 0);
}

TEST_CASE("losses: gradients match finite differences, also over strided inputs") {
    const auto x = test::wave<double>(Shape{6, 41}), y = test::wave<double>(Shape{6, 41}, 1);
    const Tensor<double, 2> turned(x.storage(), const_cast<double*>(x.data()), Shape{41, 6}, {1, 41});
    const auto z = test::wave<double>(Shape{41, 6}, 1);
    CHECK(autograd::gradcheck([](const auto& a, const auto& b) { return losses::mse(a, b); }, x, y) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& a, const auto& b) { return losses::mse(a, b); }, turned, z) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& a, const auto& b) { return losses::huber(a, b, 0.3); }, x, y) < 1e-7);
    const auto q = map([](auto v) { return sigmoid(v); }, y);
    CHECK(autograd::gradcheck([&](const auto& a) { return losses::bce_with_logits(a, q); }, x) < 1e-7);
    CHECK(autograd::gradcheck([&](const auto& a) { return losses::kl_div<Reduction::batch_mean>(a, q); }, x) < 1e-7);
}

TEST_CASE("losses: a long mean is accurate and has the same bits at any thread count") {
    const int before = parallel::num_threads();
    const Index n = 1000003;
    const auto x = test::wave<float>(Shape{n}), y = zeros<float>(Shape{n});
    double exact = 0;
    for (Index i = 0; i < n; ++i) exact += double(x.data()[i]) * double(x.data()[i]);
    parallel::set_num_threads(1);
    const auto one = losses::mse(x, y);
    parallel::set_num_threads(3);
    CHECK(test::bitwise_equal(one, losses::mse(x, y)));
    parallel::set_num_threads(before);
    CHECK(one.item() == doctest::Approx(exact / double(n)).epsilon(3e-7));
}
