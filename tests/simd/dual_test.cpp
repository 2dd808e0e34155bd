// Dual numbers: derivatives against central differences of the same lambda in double, and the conventions at kinks.
#include <lamina/simd/dual.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace lamina::simd {
namespace {

template <class V>
double lane(V v) {
    if constexpr (std::is_arithmetic_v<V>) return double(v);
    else return double(v[V::width - 1]);
}

/// Value and both slopes of f at (x, y), on dual numbers over V, against differences on plain doubles.
template <class V, class F>
void check_slopes(F f, double x, double y) {
    using D = Dual<V, 2>;
    const D r = f(D::variable(V(x), 0), D::variable(V(y), 1));
    const double h = 1e-6;
    CAPTURE(x);
    CAPTURE(y);
    CHECK(lane(r.value) == doctest::Approx(f(x, y)).epsilon(1e-12));
    CHECK(lane(r.grad[0]) == doctest::Approx((f(x + h, y) - f(x - h, y)) / (2 * h)).epsilon(1e-7));
    CHECK(lane(r.grad[1]) == doctest::Approx((f(x, y + h) - f(x, y - h)) / (2 * h)).epsilon(1e-7));
}

template <class V>
void check_all() {
    for (double x : {0.3, 0.7, 1.9})
        for (double y : {0.4, 1.1, 2.3}) {
            const auto check = [&](auto f) { check_slopes<V>(f, x, y); };
            check([](auto a, auto b) { return (a + b) * (a - 2.0) / (b + 3.0); });
            check([](auto a, auto b) { return (1.5 - a) * b + 2.0 / b - a / 4.0 + (0.5 + b) * 3.0 - b * 0.25; });
            check([](auto a, auto b) { return -a / b + 7.0; });
            check([](auto a, auto b) { return exp(a * b) + exp2(a - b) + expm1(a) * b; });
            check([](auto a, auto b) { return log(a + b) * log2(a) + log1p(b); });
            check([](auto a, auto b) { return tanh(a * b) + sigmoid(a - b); });
            check([](auto a, auto b) { return erf(a - b) * 2.0 + erfc(a * b); });
            check([](auto a, auto b) { return sin(a + b) * cos(a * b); });
            check([](auto a, auto b) { return atan(a * b) + atan2(a, b) + atan2(a - 1.0, 2.0) + atan2(2.0, b); });
            check([](auto a, auto b) { return pow(a, b) + pow(a, 2.5) + pow(1.7, b); });
            check([](auto a, auto b) { return sqrt(a + b) + rsqrt(a * b) + reciprocal(a) * b; });
            check([](auto a, auto b) { return abs(a - 1.0) * abs(-b); });
            check([](auto a, auto b) { return max(a, b) * min(a, b + 0.05) + max(a, 1.0) + min(b, 1.0); });
            check([](auto a, auto b) { return max(1.0, a) + min(1.0, b) + clamp(a, 0.5, 1.5) * b; });
            check([](auto a, auto b) { return select(a < b, a * b, 3.0 * b) + select(a > 0.5, a, 0.5); });
            check([](auto a, auto b) { return fma(a, b, a) + fma(a, 2.0, b) + fnma(a, b, 1.0) + fms(a, b, b); });
            check([](auto a, auto b) { return copysign(a, -1.0) * b + floor(a) + ceil(b) + round(a) + trunc(b); });
            check([](auto a, auto b) {
                auto sum = a * b;
                sum += a;
                sum -= b * b;
                sum *= a;
                sum /= b;
                return sum;
            });
        }
}

// Dual is written on Vec alone, whose instruction sets have tests of their own.
TEST_CASE_TEMPLATE("dual: slopes equal central differences on vectors", Arch, scalar, native) {
    check_all<Vec<double, Arch>>();
}
TEST_CASE("dual: slopes equal central differences on plain numbers") { check_all<double>(); }

using D = Dual<float, 2>;
D variable(float x, int i) { return D::variable(x, i); }

TEST_CASE("dual: ties of two variables are split, ties with a constant go to the constant") {
    const D a = variable(2, 0), b = variable(2, 1);
    for (const D& r : {max(a, b), min(a, b)}) {
        CHECK(r.value == 2);
        CHECK(r.grad[0] == 0.5f);
        CHECK(r.grad[1] == 0.5f);
    }
    const D zero = variable(0, 0);
    CHECK(max(zero, 0.0f).grad[0] == 0);
    CHECK(max(0.0f, zero).grad[0] == 0);
    CHECK(min(max(variable(6, 0), 0.0f), 6.0f).grad[0] == 0);
    CHECK(max(variable(1e-30f, 0), 0.0f).grad[0] == 1);
}

TEST_CASE("dual: conventions at kinks and ends") {
    for (float end : {-1.0f, 3.0f}) CHECK(clamp(variable(end, 0), -1.0f, 3.0f).grad[0] == 1);
    CHECK(clamp(variable(3.0001f, 0), -1.0f, 3.0f).grad[0] == 0);
    CHECK(abs(variable(0, 0)).grad[0] == 0);
    CHECK(abs(variable(-2, 0)).grad[0] == -1);
    CHECK(sqrt(variable(0, 0)).grad[0] == std::numeric_limits<float>::infinity());
    CHECK(floor(variable(1.5f, 0)).grad[0] == 0);
    CHECK(pow(variable(0, 0), 0.0f).grad[0] == 0);
    CHECK(pow(variable(0, 0), 1.0f).grad[0] == 1);
    CHECK(pow(variable(0, 0), 2.0f).grad[0] == 0);
    CHECK(pow(variable(-3, 0), 3.0f).grad[0] == doctest::Approx(27));
    CHECK(pow(0.0f, variable(2, 0)).grad[0] == 0);
    const D product = detach(variable(3, 0)) * variable(3, 0);
    CHECK(product.value == 9);
    CHECK(product.grad[0] == 3);
}

TEST_CASE("dual: NaN passes through value and slope of the forms that keep it") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(max(0.0f, variable(nan, 0)).value));
    CHECK(max(0.0f, variable(nan, 0)).grad[0] == 1);
    CHECK(std::isnan(clamp(variable(nan, 0), 0.0f, 1.0f).value));
    CHECK(isnan(variable(nan, 1)));
    CHECK_FALSE(isnan(variable(1, 1)));
}

TEST_CASE("dual: a select never lets the branch not taken poison the slope") {
    const D x = variable(0, 0);
    const D r = select(x > 0.0f, sqrt(x) * 2.0f, x * 3.0f);
    CHECK(r.grad[0] == 3);
}

}  // namespace
}  // namespace lamina::simd
