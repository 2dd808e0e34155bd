#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/conv_transpose.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Every product of the definition, added where it belongs.
Tensor<double, 4> naive(const Tensor<double, 4>& x, const Tensor<double, 4>& w, const Tensor<double, 1>& b,
                        const ConvTranspose2dOptions& o) {
    const auto g = conv_transpose2d_geometry(x.shape(), w.shape(), o);
    auto y = zeros<double>(Shape{g.batch, g.in_channels, g.in_h, g.in_w});
    test::for_each_index(y.shape(), [&](std::array<Index, 4> at) {
        if (b.defined()) y.mutable_at(at[0], at[1], at[2], at[3]) = b(at[1]);
    });
    test::for_each_index(x.shape(), [&](std::array<Index, 4> at) {
        const Index group = at[1] / (x.dim(1) / o.groups);
        for (Index c = 0; c < w.dim(1); ++c)
            for (Index i = 0; i < w.dim(2); ++i)
                for (Index j = 0; j < w.dim(3); ++j) {
                    const Index r = at[2] * o.stride.h - o.padding.h.before + i * o.dilation.h;
                    const Index s = at[3] * o.stride.w - o.padding.w.before + j * o.dilation.w;
                    if (r >= 0 && s >= 0 && r < y.dim(2) && s < y.dim(3))
                        y.mutable_at(at[0], group * w.dim(1) + c, r, s) +=
                            x(at[0], at[1], at[2], at[3]) * w(at[1], c, i, j);
                }
    });
    return y;
}

struct Case {
    const char* name;
    Shape<4> x, w;
    ConvTranspose2dOptions options;
};
const Case cases[] = {
    {"4x4 stride 2", {2, 3, 4, 5}, {3, 4, 4, 4}, {.stride = 2, .padding = 1}},
    {"output padding", {1, 3, 4, 3}, {3, 2, 3, 3}, {.stride = 2, .padding = 1, .output_padding = {1, 0}}},
    {"groups and dilation", {1, 4, 3, 4}, {4, 3, 2, 3}, {.stride = {2, 3}, .groups = 2, .dilation = {3, 2}}},
    {"depthwise", {2, 3, 4, 4}, {3, 1, 4, 4}, {.stride = 2, .padding = 1, .groups = 3}},
    {"output size", {1, 2, 3, 4}, {2, 2, 3, 3}, {.stride = 3, .padding = 1, .output_size = {9, 10}}},
    {"uneven padding", {1, 2, 3, 4}, {2, 2, 3, 3}, {.stride = 2, .padding = {{0, 1}, {2, 0}}}},
    {"stride beyond the kernel", {1, 2, 3, 3}, {2, 2, 1, 2}, {.stride = 3}},
    {"dilation beyond the stride", {1, 2, 4, 4}, {2, 2, 2, 2}, {.output_padding = 1, .dilation = 2}},
    {"stride 1", {2, 2, 4, 3}, {2, 3, 3, 3}, {.padding = 1}},
};

}  // namespace

TEST_CASE("conv_transpose2d: the worked example") {
    const auto x = from_span<double>(Shape{1, 1, 2, 2}, std::vector<double>{1, 2, 3, 4});
    const auto w = from_span<double>(Shape{1, 1, 3, 3}, std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9});
    const auto y = conv_transpose2d(x, w, {}, {.stride = 2, .padding = 1, .output_padding = 1});
    const double expected[] = {5, 14, 10, 12, 14, 36, 24, 30, 15, 34, 20, 24, 24, 55, 32, 36};
    REQUIRE(y.shape() == Shape{1, 1, 4, 4});
    for (Index i = 0; i < 16; ++i) CHECK(y.data()[i] == expected[i]);
}

TEST_CASE("conv_transpose2d: agrees with the definition") {
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto x = test::wave<double>(c.x), w = test::wave<double>(c.w, 1);
        const auto b = test::wave<double>(Shape{c.w[1] * c.options.groups}, 2);
        CHECK(test::max_error(conv_transpose2d(x, w, b, c.options), naive(x, w, b, c.options)) < 1e-13);
        CHECK(test::max_error(conv_transpose2d(x, w, {}, c.options), naive(x, w, {}, c.options)) < 1e-13);
    }
}

TEST_CASE("conv_transpose2d: gradients match finite differences") {
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto f = [&](const auto& x, const auto& w, const auto& b) {
            return conv_transpose2d(x, w, b, c.options);
        };
        CHECK(autograd::gradcheck(f, test::wave<double>(c.x), test::wave<double>(c.w, 1),
                                  test::wave<double>(Shape{c.w[1] * c.options.groups}, 2)) < 1e-7);
    }
    const auto strided = permute(test::wave<double>(Shape{4, 3, 3, 2}), {3, 2, 0, 1});
    const auto twice = [](const auto& x, const auto& w) {
        return conv_transpose2d(conv_transpose2d(x, w, {}, {.stride = 2}), w);
    };
    CHECK(autograd::gradcheck(twice, strided, permute(test::wave<double>(Shape{2, 2, 3, 3}), {3, 2, 1, 0})) < 1e-7);
}

TEST_CASE("conv_transpose1d: agrees with the definition and has its gradients") {
    const auto x = test::wave<double>(Shape{2, 3, 5}), w = test::wave<double>(Shape{3, 2, 4}, 1);
    const auto b = test::wave<double>(Shape{2}, 2);
    const auto y = conv_transpose1d(x, w, b, {.stride = 2, .padding = 1, .output_padding = 1});
    auto expected = zeros<double>(Shape{2, 2, 11});
    for (Index n = 0; n < 2; ++n)
        for (Index o = 0; o < 2; ++o) {
            for (Index i = 0; i < 11; ++i) expected.mutable_at(n, o, i) = b(o);
            for (Index c = 0; c < 3; ++c)
                for (Index i = 0; i < 5; ++i)
                    for (Index k = 0; k < 4; ++k)
                        if (const Index at = 2 * i - 1 + k; at >= 0 && at < 11)
                            expected.mutable_at(n, o, at) += x(n, c, i) * w(c, o, k);
        }
    CHECK(test::max_error(y, expected) < 1e-14);
    CHECK(test::max_error(conv_transpose1d(x, w, b, {.stride = 2, .padding = 1, .output_size = 11}), expected) < 1e-14);
    const auto f = [](const auto& a, const auto& c, const auto& d) { return conv_transpose1d(a, c, d, {.stride = 3}); };
    CHECK(autograd::gradcheck(f, x, w, b) < 1e-7);
}

TEST_CASE("conv_transpose2d: an empty batch gives an empty result and zero gradients") {
    const auto w = autograd::leaf(ones<double>(Shape{2, 3, 4, 4}));
    autograd::Tape tape;
    const auto y = conv_transpose2d(zeros<double>(Shape{0, 2, 5, 5}), w, {}, {.stride = 2, .padding = 1});
    CHECK(y.shape() == Shape{0, 3, 10, 10});
    tape.backward(y, zeros<double>(y.shape()));
    CHECK(test::bitwise_equal(autograd::grad(w), zeros<double>(w.shape())));
}

TEST_CASE("conv_transpose2d: each error names the shapes") {
    const auto x = zeros<float>(Shape{1, 4, 5, 5}), w = zeros<float>(Shape{4, 2, 3, 3});
    using O = ConvTranspose2dOptions;
    const auto value = [&](const O& o) { return test::message_of<ValueError>([&] { conv_transpose2d(x, w, {}, o); }); };
    CHECK(value({.stride = 0}) ==
          "conv_transpose2d: stride, dilation and groups must be positive (stride 0x0, dilation 1x1, groups 1)");
    CHECK(value({.padding = -1}) == "conv_transpose2d: padding must be numbers that are not negative but is -1x-1");
    CHECK(
        value({.stride = 2, .output_padding = 2}) ==
        "conv_transpose2d: output padding must be less than stride or dilation but is 2x2 (stride 2x2, dilation 1x1)");
    CHECK(
        value({.stride = 2, .output_size = {13, 10}}) ==
        "conv_transpose2d: output size must be from 11x11 to 12x12 but is 13x10 (input [1, 4, 5, 5], weight [4, 2, 3, "
        "3], stride 2x2)");
    const auto shape = [](const auto& f) { return test::message_of<ShapeError>(f); };
    CHECK(
        shape([&] {
            conv_transpose2d(x, zeros<float>(Shape{3, 2, 3, 3}));
        }) ==
        "conv_transpose2d: weight fits inputs of 3 channels but input has 4 (input [1, 4, 5, 5], weight [3, 2, 3, 3])");
    CHECK(shape([&] { conv_transpose2d(x, w, {}, {.groups = 3}); }) ==
          "conv_transpose2d: input channels must divide into groups but are 4 in 3 (input [1, 4, 5, 5], weight [4, 2, "
          "3, 3])");
    CHECK(shape([&] { conv_transpose2d(x, w, zeros<float>(Shape{4})); }) ==
          "conv_transpose2d: bias must have 2 elements but has 4 (weight [4, 2, 3, 3], groups 1)");
    CHECK(shape([&] { conv_transpose2d(x, w, {}, {.padding = 4}); }) ==
          "conv_transpose2d: output must not be empty but would be -1x-1 (input [1, 4, 5, 5], weight [4, 2, 3, 3], "
          "stride 1x1, padding 4x4)");
    CHECK(shape([&] {
              conv_transpose2d(zeros<float>(Shape{1, 4, 0, 5}), w);
          }) == "conv_transpose2d: input must not be empty (input [1, 4, 0, 5], weight [4, 2, 3, 3])");
    CHECK(shape([&] {
              conv_transpose2d(x, zeros<float>(Shape{4, 0, 3, 3}));
          }) == "conv_transpose2d: weight must not be empty (input [1, 4, 5, 5], weight [4, 0, 3, 3])");
    CHECK(
        test::message_of<ShapeError>([&] {
            conv_transpose1d(zeros<float>(Shape{1, 4, 5}), zeros<float>(Shape{3, 2, 3}));
        }) ==
        "conv_transpose1d: weight fits inputs of 3 channels but input has 4 (input [1, 4, 1, 5], weight [3, 2, 1, 3])");
}

TEST_CASE("conv_transpose2d: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/conv_transpose2d")) {
        CAPTURE(c.name());
        const auto pair = [&](const char* key, Index otherwise) {
            const auto v = c.integers(key);
            return v.empty() ? Size2(otherwise) : v.size() == 1 ? Size2(v[0]) : Size2(v[0], v[1]);
        };
        const auto pad = pair("padding", 0);
        const ConvTranspose2dOptions options{.stride = pair("stride", 1),
                                             .padding = {Padding(pad.h), Padding(pad.w)},
                                             .output_padding = pair("output_padding", 0),
                                             .groups = c.integer("groups", 1),
                                             .dilation = pair("dilation", 1)};
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x")), w = autograd::leaf(c.tensor<float, 4>("in.weight"));
        Tensor<float, 1> b;
        if (c.has("in.bias")) b = autograd::leaf(c.tensor<float, 1>("in.bias"));
        autograd::Tape tape;
        const auto y = conv_transpose2d(x, w, b, options);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_grad(c, "in.weight", autograd::grad(w));
        if (b.defined()) test::check_golden_grad(c, "in.bias", autograd::grad(b));
    }
}
