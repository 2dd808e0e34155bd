#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/grid_sample.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace lamina;

namespace {

using enum GridSampleMode;
constexpr auto nothing = GridSamplePadding::zeros, border = GridSamplePadding::border;
constexpr auto reflection = GridSamplePadding::reflection;

/// The pixel at (r, c), outside the plane as the padding says.
double pixel(const Tensor<double, 4>& x, Index n, Index k, Index r, Index c, GridSamplePadding padding, bool corners) {
    const auto place = [&](Index i, Index size) -> Index {
        if (padding == border) return std::min(std::max<Index>(i, 0), size - 1);
        if (padding == nothing) return i >= 0 && i < size ? i : -1;
        while (i < 0 || i >= size) {  // mirrored at the edges of pixels, or at their centres
            if (size == 1) return 0;
            if (i < 0) i = corners ? -i : -1 - i;
            if (i >= size) i = corners ? 2 * (size - 1) - i : 2 * size - 1 - i;
        }
        return i;
    };
    const Index y = place(r, x.dim(2)), z = place(c, x.dim(3));
    return y < 0 || z < 0 ? 0 : x(n, k, y, z);
}

double kernel_at(GridSampleMode mode, double t) {
    t = std::abs(t);
    if (mode == bilinear) return std::max(0.0, 1 - t);
    constexpr double a = -0.75;
    return t < 1   ? (a + 2) * t * t * t - (a + 3) * t * t + 1
           : t < 2 ? a * t * t * t - 5 * a * t * t + 8 * a * t - 4 * a
                   : 0;
}

/// Points in and around the image, none on a kink of any mode.
Tensor<double, 4> points(Index n, Index h, Index w) {
    auto grid = test::wave<double>(Shape{n, h, w, 2}, 4);
    for (Index i = 0; i < grid.numel(); ++i) grid.mutable_data()[i] *= 1.7;
    return grid;
}

}  // namespace

TEST_CASE("grid_sample: every mode and padding agrees with the definition") {
    const auto x = test::wave<double>(Shape{2, 3, 5, 6});
    const auto grid = points(2, 4, 9);
    for (auto mode : {bilinear, nearest, bicubic})
        for (auto padding : {nothing, border, reflection})
            for (bool corners : {false, true}) {
                const auto y = grid_sample(x, grid, {mode, padding, corners});
                auto expected = zeros_like(y);
                double* to = expected.mutable_data();
                test::for_each_index(y.shape(), [&](std::array<Index, 4> at) {
                    const auto place = [&](Index axis, Index size) {
                        const double g = grid(at[0], at[2], at[3], axis);
                        return corners ? (g + 1) / 2 * double(size - 1) : ((g + 1) * double(size) - 1) / 2;
                    };
                    const double px = place(0, 6), py = place(1, 5);
                    const Index left = Index(std::floor(px)), top = Index(std::floor(py));
                    if (mode == nearest)
                        *to = pixel(x, at[0], at[1], Index(std::nearbyint(py)), Index(std::nearbyint(px)), padding,
                                    corners);
                    for (Index r = top - 1; mode != nearest && r <= top + 2; ++r)
                        for (Index c = left - 1; c <= left + 2; ++c)
                            *to += kernel_at(mode, py - double(r)) * kernel_at(mode, px - double(c)) *
                                   pixel(x, at[0], at[1], r, c, padding, corners);
                    ++to;
                });
                CAPTURE(int(mode));
                CAPTURE(int(padding));
                CAPTURE(corners);
                CHECK(test::max_error(y, expected) < 1e-13);
            }
}

TEST_CASE("grid_sample: gradients of image and grid match finite differences, also of strided inputs") {
    const auto x = permute(test::wave<double>(Shape{6, 5, 2, 2}), {3, 2, 1, 0});
    const auto grid = permute(points(2, 3, 4), {0, 2, 1, 3});
    for (auto mode : {bilinear, nearest, bicubic})
        for (auto padding : {nothing, border, reflection})
            for (bool corners : {false, true}) {
                const GridSampleOptions o{mode, padding, corners};
                CAPTURE(int(mode));
                CAPTURE(int(padding));
                CHECK(autograd::gradcheck([=](const auto& a, const auto& b) { return grid_sample(a, b, o); }, x, grid) <
                      1e-7);
            }
}

TEST_CASE_TEMPLATE("grid_sample kernels: every ISA agrees, for any number of points", Arch, LAMINA_TEST_ARCHS) {
    for (Index count : {1, 3, 4, 8, 15, 16, 17, 255, 300}) {
        const kernels::GridSampleGeometry g{1, 3, 4, 5, 1, count, bilinear, nothing, false};
        const auto x = test::wave<float>(Shape{1, 3, 4, 5}), dy = test::wave<float>(Shape{1, 3, 1, count}, 2);
        auto grid = empty<float>(Shape{1, 1, count, 2});
        for (Index i = 0; i < grid.numel(); ++i) grid.mutable_data()[i] = float(1.3 * test::wave_at(i, 1));
        auto y = full_like(dy, 7.f), reference = y.clone();
        auto dgrid = full_like(grid, 7.f), added = ones_like(grid);
        kernels::grid_sample_forward<Arch>(g, x.data(), grid.data(), y.mutable_data());
        kernels::grid_sample_forward<simd::scalar>(g, x.data(), grid.data(), reference.mutable_data());
        CHECK(test::bitwise_equal(y, reference));
        kernels::grid_sample_grad_grid<Arch>(g, x.data(), grid.data(), dy.data(), dgrid.mutable_data(), false);
        kernels::grid_sample_grad_grid<Arch>(g, x.data(), grid.data(), dy.data(), added.mutable_data(), true);
        auto dx = ones_like(x), fresh = full_like(x, 7.f);
        kernels::grid_sample_grad_input(g, grid.data(), dy.data(), dx.mutable_data(), true);
        kernels::grid_sample_grad_input(g, grid.data(), dy.data(), fresh.mutable_data(), false);
        for (Index i = 0; i < dx.numel(); ++i) CHECK(std::abs(dx.data()[i] - 1 - fresh.data()[i]) < 1e-5);
        for (Index i = 0; i < grid.numel(); ++i) CHECK(std::abs(added.data()[i] - 1 - dgrid.data()[i]) < 1e-5);
    }
}

TEST_CASE("affine_grid: the identity leaves an image as it is, a mirror turns it round") {
    const auto x = test::wave<float>(Shape{1, 2, 5, 7});
    for (bool corners : {false, true}) {
        const auto same = affine_grid(Tensor<float, 3>{{{1, 0, 0}, {0, 1, 0}}}, {5, 7}, corners);
        CHECK(test::max_error(grid_sample(x, same, {.align_corners = corners}), x) < 2e-6);
        const auto half = affine_grid(Tensor<float, 3>{{{1, 0, 0}, {0, 1, 0}}}, {10, 14}, corners);
        const auto larger =
            interpolate(x, {.size = {10, 14},
                            .mode = InterpolateMode::bilinear,
                            .coordinates = corners ? PixelCoordinates::align_corners : PixelCoordinates::half_pixel});
        CHECK(test::max_error(grid_sample(x, half, {.padding = border, .align_corners = corners}), larger) < 4e-6);
    }
    const auto mirrored =
        grid_sample(x, affine_grid(Tensor<float, 3>{{{-1, 0, 0}, {0, 1, 0}}}, {5, 7}), {.mode = nearest});
    CHECK(mirrored(0, 1, 3, 0) == x(0, 1, 3, 6));
    CHECK(autograd::gradcheck(
              [](const auto& t) {
                  return affine_grid(t, {3, 4});
              },
              test::wave<double>(Shape{2, 2, 3})) < 1e-8);
    CHECK(autograd::gradcheck(
              [](const auto& t) {
                  return affine_grid(t, {1, 4}, true);
              },
              permute(test::wave<double>(Shape{3, 2, 2}), {2, 1, 0})) < 1e-8);
}

TEST_CASE("grid_sample: points that are not finite lie outside, infinite pixels stay where they are") {
    auto x = ones<float>(Shape{1, 1, 3, 3});
    x.mutable_at(0, 0, 0, 0) = std::numeric_limits<float>::infinity();
    Tensor<float, 4> grid(Shape{1, 1, 4, 2});
    grid.mutable_at(0, 0, 0, 0) = NAN;
    grid.mutable_at(0, 0, 1, 1) = std::numeric_limits<float>::infinity();
    grid.mutable_at(0, 0, 2, 0) = 1e30f;
    const auto y = grid_sample(x, grid);
    CHECK(y(0, 0, 0, 0) == 0);
    CHECK(y(0, 0, 0, 1) == 0);
    CHECK(y(0, 0, 0, 2) == 0);
    CHECK(y(0, 0, 0, 3) == 1);
}

TEST_CASE("grid_sample: nothing in gives nothing out, bad shapes are named") {
    CHECK(grid_sample(zeros<float>(Shape{0, 3, 4, 4}), zeros<float>(Shape{0, 2, 5, 2})).shape() == Shape{0, 3, 2, 5});
    CHECK(grid_sample(zeros<float>(Shape{1, 3, 4, 4}), zeros<float>(Shape{1, 0, 5, 2})).shape() == Shape{1, 3, 0, 5});
    const auto x = zeros<float>(Shape{1, 1, 4, 4});
    CHECK(test::message_of<ShapeError>([&] {
              grid_sample(x, zeros<float>(Shape{2, 3, 3, 2}));
          }) ==
          "grid_sample: grid must be [N, h, w, 2] for as many images as the input has (input [1, 1, 4, 4], grid [2, 3, "
          "3, 2])");
    CHECK(test::message_of<ShapeError>([&] {
              grid_sample(zeros<float>(Shape{1, 1, 0, 4}), zeros<float>(Shape{1, 3, 3, 2}));
          }) == "grid_sample: input must have channels and less than 2^31 pixels but has shape [1, 1, 0, 4]");
    CHECK(test::message_of<ShapeError>([&] {
              affine_grid(zeros<float>(Shape{1, 3, 3}), 4);
          }) == "affine_grid: theta must have shape [N, 2, 3] but has [1, 3, 3]");
    CHECK(test::message_of<ShapeError>([&] {
              affine_grid(zeros<float>(Shape{1, 2, 3}), {4, 0});
          }) == "affine_grid: size must not be empty but is 4x0");
}

TEST_CASE("grid_sample: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/grid_sample")) {
        CAPTURE(c.name());
        const auto mode = c.meta("mode"), padding = c.meta("padding_mode");
        const GridSampleOptions o{mode == "bilinear"  ? bilinear
                                  : mode == "nearest" ? nearest
                                                      : bicubic,
                                  padding == "zeros"    ? nothing
                                  : padding == "border" ? border
                                                        : reflection,
                                  c.flag("align_corners", false)};
        const auto check = [&]<class T>(T) {
            const auto x = autograd::leaf(c.as_real<T, 4>("in.x")), grid = autograd::leaf(c.as_real<T, 4>("in.grid"));
            autograd::Tape tape;
            const auto y = grid_sample(x, grid, o);
            test::check_golden(c, "y", y);
            tape.backward(y, c.as_real<T, 4>("r.y"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
            test::check_golden_grad(c, "in.grid", autograd::grad(grid));
        };
        check(float());
        check(double());
    }
}
