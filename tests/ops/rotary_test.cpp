// Rotary positions: golden vectors, every instruction set, distances, norms, gradients, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/core/view.hpp>
#include <lamina/ops/rotary.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("rotary: golden vectors") {
    const auto check = [](const test::GoldenCase& c, const RotaryOptions& options) {
        const auto run = [&]<int R>(std::integral_constant<int, R>) {
            auto x = autograd::leaf(c.tensor<float, R>("in.x"));
            autograd::Tape tape;
            const auto y = rotary(x, options);
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, R>("r.y"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
        };
        if (c.rank("in.x") == 3) run(std::integral_constant<int, 3>{});
        else run(std::integral_constant<int, 4>{});
    };
    for (const auto& c : test::golden_cases("gau/rotary_interleaved"))
        check(c, {.width = c.integer("dim", 0), .base = c.number("theta", 10000), .offset = c.integer("offset", 0)});
    for (const auto& c : test::golden_cases("gau/rotary_halves")) check(c, {.pairs = RotaryPairs::halves});
}

TEST_CASE_TEMPLATE("rotary: every instruction set agrees with the definition", Arch, LAMINA_TEST_ARCHS) {
    for (Index pairs : {0, 1, 3, 4, 7, 8, 9, 16, 17, 33})
        for (bool halves : {false, true}) {
            const kernels::RotaryGeometry g{2, 5, 2, 2 * pairs + 3, pairs, halves};
            const auto x = test::wave<float>(Shape{2, 5, 2, g.width});
            auto frequencies = empty<double>(Shape{pairs});
            for (Index i = 0; i < pairs; ++i) frequencies.mutable_data()[i] = 1.0 / double(i + 1);
            auto c = empty<float>(Shape{Index(5), pairs}), s = empty<float>(Shape{Index(5), pairs});
            auto y = full<float>(x.shape(), 1.0f);
            kernels::rotary_table<Arch>(5, pairs, 7, frequencies.data(), c.mutable_data(), s.mutable_data());
            kernels::rotary<Arch>(g, c.data(), s.data(), x.data(), y.mutable_data(), false, true);
            double worst = 0;
            test::for_each_index(Shape{2, 5, 2}, [&](const auto& at) {
                for (Index i = 0; i < pairs; ++i) {
                    const double angle = double(7 + at[1]) / double(i + 1);
                    const Index i0 = halves ? i : 2 * i, i1 = halves ? i + pairs : 2 * i + 1;
                    const double a = double(x(at[0], at[1], at[2], i0)), b = double(x(at[0], at[1], at[2], i1));
                    const double first = a * std::cos(angle) - b * std::sin(angle) + 1,
                                 second = a * std::sin(angle) + b * std::cos(angle) + 1;
                    worst = std::max(worst, test::error_of(double(y(at[0], at[1], at[2], i0)), first));
                    worst = std::max(worst, test::error_of(double(y(at[0], at[1], at[2], i1)), second));
                }
                for (Index i = 2 * pairs; i < g.width; ++i)
                    worst = std::max(worst, test::error_of(double(y(at[0], at[1], at[2], i)),
                                                           double(x(at[0], at[1], at[2], i)) + 1));
            });
            REQUIRE(worst < 3e-7);
        }
}

TEST_CASE("rotary: products depend on distances, norms stay, late positions are exact") {
    for (RotaryPairs pairs : {RotaryPairs::interleaved, RotaryPairs::halves}) {
        const auto q = test::wave<double>(Shape{1, 8}), k = test::wave<double>(Shape{1, 8}, 2);
        const auto at = [&](const Tensor<double, 2>& x, Index p) { return rotary(x, {.pairs = pairs, .offset = p}); };
        const auto dot = [](const auto& a, const auto& b) {
            double sum = 0;
            for (Index i = 0; i < 8; ++i) sum += a(0, i) * b(0, i);
            return sum;
        };
        CHECK(std::abs(dot(at(q, 5), at(k, 2)) - dot(at(q, 100003), at(k, 100000))) < 1e-10);
        CHECK(std::abs(dot(at(q, 5), at(k, 2)) - dot(at(q, 6), at(k, 2))) > 1e-3);
        CHECK(std::abs(dot(at(q, 9), at(q, 9)) - dot(q, q)) < 1e-14);
    }
    const auto x = test::wave<double>(Shape{2, 5, 3, 6});
    const RotaryOptions options{.width = 4, .sequence_dim = -3};
    CHECK(test::max_error(rotary(x, options), view::transpose(rotary(view::transpose(x, 1, 2), {.width = 4}), 1, 2)) ==
          0);
    CHECK(autograd::gradcheck([&](const auto& t) { return rotary(t, options); }, x) < 1e-7);
    CHECK(autograd::gradcheck([](const auto& t) { return rotary(t, {.pairs = RotaryPairs::halves}); },
                              view::transpose(x, 1, 2)) < 1e-7);
}

TEST_CASE("rotary: errors") {
    const auto x = zeros<float>(Shape{2, 5});
    CHECK(test::message_of<ValueError>([&] { rotary(x); }) == "rotary: width must be even and at most 5 but is 5");
    CHECK(test::message_of<ValueError>([&] { rotary(x, {.width = 6}); }) ==
          "rotary: width must be even and at most 5 but is 6");
    CHECK(test::message_of<ValueError>([&] { rotary(x, {.width = 4, .sequence_dim = -1}); }) ==
          "rotary: sequence_dim must lie before the features but is 1");
}
