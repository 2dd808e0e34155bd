#include <lamina/autograd/gradcheck.hpp>
#include <lamina/core/size2.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/reshape.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace lamina;

namespace {

using enum InterpolateMode;
using enum PixelCoordinates;

Tensor<double, 3> line(const Tensor<double, 1>& x) { return reshape(x, Shape{1, 1, x.dim(0)}); }

void check_line(const InterpolateOptions& options, const Tensor<double, 1>& expected, double tolerance = 1e-14) {
    const auto y = interpolate(line(arange<double>(5)), options);
    CHECK(test::max_error(reshape(y, Shape{y.dim(2)}), expected) <= tolerance);
}

double keys(double t, double a) {
    t = std::abs(t);
    return t < 1   ? (a + 2) * t * t * t - (a + 3) * t * t + 1
           : t < 2 ? a * t * t * t - 5 * a * t * t + 8 * a * t - 4 * a
                   : 0;
}

/// Weight of input i in output o, straight from the definitions.
double naive_weight(InterpolateMode mode, PixelCoordinates coordinates, Index in, Index out, double scale, Index o,
                    Index i) {
    double at = coordinates == half_pixel      ? (double(o) + 0.5) * scale - 0.5
                : coordinates == align_corners ? (out > 1 ? double(o) * double(in - 1) / double(out - 1) : 0)
                                               : double(o) * scale;
    if (mode == area) {
        const Index first = Index(std::floor(double(o) * double(in) / double(out)));
        const Index end = Index(std::ceil(double(o + 1) * double(in) / double(out)));
        return i >= first && i < end ? 1 / double(end - first) : 0;
    }
    if (mode == nearest || mode == nearest_exact) {
        const float src = mode == nearest ? std::floor(float(o) * float(scale))
                                          : float(std::floor((double(o) + 0.5) * double(float(scale))));
        return i == std::min(Index(src), in - 1) ? 1 : 0;
    }
    if (mode == linear) {
        at = std::min(std::max(at, 0.0), double(in - 1));
        return std::max(0.0, 1 - std::abs(at - double(i)));
    }
    double total = 0;
    for (Index k = -1; k <= 2; ++k) {
        const Index tap = Index(std::floor(at)) + k;
        if (std::min(std::max<Index>(tap, 0), in - 1) == i) total += keys(at - double(tap), -0.75);
    }
    return total;
}

}  // namespace

TEST_CASE("interpolate: published values of a line of five") {
    check_line({.size = 3}, {0, 1, 3}, 0);
    check_line({.size = 8}, {0, 0, 1, 1, 2, 3, 3, 4}, 0);
    check_line({.size = 3, .mode = nearest_exact}, {0, 2, 4}, 0);
    check_line({.size = 8, .mode = nearest_exact}, {0, 0, 1, 2, 2, 3, 4, 4}, 0);
    check_line({.size = 3, .mode = linear}, {1. / 3, 2, 11. / 3});
    check_line({.size = 8, .mode = linear}, {0, .4375, 1.0625, 1.6875, 2.3125, 2.9375, 3.5625, 4});
    check_line({.size = 3, .mode = area}, {.5, 2, 3.5});
    check_line({.scale_factor = 1.5, .mode = linear}, {0, .5, 7. / 6, 11. / 6, 2.5, 19. / 6, 23. / 6});
    check_line({.scale_factor = 1.5, .mode = linear, .recompute_scale_factor = true},
               {0, 4. / 7, 9. / 7, 2, 19. / 7, 24. / 7, 4});
    check_line({.size = 9, .mode = linear, .coordinates = align_corners}, {0, .5, 1, 1.5, 2, 2.5, 3, 3.5, 4});
    check_line({.size = 10, .mode = linear, .coordinates = asymmetric}, {0, .5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4});
    check_line({.size = 1, .mode = linear, .coordinates = align_corners}, {0});
    const auto rounded = interpolate(zeros<float>(Shape{1, 1, 88}), {.scale_factor = 120.0 / 88.0});
    CHECK(rounded.dim(2) == Index(88 * (120.0 / 88.0)));
}

TEST_CASE("interpolate: bicubic and antialiased rows") {
    const Tensor<double, 4> x{{{{1, 2}, {3, 4}}}};
    const auto y = interpolate(x, {.scale_factor = 2, .mode = bicubic});
    const double first[] = {.68359375, 1.015625, 1.5625, 1.89453125};
    for (Index j = 0; j < 4; ++j) CHECK(std::abs(y(0, 0, 0, j) - first[j]) < 1e-15);
    // A triangle two inputs wide to each side, cut off and normalised at the ends.
    check_line({.size = 2, .mode = linear, .antialias = true}, {1, 3});
    for (auto mode : {linear, cubic}) {  // constants stay, and growing is not smoothed
        const auto ones_down =
            interpolate(ones<double>(Shape{1, 1, 17, 9}), {.size = {5, 4}, .mode = mode, .antialias = true});
        CHECK(test::max_error(ones_down, ones_like(ones_down)) < 1e-15);
    }
    const auto up = test::wave<double>(Shape{1, 1, 6});
    CHECK(test::max_error(interpolate(up, {.size = 13, .mode = linear, .antialias = true}),
                          interpolate(up, {.size = 13, .mode = linear})) < 1e-14);
}

TEST_CASE("interpolate: every mode, convention and size agrees with its definition on planes") {
    const auto check = [](Size2 in, Size2 out, InterpolateMode mode, PixelCoordinates coordinates) {
        CAPTURE(int(mode));
        CAPTURE(message(in, " to ", out));
        const auto x = test::wave<double>(Shape{2, 3, in.h, in.w});
        const InterpolateOptions options{.size = {out.h, out.w}, .mode = mode, .coordinates = coordinates};
        const auto y = interpolate(x, options);
        auto expected = zeros<double>(y.shape());
        double* e = expected.mutable_data();
        std::vector<double> down(std::size_t(out.h * in.h)), along(std::size_t(out.w * in.w));
        const auto fill = [&](std::vector<double>& w, Index n, Index m) {
            for (Index o = 0; o < m; ++o)
                for (Index i = 0; i < n; ++i)
                    w[std::size_t(o * n + i)] = naive_weight(mode, coordinates, n, m, double(n) / double(m), o, i);
        };
        fill(down, in.h, out.h);
        fill(along, in.w, out.w);
        test::for_each_index(y.shape(), [&](std::array<Index, 4> at) {
            for (Index i = 0; i < in.h; ++i)
                for (Index j = 0; j < in.w; ++j)
                    *e += down[std::size_t(at[2] * in.h + i)] * along[std::size_t(at[3] * in.w + j)] *
                          x(at[0], at[1], i, j);
            ++e;
        });
        CHECK(test::max_error(y, expected) < 1e-13);
        CHECK(test::max_error(interpolate(test::wave<float>(x.shape()), options), expected) < 2e-6);
    };
    for (auto mode : {nearest, nearest_exact, linear, cubic, area}) {
        check({5, 7}, {11, 16}, mode, half_pixel);
        check({9, 17}, {4, 5}, mode, half_pixel);
        check({1, 1}, {3, 2}, mode, half_pixel);
        check({3, 4}, {1, 1}, mode, half_pixel);
        check({6, 17}, {6, 34}, mode, half_pixel);
        check({6, 17}, {12, 17}, mode, half_pixel);
        check({19, 33}, {38, 66}, mode, half_pixel);
        check({8, 18}, {24, 54}, mode, half_pixel);
        check({5, 33}, {20, 132}, mode, half_pixel);
    }
    for (auto mode : {linear, cubic})
        for (auto coordinates : {align_corners, asymmetric}) {
            check({5, 7}, {11, 16}, mode, coordinates);
            check({9, 17}, {4, 5}, mode, coordinates);
            check({1, 1}, {3, 2}, mode, coordinates);
            check({7, 18}, {14, 36}, mode, coordinates);
        }
}

TEST_CASE("interpolate: gradients match finite differences, also of strided input and in one and three dimensions") {
    const auto x = permute(test::wave<double>(Shape{5, 4, 2, 1}), {3, 2, 1, 0});
    for (auto mode : {nearest, nearest_exact, linear, cubic, area}) {
        CHECK(autograd::gradcheck(
                  [=](const auto& t) {
                      return interpolate(t, {.size = {7, 3}, .mode = mode});
                  },
                  x) < 1e-8);
        CHECK(autograd::gradcheck([=](const auto& t) { return interpolate(t, {.scale_factor = 2, .mode = mode}); }, x) <
              1e-8);
        CHECK(autograd::gradcheck([=](const auto& t) { return interpolate(t, {.scale_factor = 1.7, .mode = mode}); },
                                  test::wave<double>(Shape{2, 1, 5})) < 1e-8);
        CHECK(autograd::gradcheck(
                  [=](const auto& t) {
                      return interpolate(t, {.size = {3, 2, 5}, .mode = mode});
                  },
                  test::wave<double>(Shape{1, 2, 2, 3, 3})) < 1e-8);
    }
    for (auto mode : {linear, cubic})
        CHECK(autograd::gradcheck(
                  [=](const auto& t) {
                      return interpolate(t, {.size = {2, 3}, .mode = mode, .antialias = true});
                  },
                  x) < 1e-8);
    const auto leaf = autograd::leaf(ones<float>(Shape{1, 1, 9, 16}));
    for (int pass = 0; pass < 2; ++pass) {  // the second adds to the first
        autograd::Tape tape;
        const auto y = interpolate(leaf, {.scale_factor = 2, .mode = bilinear});
        tape.backward(y, ones_like(y));
    }
    CHECK(test::max_error(autograd::grad(leaf), full_like(leaf, 8.f)) < 1e-6);
}

TEST_CASE("interpolate: volumes are resampled axis by axis") {
    const auto x = test::wave<double>(Shape{1, 2, 3, 4, 5});
    const auto y = interpolate(x, {.size = {5, 3, 7}, .mode = trilinear});
    auto planes = interpolate(reshape(x, Shape{1, 6, 4, 5}), {.size = {3, 7}, .mode = bilinear});
    auto expected = interpolate(reshape(planes, Shape{1, 2, 3, 21}), {.size = {5, 21}, .mode = bilinear});
    CHECK(test::max_error(y, reshape(expected, y.shape())) < 1e-14);
}

TEST_CASE("interpolate: infinities and NaN spread to the pixels that use them and no others") {
    auto x = zeros<float>(Shape{1, 1, 8, 20});
    x.mutable_at(0, 0, 3, 9) = std::numeric_limits<float>::infinity();
    const auto y = interpolate(x, {.scale_factor = 2});
    for (Index i = 0; i < 16; ++i)
        for (Index j = 0; j < 40; ++j) CHECK(std::isinf(y(0, 0, i, j)) == (i / 2 == 3 && j / 2 == 9));
    const auto mean = interpolate(x, {.size = {4, 10}, .mode = area});
    CHECK(std::isinf(mean(0, 0, 1, 4)));
    CHECK(mean(0, 0, 1, 5) == 0);
}

TEST_CASE_TEMPLATE("resample kernel: every ISA agrees, forward and transposed", Arch, LAMINA_TEST_ARCHS) {
    const auto run = [](kernels::ResampleAxis axis_h, kernels::ResampleAxis axis_w, bool back) {
        const auto h = kernels::resample_table<float>(axis_h, back), w = kernels::resample_table<float>(axis_w, back);
        const auto x = test::wave<float>(Shape{3, h.in, w.in});
        auto y = full<float>(Shape{3, h.out, w.out}, 1.f), one = y.clone(), expected = y.clone();
        kernels::resample<Arch>(3, h, w, x.data(), y.mutable_data(), true);
        for (Index p = 0; p < 3; ++p)
            for (Index o = 0; o < h.out; ++o)
                for (Index q = 0; q < w.out; ++q) {
                    double sum = 0;
                    for (Index a = h.begin[std::size_t(o)]; a < h.begin[std::size_t(o) + 1]; ++a)
                        for (Index b = w.begin[std::size_t(q)]; b < w.begin[std::size_t(q) + 1]; ++b)
                            sum += double(h.weight[std::size_t(a)]) * double(w.weight[std::size_t(b)]) *
                                   double(x(p, h.index[std::size_t(a)], w.index[std::size_t(b)]));
                    expected.mutable_at(p, o, q) = float(1 + sum);
                }
        CHECK(test::max_error(y, expected) < 2e-6);
        kernels::resample<Arch>(3, h, w, x.data(), one.mutable_data(), false);
        for (Index i = 0; i < y.numel(); ++i) expected.mutable_data()[i] -= 1;
        CHECK(test::max_error(one, expected) < 2e-6);
    };
    const auto axis = [](Index in, Index out, kernels::InterpolateMode filter) {
        return kernels::ResampleAxis{in, out, double(in) / double(out), filter};
    };
    for (auto filter : {nearest, linear, cubic})
        for (bool back : {false, true})
            for (Index width : {1, 3, 4, 8, 15, 16, 17, 40}) {
                run(axis(5, 10, filter), axis(width, 2 * width, filter), back);
                run(axis(4, 12, filter), axis(width, 3 * width, filter), back);
                run(axis(2, 8, filter), axis(width, 4 * width, filter), back);
                run(axis(9, 4, filter), axis(width, width / 2 + 1, filter), back);
                run(axis(20, 20, filter), axis(width, width + 3, filter), back);
                run(axis(7, 5, filter), axis(width, width, filter), back);
            }
}

TEST_CASE("interpolate: planes too large for a block go by strips, whose seams do not show (large)") {
    const auto x = test::wave<float>(Shape{1, 2, 300, 400});
    const auto y = interpolate(x, {.size = {603, 1200}, .mode = bicubic});
    for (Index i : {0, 1, 77, 200, 201, 333, 480, 601, 602})
        for (Index j : {0, 5, 600, 1199}) {
            double expected = 0;
            for (Index a = 0; a < 300; ++a) {
                const double down = naive_weight(cubic, half_pixel, 300, 603, 300 / 603., i, a);
                if (down == 0) continue;
                for (Index b = 0; b < 400; ++b)
                    expected += down * naive_weight(cubic, half_pixel, 400, 1200, 1 / 3., j, b) * double(x(0, 1, a, b));
            }
            CHECK(std::abs(double(y(0, 1, i, j)) - expected) < 3e-6);
        }
    const auto twice = interpolate(x, {.scale_factor = 4});
    for (Index i : {0, 3, 4, 599, 1199})
        for (Index j : {0, 7, 801, 1599}) CHECK(twice(0, 1, i, j) == x(0, 1, i / 4, j / 4));
}

TEST_CASE("interpolate: nothing in gives nothing out, bad options are named") {
    CHECK(interpolate(zeros<float>(Shape{0, 3, 4, 4}), {.scale_factor = 2}).shape() == Shape{0, 3, 8, 8});
    const auto x = zeros<float>(Shape{1, 1, 4, 4});
    const auto value_error = [&](const InterpolateOptions& o) {
        return test::message_of<ValueError>([&] { interpolate(x, o); });
    };
    const auto shape_error = [&](const InterpolateOptions& o) {
        return test::message_of<ShapeError>([&] { interpolate(x, o); });
    };
    CHECK(value_error({}) == "interpolate: one of size and scale_factor must be given (size [], scale_factor [])");
    CHECK(value_error({.size = 3, .scale_factor = 2}) ==
          "interpolate: one of size and scale_factor must be given (size [3], scale_factor [2])");
    CHECK(value_error({.size = {1, 2, 3}}) ==
          "interpolate: there must be 1 or 2 sizes or factors but there are 3 (input [1, 1, 4, 4])");
    CHECK(value_error({.scale_factor = -1}) == "interpolate: scale_factor must be positive but is -1");
    CHECK(value_error({.size = 2, .coordinates = align_corners}) ==
          "interpolate: align_corners needs linear or cubic mode");
    CHECK(value_error({.size = 2, .mode = area, .antialias = true}) ==
          "interpolate: antialias needs linear or cubic mode and coordinates half_pixel or align_corners");
    CHECK(shape_error({.size = {4, 0}}) ==
          "interpolate: output must not be empty (input [1, 1, 4, 4], size [4x0], scale_factor [])");
    CHECK(shape_error({.scale_factor = 0.1}) ==
          "interpolate: output must not be empty (input [1, 1, 4, 4], size [], scale_factor [0.1])");
    CHECK(test::message_of<ShapeError>([&] {
              interpolate(zeros<float>(Shape{1, 1, 0, 4}), {.size = 2});
          }) == "interpolate: input must have channels and pixels but has shape [1, 1, 0, 4]");
}

TEST_CASE("interpolate: linear modes copy along an axis that a small factor leaves as it is") {
    const Tensor<double, 3> x{{{1, 2, 4}}};
    CHECK(test::bitwise_equal(interpolate(x, {.scale_factor = 1.3, .mode = linear}), x));
    CHECK(test::max_error(interpolate(x, {.scale_factor = 1.3, .mode = linear, .antialias = true}),
                          Tensor<double, 3>{{{1, 43.0 / 26, 37.0 / 13}}}) < 1e-12);
    const auto plane = test::wave<double>(Shape{1, 2, 3, 4});
    CHECK(test::bitwise_equal(interpolate(plane, {.scale_factor = {1.2, 2}, .mode = linear}),
                              interpolate(plane, {.scale_factor = {1, 2}, .mode = linear})));
}

TEST_CASE("interpolate: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/interpolate")) {
        CAPTURE(c.name());
        InterpolateOptions o;
        const auto sizes = c.integers("size");
        const auto factors = c.numbers("scale_factor");
        o.size.count = int(sizes.size());
        for (std::size_t i = 0; i < sizes.size(); ++i) o.size.values[i] = sizes[i];
        o.scale_factor.count = int(factors.size());
        for (std::size_t i = 0; i < factors.size(); ++i) o.scale_factor.values[i] = factors[i];
        const auto mode = c.meta("mode");
        o.mode = mode == "linear" || mode == "bilinear" || mode == "trilinear" ? linear
                 : mode == "bicubic"                                           ? bicubic
                 : mode == "area"                                              ? area
                 : mode == "nearest"                                           ? nearest
                                                                               : nearest_exact;
        if (c.flag("align_corners", false)) o.coordinates = align_corners;
        o.recompute_scale_factor = c.flag("recompute_scale_factor", false);
        o.antialias = c.flag("antialias", false);
        const auto check = [&]<class T, int R>(T, std::integral_constant<int, R>) {
            const auto x = autograd::leaf(c.as_real<T, R>("in.x"));
            autograd::Tape tape;
            const auto y = interpolate(x, o);
            test::check_golden(c, "y", y);
            tape.backward(y, c.as_real<T, R>("r.y"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
        };
        const auto both = [&](auto rank) {
            check(float(), rank);
            check(double(), rank);
        };
        if (c.rank("in.x") == 3) both(std::integral_constant<int, 3>{});
        else if (c.rank("in.x") == 4) both(std::integral_constant<int, 4>{});
        else both(std::integral_constant<int, 5>{});
    }
}
