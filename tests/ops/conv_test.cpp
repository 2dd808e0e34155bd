#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/conv.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Cross-correlation by its definition.
Tensor<double, 4> naive_conv2d(const Tensor<double, 4>& x, const Tensor<double, 4>& w, const Tensor<double, 1>& b,
                               const Conv2dOptions& o) {
    const auto g = conv2d_geometry(x.shape(), w.shape(), o);
    const Padding pad_h = o.padding.h.resolve(x.dim(2), w.dim(2), o.stride.h, o.dilation.h);
    const Padding pad_w = o.padding.w.resolve(x.dim(3), w.dim(3), o.stride.w, o.dilation.w);
    auto y = zeros<double>(Shape{g.batch, g.out_channels, g.out_h, g.out_w});
    double* out = y.mutable_data();
    test::for_each_index(y.shape(), [&](std::array<Index, 4> at) {
        double sum = b.defined() ? b(at[1]) : 0;
        const Index first = at[1] / (w.dim(0) / o.groups) * w.dim(1);
        for (Index c = 0; c < w.dim(1); ++c)
            for (Index i = 0; i < w.dim(2); ++i)
                for (Index j = 0; j < w.dim(3); ++j) {
                    const Index r = at[2] * o.stride.h - pad_h.before + i * o.dilation.h;
                    const Index s = at[3] * o.stride.w - pad_w.before + j * o.dilation.w;
                    if (r >= 0 && s >= 0 && r < x.dim(2) && s < x.dim(3))
                        sum += x(at[0], first + c, r, s) * w(at[1], c, i, j);
                }
        *out++ = sum;
    });
    return y;
}

struct Case {
    const char* name;
    Shape<4> x, w;
    Conv2dOptions options;
};
const Case cases[] = {
    {"3x3", {2, 3, 7, 9}, {5, 3, 3, 3}, {.padding = 1}},
    {"1x1", {2, 3, 4, 5}, {4, 3, 1, 1}, {}},
    {"1x1 strided", {1, 2, 5, 5}, {3, 2, 1, 1}, {.stride = 2}},
    {"strided, dilated groups",
     {2, 4, 8, 9},
     {6, 2, 3, 2},
     {.stride = {2, 1}, .padding = {2, 1}, .dilation = {1, 2}, .groups = 2}},
    {"depthwise", {1, 4, 6, 6}, {4, 1, 3, 3}, {.padding = 1, .groups = 4}},
    {"depthwise with multiplier", {1, 3, 5, 6}, {6, 1, 5, 5}, {.stride = 2, .padding = 2, .groups = 3}},
    {"asymmetric margins", {1, 2, 5, 6}, {3, 2, 3, 2}, {.stride = {2, 1}, .padding = {{0, 1}, {2, 0}}}},
    {"same", {1, 2, 5, 6}, {3, 2, 4, 3}, {.padding = Padding::same(), .dilation = {1, 2}}},
    {"same as TensorFlow", {1, 2, 6, 7}, {3, 2, 3, 5}, {.stride = 2, .padding = Padding::same_tensorflow()}},
    {"kernel as large as the image", {2, 2, 3, 4}, {2, 2, 3, 4}, {}},
};

}  // namespace

TEST_CASE("conv2d: agrees with the definition for strides, padding, dilation and groups") {
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto x = test::wave<double>(c.x), w = test::wave<double>(c.w, 1);
        const auto b = test::wave<double>(Shape{c.w[0]}, 2);
        CHECK(test::max_error(conv2d(x, w, b, c.options), naive_conv2d(x, w, b, c.options)) < 1e-13);
        CHECK(test::max_error(conv2d(x, w, {}, c.options), naive_conv2d(x, w, {}, c.options)) < 1e-13);
    }
}

TEST_CASE("conv2d: gradients of input, weight and bias match finite differences") {
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto f = [&](const auto& x, const auto& w, const auto& b) { return conv2d(x, w, b, c.options); };
        CHECK(autograd::gradcheck(f, test::wave<double>(c.x), test::wave<double>(c.w, 1),
                                  test::wave<double>(Shape{c.w[0]}, 2)) < 1e-7);
    }
    const auto strided = permute(test::wave<double>(Shape{6, 5, 3, 2}), {3, 2, 0, 1});
    const auto f = [](const auto& x, const auto& w) { return conv2d(x, w, {}, {.padding = 1}); };
    CHECK(autograd::gradcheck(f, strided, permute(test::wave<double>(Shape{3, 3, 3, 4}), {3, 2, 1, 0})) < 1e-7);
}

TEST_CASE("conv2d: gradients add up when a tensor is used twice") {
    const auto f = [](const auto& x, const auto& w) {
        return conv2d(conv2d(x, w, {}, {.padding = 1}), w, {}, {.padding = 1});
    };
    CHECK(autograd::gradcheck(f, test::wave<double>(Shape{1, 2, 4, 4}), test::wave<double>(Shape{2, 2, 3, 3}, 1)) <
          1e-7);
}

TEST_CASE("conv2d: an empty batch gives an empty result and zero gradients") {
    const auto w = autograd::leaf(ones<double>(Shape{3, 2, 3, 3}));
    autograd::Tape tape;
    const auto y = conv2d(zeros<double>(Shape{0, 2, 5, 5}), w);
    CHECK(y.shape() == Shape{0, 3, 3, 3});
    tape.backward(y, zeros<double>(y.shape()));
    CHECK(test::bitwise_equal(autograd::grad(w), zeros<double>(w.shape())));
}

TEST_CASE("Padding: the margins of the rules") {
    CHECK(Padding::same().resolve(9, 4, 1, 1) == Padding(1, 2));
    CHECK(Padding::same().resolve(9, 3, 1, 2) == Padding(2, 2));
    CHECK(Padding::same_tensorflow().resolve(8, 3, 2, 1) == Padding(0, 1));
    CHECK(Padding::same_tensorflow().resolve(8, 5, 2, 1) == Padding(1, 2));
    CHECK(Padding::same_tensorflow().resolve(9, 3, 2, 1) == Padding(1, 1));
    CHECK(Padding::same_tensorflow().resolve(4, 1, 2, 1) == Padding(0, 0));
}

TEST_CASE("conv2d: reflected, replicated and circular margins") {
    const auto x = test::wave<double>(Shape{2, 2, 4, 5}), w = test::wave<double>(Shape{3, 2, 3, 3}, 1);
    for (const PadMode mode : {PadMode::reflect, PadMode::replicate, PadMode::circular}) {
        const Conv2dOptions o{.stride = {1, 2}, .padding = {1, 2}, .padding_mode = mode};
        const auto expected = naive_conv2d(pad(x, {2, 2, 1, 1}, {.mode = mode}), w, {}, {.stride = {1, 2}});
        CHECK(test::max_error(conv2d(x, w, {}, o), expected) < 1e-13);
        const auto f = [&](const auto& a, const auto& b) { return conv2d(a, b, {}, o); };
        CHECK(autograd::gradcheck(f, x, w) < 1e-7);
    }
}

TEST_CASE("conv1d: a convolution of one row") {
    const auto x = test::wave<double>(Shape{2, 4, 9}), w = test::wave<double>(Shape{6, 2, 3}, 1);
    const auto b = test::wave<double>(Shape{6}, 2);
    const Conv1dOptions o{.stride = 2, .padding = {2, 1}, .dilation = 2, .groups = 2};
    const auto y = conv1d(x, w, b, o);
    const auto expected = naive_conv2d(reshape(x, Shape{2, 4, 1, 9}), reshape(w, Shape{6, 2, 1, 3}), b,
                                       {.stride = {1, 2}, .padding = {0, {2, 1}}, .dilation = {1, 2}, .groups = 2});
    CHECK(test::max_error(y, reshape(expected, y.shape())) < 1e-13);
    const auto f = [&](const auto& p, const auto& q, const auto& r) { return conv1d(p, q, r, o); };
    CHECK(autograd::gradcheck(f, x, w, b) < 1e-7);
    CHECK(conv1d(zeros<float>(Shape{0, 2, 5}), zeros<float>(Shape{3, 2, 2})).shape() == Shape{0, 3, 4});
    CHECK(
        test::message_of<ShapeError>([] {
            conv1d(zeros<float>(Shape{1, 3, 5}), zeros<float>(Shape{3, 2, 2}));
        }) ==
        "conv1d: weight fits inputs of 2 channels but input has 3 (input [1, 3, 1, 5], weight [3, 2, 1, 2], groups 1)");
}

TEST_CASE("conv2d: each error names the shapes") {
    const auto x = zeros<float>(Shape{1, 4, 5, 5}), w = zeros<float>(Shape{6, 2, 3, 3});
    CHECK(
        test::message_of<ShapeError>([&] { conv2d(x, w); }) ==
        "conv2d: weight fits inputs of 2 channels but input has 4 (input [1, 4, 5, 5], weight [6, 2, 3, 3], groups 1)");
    CHECK(test::message_of<ShapeError>([&] {
              conv2d(zeros<float>(Shape{1, 8, 5, 5}), w, {}, {.groups = 4});
          }) ==
          "conv2d: output channels must divide into groups but are 6 in 4 (input [1, 8, 5, 5], weight [6, 2, 3, 3])");
    CHECK(test::message_of<ShapeError>([&] { conv2d(x, w, zeros<float>(Shape{5}), {.groups = 2}); }) ==
          "conv2d: bias must have 6 elements but has 5 (weight [6, 2, 3, 3])");
    CHECK(test::message_of<ShapeError>([&] {
              conv2d(zeros<float>(Shape{1, 2, 2, 5}), w);
          }) ==
          "conv2d: padded input must be at least as large as the kernel (input [1, 2, 2, 5], weight [6, 2, 3, 3], "
          "padding 0x0, dilation 1x1)");
    CHECK(test::message_of<ShapeError>([&] {
              conv2d(zeros<float>(Shape{1, 0, 5, 5}), zeros<float>(Shape{6, 0, 3, 3}));
          }) == "conv2d: weight must not be empty (input [1, 0, 5, 5], weight [6, 0, 3, 3])");
    CHECK(test::message_of<ValueError>([&] { conv2d(x, w, {}, {.stride = 0}); }) ==
          "conv2d: stride, dilation and groups must be positive (stride 0x0, dilation 1x1, groups 1)");
    CHECK(test::message_of<ValueError>([&] { conv2d(x, w, {}, {.padding = -1, .groups = 2}); }) ==
          "conv2d: padding must not be negative but is -1x-1");
    CHECK(test::message_of<ValueError>([&] {
              conv2d(x, w, {}, {.stride = 2, .padding = Padding::same(), .groups = 2});
          }) == "conv2d: padding to the same size needs stride 1 but stride is 2x2");
}

TEST_CASE("conv2d: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/conv2d")) {
        CAPTURE(c.name());
        const auto pair = [&](const char* key, Index otherwise) {
            const auto v = c.integers(key);
            return v.empty() ? Size2(otherwise) : v.size() == 1 ? Size2(v[0]) : Size2(v[0], v[1]);
        };
        const Conv2dOptions options{.stride = pair("stride", 1),
                                    .padding = pair("padding", 0),
                                    .dilation = pair("dilation", 1),
                                    .groups = c.integer("groups", 1)};
        const auto leaf = [&]<int R>(const char* name, std::integral_constant<int, R>) {
            return autograd::leaf(c.tensor<float, R>(name));
        };
        const auto x = leaf("in.x", std::integral_constant<int, 4>{});
        const auto w = leaf("in.weight", std::integral_constant<int, 4>{});
        Tensor<float, 1> b;
        if (c.has("in.bias")) b = leaf("in.bias", std::integral_constant<int, 1>{});
        autograd::Tape tape;
        const auto y = conv2d(x, w, b, options);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_grad(c, "in.weight", autograd::grad(w));
        if (b.defined()) test::check_golden_grad(c, "in.bias", autograd::grad(b));
    }
}

TEST_CASE("conv2d: golden padding modes") {
    for (const auto& c : test::golden_cases("ops/conv2d_padmode")) {
        CAPTURE(c.name());
        const bool same = c.meta("padding") == "same";
        const std::string mode = same ? "zeros" : c.meta("padding_mode");
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        const auto w = autograd::leaf(c.tensor<float, 4>("param.weight"));
        const auto b = autograd::leaf(c.tensor<float, 1>("param.bias"));
        autograd::Tape tape;
        const auto y = conv2d(x, w, b,
                              {.stride = c.integer("stride", 1),
                               .padding = same ? Padding::same() : Padding(c.integer("padding", 0)),
                               .dilation = c.integer("dilation", 1),
                               .groups = c.integer("groups", 1),
                               .padding_mode = mode == "reflect"     ? PadMode::reflect
                                               : mode == "replicate" ? PadMode::replicate
                                               : mode == "circular"  ? PadMode::circular
                                                                     : PadMode::constant});
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_grad(c, "param.weight", autograd::grad(w));
        test::check_golden_grad(c, "param.bias", autograd::grad(b));
    }
}

TEST_CASE("conv1d: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/conv1d")) {
        CAPTURE(c.name());
        const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
        const auto w = autograd::leaf(c.tensor<float, 3>("in.weight"));
        Tensor<float, 1> b;
        if (c.has("in.bias")) b = autograd::leaf(c.tensor<float, 1>("in.bias"));
        autograd::Tape tape;
        const auto y = conv1d(x, w, b,
                              {.stride = c.integer("stride", 1),
                               .padding = c.integer("padding", 0),
                               .dilation = c.integer("dilation", 1),
                               .groups = c.integer("groups", 1)});
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 3>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_grad(c, "in.weight", autograd::grad(w));
        if (b.defined()) test::check_golden_grad(c, "in.bias", autograd::grad(b));
    }
}
