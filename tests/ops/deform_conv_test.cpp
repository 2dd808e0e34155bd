#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/conv.hpp>
#include <lamina/ops/deform_conv.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Bilinear interpolation by its definition, zeros outside.
double sample(const Tensor<double, 4>& x, Index n, Index c, double y, double z) {
    double sum = 0;
    for (Index i = 0; i < x.dim(2); ++i)
        for (Index j = 0; j < x.dim(3); ++j)
            sum +=
                std::max(0.0, 1 - std::abs(y - double(i))) * std::max(0.0, 1 - std::abs(z - double(j))) * x(n, c, i, j);
    return sum;
}
Tensor<double, 4> naive(const Tensor<double, 4>& x, const Tensor<double, 4>& offset, const Tensor<double, 4>& w,
                        const Tensor<double, 1>& b, const DeformConv2dOptions& o, const Tensor<double, 4>& mask) {
    const auto g = deform_conv2d_geometry(x.shape(), offset.shape(), w.shape(), o);
    auto y = zeros<double>(Shape{g.batch, g.out_channels, g.out_h, g.out_w});
    double* out = y.mutable_data();
    test::for_each_index(y.shape(), [&](std::array<Index, 4> at) {
        double sum = b.defined() ? b(at[1]) : 0;
        for (Index c = 0; c < w.dim(1); ++c)
            for (Index i = 0; i < w.dim(2); ++i)
                for (Index j = 0; j < w.dim(3); ++j) {
                    const Index channel = at[1] / g.group_out() * g.group_in() + c;
                    const Index part = channel / (g.in_channels / g.offset_groups);
                    const Index tap = (part * w.dim(2) + i) * w.dim(3) + j;
                    const double r = double(at[2] * o.stride.h - o.padding.h + i * o.dilation.h) +
                                     offset(at[0], 2 * tap, at[2], at[3]);
                    const double s = double(at[3] * o.stride.w - o.padding.w + j * o.dilation.w) +
                                     offset(at[0], 2 * tap + 1, at[2], at[3]);
                    sum += sample(x, at[0], channel, r, s) * w(at[1], c, i, j) *
                           (mask.defined() ? mask(at[0], tap, at[2], at[3]) : 1);
                }
        *out++ = sum;
    });
    return y;
}

struct Case {
    const char* name;
    Shape<4> x, w;
    Index offset_groups;
    DeformConv2dOptions options;
    double reach;

    Tensor<double, 4> input() const { return test::wave<double>(x); }
    Tensor<double, 4> weight() const { return test::wave<double>(w, 1); }
    /// Offsets away from whole numbers, where the derivative jumps.
    Tensor<double, 4> offset() const {
        auto shape = Shape{x[0], 2 * offset_groups * w[2] * w[3],
                           size(2, options.stride.h, options.padding.h, options.dilation.h),
                           size(3, options.stride.w, options.padding.w, options.dilation.w)};
        auto values = test::wave<double>(shape, 2);
        double* v = values.mutable_data();
        for (Index i = 0; i < values.numel(); ++i) {
            v[i] *= reach;
            if (std::abs(v[i] - std::round(v[i])) < 0.01) v[i] += 0.03;
        }
        return values;
    }
    Tensor<double, 4> mask() const {
        const auto o = offset();
        return test::wave<double>(Shape{x[0], o.dim(1) / 2, o.dim(2), o.dim(3)}, 3);
    }
    Index size(int d, Index stride, Index pad, Index dilation) const {
        return (x[d] + 2 * pad - dilation * (w[d] - 1) - 1) / stride + 1;
    }
};
const Case cases[] = {
    {"3x3", {2, 3, 5, 6}, {4, 3, 3, 3}, 1, {.padding = 1}, 2},
    {"far outside", {1, 2, 4, 4}, {2, 2, 3, 3}, 1, {.padding = 2}, 7},
    {"offset groups", {1, 4, 5, 4}, {3, 4, 2, 3}, 2, {.stride = {2, 1}, .padding = {0, 1}}, 1.5},
    {"groups", {2, 6, 4, 5}, {4, 3, 2, 2}, 3, {.dilation = {1, 2}}, 1.5},
    {"more channels than a vector", {1, 19, 4, 4}, {5, 19, 3, 3}, 1, {.padding = 1}, 1},
};

}  // namespace

TEST_CASE("deform_conv2d: the worked example") {
    const auto x = reshape(arange<double>(9), Shape{1, 1, 3, 3});
    const auto y = deform_conv2d(x, full<double>(Shape{1, 8, 2, 2}, 0.5), ones<double>(Shape{1, 1, 2, 2}));
    const double expected[] = {16, 14, 18, 15};
    for (Index i = 0; i < 4; ++i) CHECK(y.data()[i] == expected[i]);
}

TEST_CASE("deform_conv2d: agrees with the definition, with and without mask and bias") {
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto x = c.input(), offset = c.offset(), w = c.weight(), mask = c.mask();
        const auto b = test::wave<double>(Shape{c.w[0]}, 4);
        CHECK(test::max_error(deform_conv2d(x, offset, w, b, c.options, mask),
                              naive(x, offset, w, b, c.options, mask)) < 1e-13);
        CHECK(test::max_error(deform_conv2d(x, offset, w, {}, c.options), naive(x, offset, w, {}, c.options, {})) <
              1e-13);
    }
}

TEST_CASE("deform_conv2d: gradients of input, offset, mask, weight and bias match finite differences") {
    for (const Case& c : cases) {
        CAPTURE(c.name);
        const auto f = [&](const auto& x, const auto& offset, const auto& w, const auto& b, const auto& mask) {
            return deform_conv2d(x, offset, w, b, c.options, mask);
        };
        CHECK(autograd::gradcheck(f, c.input(), c.offset(), c.weight(), test::wave<double>(Shape{c.w[0]}, 4),
                                  c.mask()) < 1e-7);
    }
    const Case& c = cases[0];
    const auto plain = [&](const auto& x, const auto& offset, const auto& w) {
        return deform_conv2d(deform_conv2d(x, offset, w, {}, {.padding = 1}), offset, w, {}, {.padding = 1});
    };
    const auto x = permute(test::wave<double>(Shape{6, 3, 5, 2}), {3, 1, 2, 0});
    CHECK(autograd::gradcheck(plain, x, c.offset(), test::wave<double>(Shape{3, 3, 3, 3})) < 1e-7);
    const auto offsets_alone = [&](const auto& offset) {
        return deform_conv2d(c.input(), offset, c.weight(), {}, c.options);
    };
    CHECK(autograd::gradcheck(offsets_alone, c.offset()) < 1e-7);
}

TEST_CASE("deform_conv2d: without offsets it is an ordinary convolution, whole offsets shift it") {
    const auto x = test::wave<float>(Shape{2, 8, 17, 19}), w = test::wave<float>(Shape{12, 4, 3, 3}, 1);
    const auto still = zeros<float>(Shape{2, 18, 17, 19});
    CHECK(test::max_error(deform_conv2d(x, still, w, {}, {.padding = 1}),
                          conv2d(x, w, {}, {.padding = 1, .groups = 2})) < 2e-6);
    auto broken = x.clone();
    broken.mutable_at(0, 0, 8, 8) = std::nanf("");  // neighbours with weight 0 are not read
    const auto y = deform_conv2d(broken, still, w, {}, {.padding = 1});
    for (Index i = 0; i < 17; ++i)
        for (Index j = 0; j < 19; ++j)
            CHECK(std::isnan(y(0, 0, i, j)) == (std::abs(double(i - 8)) <= 1 && std::abs(double(j - 8)) <= 1));
    const auto one = ones<float>(Shape{1, 1, 1, 1});
    const auto plane = test::wave<float>(Shape{1, 1, 5, 6});
    const auto moved = deform_conv2d(plane, full<float>(Shape{1, 2, 5, 6}, -1), one);
    for (Index i = 0; i < 5; ++i)
        for (Index j = 0; j < 6; ++j) CHECK(moved(0, 0, i, j) == (i > 0 && j > 0 ? plane(0, 0, i - 1, j - 1) : 0));
}

TEST_CASE("deform_conv2d: an empty batch, and the same bits at 1 and 3 threads") {
    const auto w = autograd::leaf(ones<float>(Shape{3, 2, 3, 3}));
    {
        autograd::Tape tape;
        const auto y = deform_conv2d(zeros<float>(Shape{0, 2, 5, 5}), zeros<float>(Shape{0, 18, 3, 3}), w);
        CHECK(y.shape() == Shape{0, 3, 3, 3});
        tape.backward(y, zeros<float>(y.shape()));
        CHECK(test::bitwise_equal(autograd::grad(w), zeros<float>(w.shape())));
    }
    const int before = parallel::num_threads();
    Tensor<float, 4> results[2][4];
    for (const int i : {0, 1}) {
        parallel::set_num_threads(i == 0 ? 1 : 3);
        const auto x = autograd::leaf(test::wave<float>(Shape{2, 32, 24, 25}));
        const auto offset = autograd::leaf(test::wave<float>(Shape{2, 18, 24, 25}, 1));
        const auto filter = autograd::leaf(test::wave<float>(Shape{16, 32, 3, 3}, 2));
        autograd::Tape tape;
        const auto y = deform_conv2d(x, offset, filter, {}, {.padding = 1});
        tape.backward(y, test::wave<float>(y.shape(), 3));
        results[i][0] = y, results[i][1] = autograd::grad(x);
        results[i][2] = autograd::grad(offset), results[i][3] = autograd::grad(filter);
    }
    parallel::set_num_threads(before);
    for (int k = 0; k < 4; ++k) CHECK(test::bitwise_equal(results[0][k], results[1][k]));
}

TEST_CASE("deform_conv2d: each error names the shapes") {
    const auto x = zeros<float>(Shape{1, 4, 5, 5}), w = zeros<float>(Shape{6, 4, 3, 3});
    const auto offset = zeros<float>(Shape{1, 18, 3, 3});
    const auto shape = [](const auto& f) { return test::message_of<ShapeError>(f); };
    CHECK(
        shape([&] {
            deform_conv2d(x, zeros<float>(Shape{1, 18, 5, 5}), w);
        }) ==
        "deform_conv2d: offset must have shape [1, 18, 3, 3] but has [1, 18, 5, 5] (input [1, 4, 5, 5], weight [6, 4, "
        "3, 3])");
    CHECK(shape([&] {
              deform_conv2d(x, zeros<float>(Shape{1, 17, 3, 3}), w);
          }) ==
          "deform_conv2d: offset must have 2 channels for each of 9 taps and each of the groups that the input's "
          "channels divide into (input [1, 4, 5, 5], offset [1, 17, 3, 3])");
    CHECK(shape([&] {
              deform_conv2d(x, offset, w, {}, {}, zeros<float>(Shape{1, 18, 3, 3}));
          }) ==
          "deform_conv2d: mask must have shape [1, 9, 3, 3] but has [1, 18, 3, 3] (input [1, 4, 5, 5], offset [1, 18, "
          "3, 3], weight [6, 4, 3, 3])");
    CHECK(shape([&] {
              deform_conv2d(x, offset, zeros<float>(Shape{6, 3, 3, 3}));
          }) ==
          "deform_conv2d: channels must divide into groups of the weight's (input [1, 4, 5, 5], weight [6, 3, 3, 3])");
    CHECK(shape([&] {
              deform_conv2d(x, offset, zeros<float>(Shape{6, 0, 3, 3}));
          }) == "deform_conv2d: weight must not be empty (input [1, 4, 5, 5], weight [6, 0, 3, 3])");
    CHECK(shape([&] { deform_conv2d(x, offset, w, zeros<float>(Shape{5})); }) ==
          "deform_conv2d: bias must have 6 elements but has 5 (weight [6, 4, 3, 3])");
    CHECK(shape([&] {
              deform_conv2d(zeros<float>(Shape{1, 4, 2, 5}), offset, w);
          }) ==
          "deform_conv2d: padded input must be at least as large as the kernel (input [1, 4, 2, 5], weight [6, 4, 3, "
          "3], padding 0x0, dilation 1x1)");
    CHECK(test::message_of<ValueError>([&] { deform_conv2d(x, offset, w, {}, {.stride = 0}); }) ==
          "deform_conv2d: stride and dilation must be positive (stride 0x0, dilation 1x1)");
    CHECK(test::message_of<ValueError>([&] {
              deform_conv2d(x, offset, w, {}, {.padding = {0, -1}});
          }) == "deform_conv2d: padding must not be negative but is 0x-1");
}

TEST_CASE("deform_conv2d: golden values and gradients") {
    for (const auto& c : test::golden_cases("vision/deform_conv2d")) {
        CAPTURE(c.name());
        const auto pair = [&](const char* key) {
            const auto v = c.integers(key);
            return Size2(v[0], v[1]);
        };
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x")), w = autograd::leaf(c.tensor<float, 4>("in.weight"));
        const auto offset = autograd::leaf(c.tensor<float, 4>("in.offset"));
        Tensor<float, 4> mask;
        Tensor<float, 1> b;
        if (c.has("in.mask")) mask = autograd::leaf(c.tensor<float, 4>("in.mask"));
        if (c.has("in.bias")) b = autograd::leaf(c.tensor<float, 1>("in.bias"));
        autograd::Tape tape;
        const auto y = deform_conv2d(x, offset, w, b, {pair("stride"), pair("padding"), pair("dilation")}, mask);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_grad(c, "in.weight", autograd::grad(w));
        test::check_golden_grad(c, "in.offset", autograd::grad(offset));
        if (mask.defined()) test::check_golden_grad(c, "in.mask", autograd::grad(mask));
        if (b.defined()) test::check_golden_grad(c, "in.bias", autograd::grad(b));
    }
}
