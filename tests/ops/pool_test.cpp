#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/pool.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace lamina;

namespace {

/// Largest or mean of every window by its definition, with windows outside clipped.
Tensor<double, 4> naive_pool(const Tensor<double, 4>& x, Size2 k, Size2 s, Size2 p, Size2 d, Shape<4> shape,
                             bool maximum) {
    auto y = zeros<double>(shape);
    double* out = y.mutable_data();
    test::for_each_index(shape, [&](std::array<Index, 4> at) {
        double best = -std::numeric_limits<double>::infinity(), sum = 0;
        for (Index i = 0; i < k.h; ++i)
            for (Index j = 0; j < k.w; ++j) {
                const Index r = at[2] * s.h - p.h + i * d.h, c = at[3] * s.w - p.w + j * d.w;
                if (r < 0 || c < 0 || r >= x.dim(2) || c >= x.dim(3)) continue;
                best = std::max(best, x(at[0], at[1], r, c));
                sum += x(at[0], at[1], r, c);
            }
        *out++ = maximum ? best : sum / double(k.h * k.w);
    });
    return y;
}

}  // namespace

TEST_CASE("max_pool2d: agrees with the naive windows for strides, padding and dilation") {
    for (Index width : {4, 5, 16, 17, 33}) {
        const auto x = test::wave<double>(Shape{2, 3, 6, width});
        const auto two = max_pool2d(x, {.kernel = 2});
        CHECK(test::max_error(two, naive_pool(x, 2, 2, 0, 1, two.shape(), true)) == 0);
        const auto odd = max_pool2d(x, {.kernel = {3, 2}, .stride = {1, 2}, .padding = {1, 0}, .dilation = {2, 1}});
        CHECK(test::max_error(odd, naive_pool(x, {3, 2}, {1, 2}, {1, 0}, {2, 1}, odd.shape(), true)) == 0);
    }
}

TEST_CASE("max_pool2d: NaN wins, the first of equals gets the gradient") {
    Tensor<float, 4> x(Shape{1, 1, 2, 4});
    x.mutable_at(0, 0, 1, 1) = NAN;
    const auto [y, indices] = max_pool2d_with_indices(x, {.kernel = 2});
    CHECK(std::isnan(y(0, 0, 0, 0)));
    CHECK(indices(0, 0, 0, 0) == 5);
    CHECK(indices(0, 0, 0, 1) == 2);
    CHECK(std::isnan(max_pool2d(x, {.kernel = 2})(0, 0, 0, 0)));
    const auto leaf = autograd::leaf(ones<double>(Shape{1, 1, 2, 2}));
    autograd::Tape tape;
    tape.backward(max_pool2d(leaf, {.kernel = 2}));
    CHECK(test::bitwise_equal(autograd::grad(leaf), Tensor<double, 4>{{{{1, 0}, {0, 0}}}}));
}

TEST_CASE_TEMPLATE("max_pool_2x2: every ISA agrees with the general windows, forward and backward", Arch,
                   LAMINA_TEST_ARCHS) {
    for (Index width : {2, 3, 4, 7, 8, 14, 15, 31, 32, 33, 34, 63, 66, 67})
        for (Index height : {2, 5}) {
            auto x = test::wave<float>(Shape{2, 1, height, width});
            x.mutable_at(0, 0, 1, 1) = NAN;
            x.mutable_at(1, 0, 0, 0) = x.mutable_at(1, 0, 0, 1) = 2;
            const Index out_h = height / 2, out_w = width / 2;
            auto expected = empty<float>(Shape{2, 1, out_h, out_w}), y = full_like(expected, -7.f);
            const auto dy = test::wave<float>(expected.shape(), 3);
            auto gradient = full_like(x, 0.5f), dx = gradient.clone(), fresh = full_like(x, -7.f);
            test::for_each_index(expected.shape(), [&](std::array<Index, 4> at) {
                const Index n = at[0], r = 2 * at[2], c = 2 * at[3];
                Index best_r = r, best_c = c;
                for (Index i = 0; i < 4; ++i) {
                    const float v = x(n, 0, r + i / 2, c + i % 2), best = x(n, 0, best_r, best_c);
                    if (v > best || (std::isnan(v) && !std::isnan(best))) best_r = r + i / 2, best_c = c + i % 2;
                }
                expected.mutable_at(n, 0, at[2], at[3]) = x(n, 0, best_r, best_c);
                gradient.mutable_at(n, 0, best_r, best_c) += dy(n, 0, at[2], at[3]);
            });
            kernels::max_pool_2x2_forward<Arch>(2, height, width, x.data(), y.mutable_data());
            CHECK(test::max_error(y, expected) == 0);
            kernels::max_pool_2x2_grad_input<Arch>(2, height, width, x.data(), dy.data(), dx.mutable_data(), true);
            CHECK(test::max_error(dx, gradient) == 0);
            kernels::max_pool_2x2_grad_input<Arch>(2, height, width, x.data(), dy.data(), fresh.mutable_data(), false);
            for (Index i = 0; i < dx.numel(); ++i) gradient.mutable_data()[i] -= 0.5f;
            CHECK(test::max_error(fresh, gradient) < 1e-6);
        }
}

TEST_CASE("pooling: gradients match finite differences, also of strided input") {
    const auto x = permute(test::wave<double>(Shape{6, 5, 3, 2}), {3, 2, 0, 1});
    const auto check = [&](auto f) { CHECK(autograd::gradcheck(f, x) < 1e-8); };
    check([](const auto& t) { return max_pool2d(t, {.kernel = 2}); });
    check([](const auto& t) { return max_pool2d(t, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}); });
    check([](const auto& t) {
        return avg_pool2d(t, {.kernel = {3, 2}, .stride = 2, .padding = 1, .ceil_mode = true});
    });
    check(
        [](const auto& t) { return avg_pool2d(t, {.kernel = 2, .count_include_pad = false, .divisor_override = 3}); });
    check([](const auto& t) { return adaptive_avg_pool2d(t, {4, 3}); });
}

TEST_CASE("avg_pool2d: divisors with padding, without it, and fixed") {
    const auto x = ones<double>(Shape{1, 1, 3, 3});
    CHECK(avg_pool2d(x, {.kernel = 2, .padding = 1})(0, 0, 0, 0) == 0.25);
    CHECK(avg_pool2d(x, {.kernel = 2, .padding = 1, .count_include_pad = false})(0, 0, 0, 0) == 1);
    CHECK(avg_pool2d(x, {.kernel = 2, .divisor_override = 8})(0, 0, 0, 0) == 0.5);
    const auto padded = test::wave<double>(Shape{2, 2, 7, 5});
    const auto y = avg_pool2d(padded, {.kernel = 3, .stride = 2, .padding = 1});
    CHECK(test::max_error(y, naive_pool(padded, 3, 2, 1, 1, y.shape(), false)) < 1e-15);
}

TEST_CASE("pooling: nothing in gives nothing out, bad options are named") {
    CHECK(max_pool2d(zeros<float>(Shape{0, 3, 4, 4}), {.kernel = 2}).shape() == Shape{0, 3, 2, 2});
    const auto x = zeros<float>(Shape{1, 1, 4, 4});
    CHECK(
        test::message_of<ShapeError>([&] { max_pool2d(x, {.kernel = 5}); }) ==
        "max_pool2d: output must not be empty (input [1, 1, 4, 4], kernel 5x5, stride 5x5, padding 0x0, dilation 1x1)");
    CHECK(test::message_of<ValueError>([&] { avg_pool2d(x, {.kernel = 2, .padding = 2}); }) ==
          "avg_pool2d: padding must be at most half the kernel (padding 2x2, kernel 2x2)");
    CHECK(test::message_of<ValueError>([&] { max_pool2d(x, {.kernel = 0}); }) ==
          "max_pool2d: kernel, stride and dilation must be positive (kernel 0x0, stride 0x0, dilation 1x1)");
    CHECK(test::message_of<ShapeError>([&] {
              adaptive_avg_pool2d(x, {0, 1});
          }) == "adaptive_avg_pool2d: output and input must not be empty (input [1, 1, 4, 4], output 0x1)");
}

TEST_CASE("pooling: rounding up keeps the one window that an input smaller than the kernel has") {
    const Tensor<double, 4> x{{{{3, -1, 2, 5}}}};
    CHECK(test::bitwise_equal(max_pool2d(x, {.kernel = 3, .stride = {3, 2}, .ceil_mode = true}),
                              Tensor<double, 4>{{{{3, 5}}}}));
    CHECK(
        test::bitwise_equal(avg_pool2d(x, {.kernel = {2, 3}, .ceil_mode = true}), Tensor<double, 4>{{{{4.0 / 3, 5}}}}));
    // Too far beyond the end for even one.
    CHECK_THROWS_AS(max_pool2d(x, {.kernel = {3, 1}, .stride = {2, 1}, .ceil_mode = true}), ShapeError);
    CHECK_THROWS_AS(max_pool2d(x, {.kernel = {2, 1}}), ShapeError);
    CHECK(autograd::gradcheck(
              [](const auto& t) {
                  return avg_pool2d(
                      t, {.kernel = {2, 3}, .padding = {0, 1}, .ceil_mode = true, .count_include_pad = false});
              },
              x) < 1e-7);
}

TEST_CASE("pooling: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/pool")) {
        CAPTURE(c.name());
        const auto pair = [&](const char* key, Index otherwise) {
            const auto v = c.integers(key);
            return v.empty() ? Size2(otherwise) : v.size() == 1 ? Size2(v[0]) : Size2(v[0], v[1]);
        };
        const Size2 size = pair("kernel_or_output", 0), stride = pair("stride", 0), padding = pair("padding", 0);
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        const auto op = c.meta("op");
        autograd::Tape tape;
        Tensor<float, 4> y;
        if (op == "max_pool2d") {
            const MaxPool2dOptions options{.kernel = size,
                                           .stride = stride,
                                           .padding = padding,
                                           .dilation = pair("dilation", 1),
                                           .ceil_mode = c.flag("ceil_mode", false)};
            Tensor<std::int64_t, 4> indices;
            std::tie(y, indices) = max_pool2d_with_indices(x, options);
            test::check_golden(c, "indices", indices);
        } else if (op == "avg_pool2d") {
            y = avg_pool2d(x, {.kernel = size,
                               .stride = stride,
                               .padding = padding,
                               .ceil_mode = c.flag("ceil_mode", false),
                               .count_include_pad = c.flag("count_include_pad", true),
                               .divisor_override = c.integer("divisor_override", 0)});
        } else if (op == "adaptive_max_pool2d") {
            y = adaptive_max_pool2d(x, size);
        } else {
            y = adaptive_avg_pool2d(x, size);
        }
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}
