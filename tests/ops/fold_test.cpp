#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/fold.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

struct Case {
    Shape<4> x;
    Size2 kernel;
    UnfoldOptions options;
};
const Case cases[] = {
    {{2, 3, 5, 6}, 3, {.padding = 1}},
    {{1, 2, 9, 20}, {2, 4}, {.dilation = {3, 2}, .padding = {0, 2}, .stride = {2, 3}}},
    {{3, 1, 4, 4}, 4, {}},
    {{1, 2, 6, 7}, 1, {.stride = 3}},
    {{0, 2, 5, 5}, 3, {}},
};

}  // namespace

TEST_CASE("unfold: every column holds the patch at its place") {
    for (const Case& c : cases) {
        const auto x = test::wave<double>(c.x);
        const auto y = unfold(x, c.kernel, c.options);
        const auto& o = c.options;
        const Index wide = (c.x[3] + 2 * o.padding.w - o.dilation.w * (c.kernel.w - 1) - 1) / o.stride.w + 1;
        const Index high = (c.x[2] + 2 * o.padding.h - o.dilation.h * (c.kernel.h - 1) - 1) / o.stride.h + 1;
        REQUIRE(y.shape() == Shape{c.x[0], c.x[1] * c.kernel.h * c.kernel.w, high * wide});
        test::for_each_index(y.shape(), [&](std::array<Index, 3> at) {
            const Index tap = at[1] % (c.kernel.h * c.kernel.w), channel = at[1] / (c.kernel.h * c.kernel.w);
            const Index r = at[2] / wide * o.stride.h - o.padding.h + tap / c.kernel.w * o.dilation.h;
            const Index s = at[2] % wide * o.stride.w - o.padding.w + tap % c.kernel.w * o.dilation.w;
            const bool inside = r >= 0 && s >= 0 && r < c.x[2] && s < c.x[3];
            CHECK(y(at[0], at[1], at[2]) == (inside ? x(at[0], channel, r, s) : 0));
        });
    }
}

TEST_CASE("fold: the adjoint of unfold") {
    for (const Case& c : cases) {
        const auto x = test::wave<double>(c.x);
        const auto u = unfold(x, c.kernel, c.options);
        const auto v = test::wave<double>(u.shape(), 1);
        const auto folded = fold(v, {c.x[2], c.x[3]}, c.kernel, c.options);
        REQUIRE(folded.shape() == c.x);
        double left = 0, right = 0;
        for (Index i = 0; i < u.numel(); ++i) left += u.data()[i] * v.data()[i];
        for (Index i = 0; i < x.numel(); ++i) right += x.data()[i] * folded.data()[i];
        CHECK(left == doctest::Approx(right).epsilon(1e-12));
    }
    const auto ones_in = ones<double>(Shape{1, 4, 4});  // 2x2 patches of a 3x3 image: the middle is covered four times
    const double covered[] = {1, 2, 1, 2, 4, 2, 1, 2, 1};
    const auto y = fold(ones_in, 3, 2);
    for (Index i = 0; i < 9; ++i) CHECK(y.data()[i] == covered[i]);
}

TEST_CASE("unfold and fold: gradients match finite differences") {
    for (const Case& c : cases) {
        if (c.x[0] == 0) continue;
        const auto x = test::wave<double>(c.x);
        const auto there = [&](const auto& t) { return unfold(t, c.kernel, c.options); };
        CHECK(autograd::gradcheck(there, x) < 1e-7);
        const auto back = [&](const auto& t) { return fold(t, {c.x[2], c.x[3]}, c.kernel, c.options); };
        CHECK(autograd::gradcheck(back, there(x)) < 1e-7);
        const auto twice = [&](const auto& t) { return there(back(there(back(t)))); };
        CHECK(autograd::gradcheck(twice, permute(test::wave<double>(Shape{there(x).dim(2), there(x).dim(1), c.x[0]}),
                                                 {2, 1, 0})) < 1e-6);
    }
}

TEST_CASE("Unfold and Fold: layers of the same") {
    const auto x = test::wave<float>(Shape{1, 2, 5, 6});
    const auto columns = nn::Unfold{3, {.padding = 1}}(x);
    CHECK(test::bitwise_equal(columns, unfold(x, 3, {.padding = 1})));
    CHECK(test::bitwise_equal(nn::Fold{{5, 6}, 3, {.padding = 1}}(columns), fold(columns, {5, 6}, 3, {.padding = 1})));
}

TEST_CASE("unfold and fold: each error names the shapes") {
    const auto x = zeros<float>(Shape{1, 2, 5, 5});
    CHECK(test::message_of<ValueError>([&] { unfold(x, 3, {.stride = 0}); }) ==
          "unfold: kernel, dilation and stride must be positive (kernel 3x3, dilation 1x1, stride 0x0)");
    CHECK(test::message_of<ValueError>([&] {
              unfold(x, 3, {.padding = {0, -2}});
          }) == "unfold: padding must not be negative but is 0x-2");
    CHECK(
        test::message_of<ShapeError>([&] {
            unfold(x, {6, 2});
        }) ==
        "unfold: padded images must be at least as large as the kernel (images [1, 2, 5, 5], kernel 6x2, padding 0x0, "
        "dilation 1x1)");
    CHECK(test::message_of<ShapeError>([&] {
              fold(zeros<float>(Shape{1, 10, 9}), 5, 3);
          }) == "fold: rows must be a multiple of the kernel's 9 taps but are 10 (input [1, 10, 9], kernel 3x3)");
    CHECK(test::message_of<ShapeError>([&] {
              fold(zeros<float>(Shape{1, 18, 8}), 5, 3);
          }) == "fold: columns must be 9, one for each place, but are 8 (input [1, 18, 8], size 5x5, kernel 3x3)");
}

TEST_CASE("unfold and fold: golden values and gradients") {
    const auto pair = [](const test::GoldenCase& c, const char* key, Index otherwise) {
        const auto v = c.integers(key);
        return v.empty() ? Size2(otherwise) : v.size() == 1 ? Size2(v[0]) : Size2(v[0], v[1]);
    };
    const auto options_of = [&](const test::GoldenCase& c) {
        return UnfoldOptions{pair(c, "dilation", 1), pair(c, "padding", 0), pair(c, "stride", 1)};
    };
    for (const auto& c : test::golden_cases("ops/unfold")) {
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        autograd::Tape tape;
        const auto y = unfold(x, pair(c, "kernel", 0), options_of(c));
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 3>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
    for (const auto& c : test::golden_cases("ops/fold")) {
        const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
        const auto size = c.integers("output_size");
        autograd::Tape tape;
        const auto y = fold(x, {size[0], size[1]}, pair(c, "kernel", 0), options_of(c));
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}
