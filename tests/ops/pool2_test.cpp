#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/pool_1d.hpp>
#include <lamina/nn/pool_3d.hpp>
#include <lamina/nn/pool_global.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace lamina;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Every window of a volume by its definition: f(element, flat position) for the taps inside, in row-major order.
template <class F>
void each_tap(const Tensor<double, 5>& x, std::array<Index, 5> at, Size3 k, Size3 s, Size3 p, Size3 d, F&& f) {
    for (Index a = 0; a < k.d; ++a)
        for (Index b = 0; b < k.h; ++b)
            for (Index c = 0; c < k.w; ++c) {
                const Index z = at[2] * s.d - p.d + a * d.d, y = at[3] * s.h - p.h + b * d.h;
                const Index w = at[4] * s.w - p.w + c * d.w;
                if (z < 0 || y < 0 || w < 0 || z >= x.dim(2) || y >= x.dim(3) || w >= x.dim(4)) continue;
                f(x(at[0], at[1], z, y, w), (z * x.dim(3) + y) * x.dim(4) + w);
            }
}

}  // namespace

TEST_CASE_TEMPLATE("pooling kernels: every ISA agrees with the windows, for kernels, strides and padding", Arch,
                   LAMINA_TEST_ARCHS) {
    struct Case {
        Index kernel, stride, pad, dilation;
    };
    for (const Case c : {Case{3, 2, 1, 1},
                         {3, 2, 0, 1},
                         {3, 1, 1, 1},
                         {2, 1, 0, 1},
                         {5, 2, 2, 1},
                         {2, 2, 1, 1},
                         {4, 2, 0, 1},
                         {3, 1, 1, 2},
                         {3, 2, 1, 2},
                         {3, 3, 0, 1}})
        for (Index width : {6, 7, 8, 16, 17, 33, 70}) {
            const Index reach = c.dilation * (c.kernel - 1) + 1, height = 9;
            const auto outputs = [&](Index in) { return (in + 2 * c.pad - reach) / c.stride + 1; };
            const kernels::PoolGeometry g{2,        height,     width,     outputs(height), outputs(width),
                                          c.kernel, c.kernel,   c.stride,  c.stride,        c.pad,
                                          c.pad,    c.dilation, c.dilation};
            auto x = test::wave<float>(Shape{2, height, width});
            x.mutable_at(0, 4, 3) = NAN;
            x.mutable_at(1, 1, 1) = x.mutable_at(1, 1, 2) = x.mutable_at(1, 2, 1) = 3;  // equals
            for (Index i = 0; i < width; ++i)
                for (Index j = 5; j < height; ++j) x.mutable_at(1, j, i) = -std::numeric_limits<float>::infinity();
            const auto finite = test::wave<float>(x.shape());
            const Shape<3> shape{2, g.out_h, g.out_w};
            const auto dy = test::wave<float>(shape, 2);
            auto largest = empty<float>(shape), mean = empty<float>(shape), expected = empty<float>(shape);
            auto fast = empty<float>(shape), average = empty<float>(shape);
            auto indices = empty<std::int64_t>(shape), positions = empty<std::int64_t>(shape);
            auto grad = ones_like(x), dx = grad.clone(), spread = grad.clone(), spread_to = grad.clone();
            test::for_each_index(shape, [&](std::array<Index, 3> at) {
                Index best = -1;
                double sum = 0;
                const auto taps_of = [&](auto&& f) {
                    for (Index i = 0; i < c.kernel; ++i)
                        for (Index j = 0; j < c.kernel; ++j) {
                            const Index y = at[1] * c.stride - c.pad + i * c.dilation;
                            const Index w = at[2] * c.stride - c.pad + j * c.dilation;
                            if (y >= 0 && w >= 0 && y < height && w < width) f(y, w);
                        }
                };
                taps_of([&](Index y, Index w) {
                    const float v = x(at[0], y, w), held = best < 0 ? 0 : x(at[0], best / width, best % width);
                    if (best < 0 || v > held || (std::isnan(v) && !std::isnan(held))) best = y * width + w;
                    sum += double(finite(at[0], y, w));
                });
                expected.mutable_at(at[0], at[1], at[2]) = x(at[0], best / width, best % width);
                positions.mutable_at(at[0], at[1], at[2]) = best;
                grad.mutable_at(at[0], best / width, best % width) += dy(at[0], at[1], at[2]);
                mean.mutable_at(at[0], at[1], at[2]) = float(sum / double(c.kernel * c.kernel));
                taps_of([&](Index y, Index w) {
                    spread.mutable_at(at[0], y, w) += dy(at[0], at[1], at[2]) / float(c.kernel * c.kernel);
                });
            });
            kernels::max_pool2d_forward<Arch>(g, x.data(), fast.mutable_data(), nullptr);
            kernels::max_pool2d_forward<Arch>(g, x.data(), largest.mutable_data(), indices.mutable_data());
            CHECK(test::max_error(fast, expected) == 0);
            CHECK(test::max_error(largest, expected) == 0);
            CHECK(test::bitwise_equal(indices, positions));
            kernels::max_pool2d_grad_input<Arch>(g, x.data(), dy.data(), dx.mutable_data(), true);
            CHECK(test::max_error(dx, grad) < 1e-6);
            kernels::max_pool2d_grad_input<Arch>(g, x.data(), dy.data(), dx.mutable_data(), false);
            for (Index i = 0; i < dx.numel(); ++i) grad.mutable_data()[i] -= 1;
            CHECK(test::max_error(dx, grad) < 1e-6);
            if (c.dilation > 1) continue;
            kernels::avg_pool2d_forward<Arch>(g, {.count_include_pad = true, .fixed = c.kernel * c.kernel},
                                              finite.data(), average.mutable_data());
            CHECK(test::max_error(average, mean) < 1e-6);
            kernels::avg_pool2d_grad_input<Arch>(g, {.count_include_pad = true, .fixed = c.kernel * c.kernel},
                                                 dy.data(), spread_to.mutable_data());
            CHECK(test::max_error(spread_to, spread) < 2e-6);
        }
}

TEST_CASE("pooling of signals: published values, indices, ceil mode") {
    const Tensor<double, 3> x{{{1, 2, 3}}};
    CHECK(test::bitwise_equal(avg_pool1d(x, {.kernel = 2, .ceil_mode = true}), Tensor<double, 3>{{{1.5, 3}}}));
    CHECK(test::bitwise_equal(max_pool1d(x, {.kernel = 2, .ceil_mode = true}), Tensor<double, 3>{{{2, 3}}}));
    CHECK(test::bitwise_equal(nn::MaxPool1d{{.kernel = 2}}(x), Tensor<double, 3>{{{2}}}));
    CHECK(test::bitwise_equal(nn::AvgPool1d{{.kernel = 2, .stride = 1}}(x), Tensor<double, 3>{{{1.5, 2.5}}}));
    CHECK(avg_pool2d(ones<double>(Shape{1, 1, 3, 3}), {.kernel = 2, .padding = 1, .ceil_mode = true})(0, 0, 1, 1) == 1);
    const Tensor<double, 3> five{{{0, 1, 2, 3, 4}}};
    CHECK(test::bitwise_equal(nn::AdaptiveAvgPool1d{3}(five), Tensor<double, 3>{{{.5, 2, 3.5}}}));
    CHECK(test::bitwise_equal(nn::AdaptiveMaxPool1d{3}(five), Tensor<double, 3>{{{1, 3, 4}}}));
    const auto [y, indices] =
        max_pool1d_with_indices(Tensor<float, 3>{{{1, 5, 5, 2, 0, 7}}}, {.kernel = 3, .stride = 2});
    CHECK(test::bitwise_equal(y, Tensor<float, 3>{{{5, 5}}}));
    CHECK(test::bitwise_equal(indices, Tensor<std::int64_t, 3>{{{1, 2}}}));
}

TEST_CASE("pooling of volumes: agrees with the windows, first of equals included") {
    auto x = test::wave<double>(Shape{2, 2, 5, 6, 7});
    for (Index i = 0; i < x.numel(); i += 3) x.mutable_data()[i] = 1;  // equals
    const Size3 k{2, 3, 2}, s{2, 1, 2}, p{1, 1, 0}, d{2, 1, 3};
    const auto result =
        max_pool3d_with_indices(x, {.kernel = k, .stride = s, .padding = p, .dilation = d, .ceil_mode = true});
    const auto& y = result.first;
    const auto& indices = result.second;
    CHECK(test::bitwise_equal(
        y, max_pool3d(x, {.kernel = k, .stride = s, .padding = p, .dilation = d, .ceil_mode = true})));
    const auto mean = avg_pool3d(x, {.kernel = k, .stride = s, .padding = p, .count_include_pad = false});
    const auto fixed = avg_pool3d(x, {.kernel = k, .stride = s, .padding = p, .divisor_override = 5});
    test::for_each_index(y.shape(), [&](std::array<Index, 5> at) {
        double best = -infinity;
        Index where = -1;
        each_tap(x, at, k, s, p, d, [&](double v, Index i) {
            if (v > best) best = v, where = i;
        });
        CHECK(y(at[0], at[1], at[2], at[3], at[4]) == best);
        CHECK(indices(at[0], at[1], at[2], at[3], at[4]) == where);
    });
    test::for_each_index(mean.shape(), [&](std::array<Index, 5> at) {
        double sum = 0, count = 0;
        each_tap(x, at, k, s, p, 1, [&](double v, Index) { sum += v, ++count; });
        CHECK(std::abs(mean(at[0], at[1], at[2], at[3], at[4]) - sum / count) < 1e-15);
        CHECK(std::abs(fixed(at[0], at[1], at[2], at[3], at[4]) - sum / 5) < 1e-15);
    });
    const auto whole = nn::AdaptiveAvgPool3d{{2, 3, 1}}(x);
    double first = 0;
    for (Index a = 0; a < 3; ++a)
        for (Index b = 0; b < 2; ++b)
            for (Index c = 0; c < 7; ++c) first += x(0, 0, a, b, c);
    CHECK(std::abs(whole(0, 0, 0, 0, 0) - first / 42) < 1e-15);
    CHECK(nn::AdaptiveMaxPool3d{{2, 3, 1}}(x)(0, 0, 0, 0, 0) == 1);
    CHECK(nn::MaxPool3d{{.kernel = 2}}(x).shape() == Shape{2, 2, 2, 3, 3});
    CHECK(nn::AvgPool3d{{.kernel = 2}}(x).shape() == Shape{2, 2, 2, 3, 3});
}

TEST_CASE("adaptive and global pooling: largest elements, their places, means of whole planes") {
    const auto x = test::wave<float>(Shape{2, 3, 7, 9});
    const auto result = adaptive_max_pool2d_with_indices(x, {3, 4});
    const auto& y = result.first;
    const auto& indices = result.second;
    CHECK(test::bitwise_equal(y, nn::AdaptiveMaxPool2d{{3, 4}}(x)));
    test::for_each_index(y.shape(), [&](std::array<Index, 4> at) {
        float best = -2;
        for (Index r = at[2] * 7 / 3; r < ((at[2] + 1) * 7 + 2) / 3; ++r)
            for (Index c = at[3] * 9 / 4; c < ((at[3] + 1) * 9 + 3) / 4; ++c)
                best = std::max(best, x(at[0], at[1], r, c));
        CHECK(y(at[0], at[1], at[2], at[3]) == best);
        const Index i = indices(at[0], at[1], at[2], at[3]);
        CHECK(x(at[0], at[1], i / 9, i % 9) == best);
    });
    const auto mean = nn::GlobalAvgPool{}(x);
    const auto largest = nn::GlobalMaxPool{}(x);
    CHECK(mean.shape() == Shape{2, 3, 1, 1});
    double sum = 0;
    float best = -2;
    for (Index i = 0; i < 63; ++i) sum += double(x(1, 2, i / 9, i % 9)), best = std::max(best, x(1, 2, i / 9, i % 9));
    CHECK(std::abs(double(mean(1, 2, 0, 0)) - sum / 63) < 1e-7);
    CHECK(largest(1, 2, 0, 0) == best);
    CHECK(global_avg_pool(ones<double>(Shape{1, 2, 3})).shape() == Shape{1, 2, 1});
}

TEST_CASE("lp_pool: p-norms of the windows") {
    const Tensor<double, 3> x{{{3, 4, 5, 12, 8}}};
    CHECK(test::max_error(nn::LPPool1d{{.norm = 2, .kernel = 2}}(x), Tensor<double, 3>{{{5, 13}}}) < 1e-14);
    CHECK(test::max_error(lp_pool1d(x, {.norm = 1, .kernel = 3, .stride = 2}), Tensor<double, 3>{{{12, 25}}}) < 1e-13);
    const auto plane = ones<float>(Shape{1, 1, 4, 6});
    CHECK(test::max_error(nn::LPPool2d{{.norm = 3, .kernel = {2, 4}, .stride = 2}}(plane),
                          full<float>(Shape{1, 1, 2, 2}, 2)) < 1e-6);
    CHECK(test::message_of<ValueError>([&] { lp_pool2d(plane, {.norm = 0, .kernel = 2}); }) ==
          "lp_pool2d: norm must be positive but is 0");
}

TEST_CASE("pooling of one and three dimensions: gradients match finite differences, also of strided input") {
    const auto line = permute(test::wave<double>(Shape{11, 3, 2}), {2, 1, 0});
    const auto check = [](auto f, const auto& x) { CHECK(autograd::gradcheck(f, x) < 1e-8); };
    check([](const auto& t) { return max_pool1d(t, {.kernel = 3, .stride = 2, .padding = 1}); }, line);
    check([](const auto& t) { return avg_pool1d(t, {.kernel = 3, .stride = 2, .padding = 1}); }, line);
    check([](const auto& t) { return adaptive_avg_pool1d(t, 4); }, line);
    check([](const auto& t) { return adaptive_max_pool1d(t, 4); }, line);
    const auto volume = permute(test::wave<double>(Shape{5, 4, 4, 2, 1}), {4, 3, 2, 1, 0});
    check(
        [](const auto& t) {
            return max_pool3d(t, {.kernel = 2, .stride = {2, 1, 2}, .padding = {1, 0, 1}});
        },
        volume);
    check(
        [](const auto& t) {
            return avg_pool3d(t, {.kernel = 2, .stride = {2, 1, 2}, .padding = {1, 0, 1}});
        },
        volume);
    check([](const auto& t) { return adaptive_avg_pool3d(t, {3, 2, 1}); }, volume);
    check([](const auto& t) { return adaptive_max_pool3d(t, {3, 2, 1}); }, volume);
    check([](const auto& t) { return global_avg_pool(t); }, volume);
    check([](const auto& t) { return global_max_pool(t); }, volume);
    const auto positive =
        autograd::gradcheck([](const auto& t) { return lp_pool2d(t, {.norm = 3, .kernel = 2, .stride = 1}); },
                            ones<double>(Shape{1, 2, 3, 4}));
    CHECK(positive < 1e-8);
}

TEST_CASE("pooling of one and three dimensions: nothing in gives nothing out, bad options are named") {
    CHECK(max_pool1d(zeros<float>(Shape{0, 3, 8}), {.kernel = 2}).shape() == Shape{0, 3, 4});
    CHECK(avg_pool3d(zeros<float>(Shape{0, 3, 4, 4, 4}), {.kernel = 2}).shape() == Shape{0, 3, 2, 2, 2});
    CHECK(max_pool3d_with_indices(zeros<float>(Shape{0, 3, 4, 4, 4}), {.kernel = 2}).second.shape() ==
          Shape{0, 3, 2, 2, 2});
    CHECK(test::message_of<ShapeError>([&] {
              max_pool1d(zeros<float>(Shape{1, 1, 4}), {.kernel = 5});
          }) ==
          "max_pool1d: output must not be empty (input [1, 1, 1, 4], kernel 1x5, stride 1x5, padding 0x0, dilation "
          "1x1)");
    CHECK(test::message_of<ValueError>([&] {
              avg_pool1d(zeros<float>(Shape{1, 1, 4}), {.kernel = 2, .padding = 2});
          }) == "avg_pool1d: padding must be at most half the kernel (padding 0x2, kernel 1x2)");
    CHECK(test::message_of<ShapeError>([&] {
              adaptive_max_pool1d(zeros<float>(Shape{1, 1, 4}), 0);
          }) == "adaptive_max_pool1d: output and input must not be empty (input [1, 1, 1, 4], output 1x0)");
    const MaxPool1dOptions over{.kernel = 2, .padding = 1, .dilation = 3};
    CHECK(test::message_of<ShapeError>([&] {
              max_pool1d(zeros<float>(Shape{1, 1, 2}), over);
          }) ==
          "max_pool1d: every window must meet the input (input [1, 1, 1, 2], kernel 1x2, padding 0x1, dilation 1x3)");
    CHECK(test::message_of<ShapeError>([&] {
              global_avg_pool(zeros<float>(Shape{1, 1, 0}));
          }) == "global_avg_pool: output and input must not be empty (input [1, 1, 1, 0], output 1x1)");
}
