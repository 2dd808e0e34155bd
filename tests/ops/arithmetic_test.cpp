#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/comparison.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Calls f(op) for the binary op a golden case names.
template <class F>
bool with_binary(const std::string& name, F&& f) {
#define LAMINA_CASE(text, call) \
    if (name == text) return f([](const auto& a, const auto& b) { return call; }), true;
    LAMINA_CASE("add", a + b)
    LAMINA_CASE("sub", a - b)
    LAMINA_CASE("mul", a * b)
    LAMINA_CASE("div", a / b)
    LAMINA_CASE("maximum", maximum(a, b))
    LAMINA_CASE("minimum", minimum(a, b))
    LAMINA_CASE("atan2", atan2(a, b))
    LAMINA_CASE("pow", pow(abs(a) + 0.1f, b))
    LAMINA_CASE("fmod", fmod(a, b))
    LAMINA_CASE("remainder", remainder(a, b))
    LAMINA_CASE("where", where(a > b, 2 * a, 3 * b))
#undef LAMINA_CASE
    return false;
}

template <int A, int B>
void check_case(const test::GoldenCase& c) {
    const bool known = with_binary(c.meta("op"), [&](auto op) {
        auto a = autograd::leaf(c.tensor<float, A>("in.a"));
        auto b = autograd::leaf(c.tensor<float, B>("in.b"));
        autograd::Tape tape;
        const auto y = op(a, b);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
        test::check_golden_grad(c, "in.a", autograd::grad(a));
        if (c.has("grad.in.b")) test::check_golden_grad(c, "in.b", autograd::grad(b));
    });
    CHECK_MESSAGE(known, "no op for " << c.name());
}

}  // namespace

TEST_CASE("arithmetic: golden values and gradients of broadcast operands") {
    for (const auto& c : test::golden_cases("ops/broadcast")) {
        const int a = c.rank("in.a"), b = c.rank("in.b");
        if (a == 2 && b == 2) check_case<2, 2>(c);
        else if (a == 2 && b == 1) check_case<2, 1>(c);
        else if (a == 3 && b == 3) check_case<3, 3>(c);
        else if (a == 3 && b == 2) check_case<3, 2>(c);
        else if (a == 3 && b == 1) check_case<3, 1>(c);
        else FAIL_CHECK("ranks " << a << " and " << b << " of " << c.name());
    }
}

TEST_CASE("arithmetic: numbers on either side") {
    const Tensor<float, 1> x{1, 2, 4};
    CHECK(test::bitwise_equal(x + 1, Tensor<float, 1>{2, 3, 5}));
    CHECK(test::bitwise_equal(1 - x, Tensor<float, 1>{0, -1, -3}));
    CHECK(test::bitwise_equal(x - 1, Tensor<float, 1>{0, 1, 3}));
    CHECK(test::bitwise_equal(2.5 * x, Tensor<float, 1>{2.5f, 5, 10}));
    CHECK(test::bitwise_equal(x / 2, Tensor<float, 1>{0.5f, 1, 2}));
    CHECK(test::bitwise_equal(4 / x, Tensor<float, 1>{4, 2, 1}));
    CHECK(test::bitwise_equal(-x, Tensor<float, 1>{-1, -2, -4}));
    CHECK(test::bitwise_equal(pow(x, 2), Tensor<float, 1>{1, 4, 16}));
    CHECK(test::bitwise_equal(pow(x, 0.5), Tensor<float, 1>{1, std::sqrt(2.0f), 2}));
    CHECK(test::max_error(pow(2, x), Tensor<float, 1>{2, 4, 16}) < 1e-5);
    CHECK(test::bitwise_equal(maximum(x, 2), Tensor<float, 1>{2, 2, 4}));
    const auto c = test::wave<double>(Shape{9});
    CHECK(autograd::gradcheck(
              [](const auto& t) { return 3 / (2 - t * 0.5) - (1 - t) / 4 + pow(t + 2, 1.5) + pow(2.0, t); }, c) < 1e-7);
}

TEST_CASE("arithmetic: integers wrap, divide by the stated rounding, and refuse a divisor of 0") {
    using I = std::int64_t;
    const Tensor<I, 1> a{0, 1, 2, 3, 4};
    CHECK(test::bitwise_equal(floor_divide(a, -2), Tensor<I, 1>{0, -1, -1, -2, -2}));
    CHECK(test::bitwise_equal(div(a, full<I>(Shape<0>{}, -2), Rounding::trunc), Tensor<I, 1>{0, 0, -1, -1, -2}));
    CHECK(test::bitwise_equal(a / 2, Tensor<float, 1>{0, 0.5f, 1, 1.5f, 2}));
    CHECK(remainder(Tensor<I, 1>{-5}, 3).item() == 1);
    CHECK(fmod(Tensor<I, 1>{-5}, 3).item() == -2);
    CHECK(remainder(Tensor<float, 1>{-5}, 3).item() == 1);
    CHECK(fmod(Tensor<float, 1>{-5}, 3).item() == -2);
    CHECK(floor_divide(Tensor<float, 1>{-5}, 3).item() == -2);
    CHECK(test::bitwise_equal(Tensor<std::uint8_t, 1>{1, 2, 3} - Tensor<std::uint8_t, 1>{2},
                              Tensor<std::uint8_t, 1>{255, 0, 1}));
    constexpr auto lowest = std::numeric_limits<I>::min(), highest = std::numeric_limits<I>::max();
    CHECK((Tensor<I, 1>{highest} + 1).item() == lowest);
    CHECK((-Tensor<I, 1>{lowest}).item() == lowest);
    CHECK(div(Tensor<I, 1>{lowest}, Tensor<I, 1>{-1}, Rounding::trunc).item() == lowest);
    CHECK(fmod(Tensor<I, 1>{lowest}, -1).item() == 0);
    CHECK(pow(Tensor<std::int32_t, 1>{-3}, 3).item() == -27);
    CHECK(test::message_of<ValueError>([&] { floor_divide(a, a); }) ==
          "floor_divide: integer divisor must not be 0 (shape [5])");
    CHECK(test::message_of<ValueError>([&] { pow(a, -1); }) ==
          "pow: exponent of integers must not be negative but is -1");
}

TEST_CASE("arithmetic: real remainders are exact where the quotient is large") {
    const Tensor<float, 1> a{1e20f, -7.5f, 5.5f, -5.5f}, b{3, 2, -2, 2};
    const auto r = fmod(a, b), m = remainder(a, b), q = floor_divide(a, b);
    for (Index i = 0; i < 4; ++i) {
        const double exact = std::fmod(double(a(i)), double(b(i)));
        CHECK(double(r(i)) == exact);
        CHECK(double(m(i)) == (exact != 0 && (exact < 0) != (b(i) < 0) ? exact + double(b(i)) : exact));
        if (i > 0) CHECK(double(q(i)) == std::floor(double(a(i)) / double(b(i))));
    }
}

TEST_CASE("arithmetic: NaN in maximum, minimum, fmax and fmin; ties split the gradient") {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, 1> a{nan, 1, nan}, b{2, nan, nan};
    CHECK(test::max_error(maximum(a, b), Tensor<float, 1>{nan, nan, nan}) == 0);
    CHECK(test::max_error(minimum(a, b), Tensor<float, 1>{nan, nan, nan}) == 0);
    CHECK(test::max_error(fmax(a, b), Tensor<float, 1>{2, 1, nan}) == 0);
    CHECK(test::max_error(fmin(a, b), Tensor<float, 1>{2, 1, nan}) == 0);
    auto x = autograd::leaf(Tensor<float, 1>{3}), y = autograd::leaf(Tensor<float, 1>{3});
    autograd::Tape tape;
    tape.backward(maximum(x, y));
    CHECK(autograd::grad(x).item() == 0.5f);
    CHECK(autograd::grad(y).item() == 0.5f);
}

TEST_CASE("arithmetic: gradients match finite differences") {
    const auto a = test::wave<double>(Shape{2, 3, 4});
    const auto b = test::wave<double>(Shape{3, 1}, 1);
    CHECK(autograd::gradcheck([](const auto& x, const auto& y) { return hypot(x, y); }, a, b) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& x, const auto& y) { return lerp(x, y, 0.3); }, a, b) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& x, const auto& y, const auto& w) { return lerp(x, y, w); }, a, b,
                              test::wave<double>(Shape{4}, 2)) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& x, const auto& y) { return addcmul(x, y, y, 0.5); }, a, b) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& x, const auto& y) { return x * x + y * x; }, a, b) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& x, const auto& y) { return where(x > y, x * y, y); }, a, b) < 1e-7);
}

TEST_CASE("arithmetic: in place") {
    Tensor<float, 2> x{{1, 2}, {3, 4}};
    x += Tensor<float, 1>{10, 20};
    x *= 2;
    sub_(x, 1);
    CHECK(test::bitwise_equal(x, Tensor<float, 2>{{21, 43}, {25, 47}}));
    const auto itself = x;
    x /= itself;
    CHECK(test::bitwise_equal(x, ones<float>(Shape{2, 2})));
    Tensor<std::int32_t, 1> i{7, -7};
    i /= 2;
    CHECK(test::bitwise_equal(i, Tensor<std::int32_t, 1>{3, -3}));

    // A source that overlaps the target is read as it was before.
    auto all = arange<float>(6);
    const Tensor<float, 1> head(all.storage(), all.mutable_data(), Shape{5}, {1});
    Tensor<float, 1> tail(all.storage(), all.mutable_data() + 1, Shape{5}, {1});
    tail += head;
    CHECK(test::bitwise_equal(all, Tensor<float, 1>{0, 1, 3, 5, 7, 9}));

    CHECK(test::message_of<ShapeError>([&] {
              add_(Tensor<float, 1>{1, 2}, ones<float>(Shape{3, 2}));
          }) == "add_: operands must broadcast to the shape of the tensor ([2], broadcast [3, 2])");
    auto w = autograd::leaf(Tensor<float, 1>{1, 2});
    add_(w, 1);
    CHECK(w(1) == 3);
    autograd::Tape tape;
    CHECK(test::message_of<GradError>([&] { add_(w, 1); }) ==
          "add_: a tensor cannot be changed in place while a tape records it or an operand (shape [2])");
}

TEST_CASE("arithmetic: shapes that do not broadcast") {
    CHECK(test::message_of<ShapeError>([] {
              ones<float>(Shape{2, 3}) + ones<float>(Shape{2});
          }) == "add: shapes must broadcast but dimension 1 is 3 and 2 ([2, 3] and [2])");
    CHECK((ones<float>(Shape{3, 1}) + ones<float>(Shape{1, 0})).shape() == Shape{3, 0});
}

TEST_CASE("comparisons, logic and selection") {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, 1> a{1, 2, nan}, b{2, 2, 2};
    using Bools = Tensor<bool, 1>;
    CHECK(test::bitwise_equal(eq(a, b), Bools{false, true, false}));
    CHECK(test::bitwise_equal(ne(a, b), Bools{true, false, true}));
    CHECK(test::bitwise_equal(a < b, Bools{true, false, false}));
    CHECK(test::bitwise_equal(a <= 2, Bools{true, true, false}));
    CHECK(test::bitwise_equal(a > 1, Bools{false, true, false}));
    CHECK(test::bitwise_equal(a >= b, Bools{false, true, false}));
    CHECK(test::bitwise_equal(isnan(a), Bools{false, false, true}));
    CHECK(test::bitwise_equal(isfinite(Tensor<float, 1>{1, 1 / 0.0f, nan}), Bools{true, false, false}));
    CHECK(test::bitwise_equal(isinf(Tensor<float, 1>{1, -1 / 0.0f, nan}), Bools{false, true, false}));
    CHECK(test::bitwise_equal((!(a < b)) & (b > 0), Bools{false, true, true}));
    CHECK(test::bitwise_equal(logical_xor(Tensor<float, 1>{0, 1, nan}, b), Bools{true, false, false}));
    CHECK(test::bitwise_equal(where(a < b, a, 0), Tensor<float, 1>{1, 0, 0}));
    CHECK(test::bitwise_equal(where(Bools{true, false}, Tensor<std::int64_t, 1>{1, 2}, Tensor<std::int64_t, 1>{3, 4}),
                              Tensor<std::int64_t, 1>{1, 4}));
    CHECK(test::bitwise_equal(bitwise_and(Tensor<std::int32_t, 1>{6}, Tensor<std::int32_t, 1>{3}),
                              Tensor<std::int32_t, 1>{2}));
    for (Index n : {0, 1, 63, 64, 65, 129}) {
        const auto x = test::wave<std::int32_t>(Shape{n}), y = test::wave<std::int32_t>(Shape{n}, 1);
        const auto less = x < y;
        bool right = true;
        for (Index i = 0; i < n; ++i) right = right && less(i) == (x(i) < y(i));
        CHECK(right);
    }
}

TEST_CASE("to: real to integer truncates and saturates, NaN is 0; the gradient passes between real types") {
    constexpr float inf = std::numeric_limits<float>::infinity();
    const Tensor<float, 1> x{3.7f, -3.7f, 300, -inf, inf, inf - inf};
    CHECK(test::bitwise_equal(to<std::int32_t>(x), Tensor<std::int32_t, 1>{3, -3, 300, std::numeric_limits<int>::min(),
                                                                           std::numeric_limits<int>::max(), 0}));
    CHECK(test::bitwise_equal(to<std::uint8_t>(x), Tensor<std::uint8_t, 1>{3, 0, 255, 0, 255, 0}));
    CHECK(to<std::int64_t>(Tensor<double, 1>{9.3e18}).item() == std::numeric_limits<std::int64_t>::max());
    CHECK(test::bitwise_equal(to<bool>(Tensor<float, 1>{0, -0.0f, 0.5f}), Tensor<bool, 1>{false, false, true}));
    CHECK(to<float>(to<bfloat16>(Tensor<float, 1>{1.5f})).item() == 1.5f);
    CHECK(to<float>(to<half>(Tensor<float, 1>{-0.25f})).item() == -0.25f);
    auto w = autograd::leaf(Tensor<float, 1>{1, 2});
    autograd::Tape tape;
    const auto y = to<double>(w) * 3;
    tape.backward(y, ones<double>(Shape{2}));
    CHECK(test::bitwise_equal(autograd::grad(w), Tensor<float, 1>{3, 3}));
}
