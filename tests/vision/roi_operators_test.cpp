#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/vision/multi_scale_roi_align.hpp>
#include <lamina/vision/ps_roi_align.hpp>
#include <lamina/vision/ps_roi_pool.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Compares op(x, rois) and the gradient of x with every case of a folder.
template <class F>
void check_cases(const char* folder, F&& op, bool gradient = true) {
    for (const auto& c : test::golden_cases(folder)) {
        auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        autograd::Tape tape;
        const auto y = op(c, x, c.tensor<float, 2>("in.rois"));
        test::check_golden(c, "y", y);
        if (!gradient) continue;
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}
Size2 output_of(const test::GoldenCase& c, Index otherwise = 7) {
    const auto size = c.integers("output_size");
    return size.empty() ? Size2(otherwise) : Size2(size[0], size[1]);
}

/// A position-sensitive operator, its output bins taken one channel at a time from the plain one.
template <class F, class G>
void check_position_sensitive(Size2 output, F&& sensitive, G&& plain) {
    const auto x = test::wave<double>(Shape{2, 3 * output.h * output.w, 6, 9});
    const Tensor<double, 2> rois{{0, 1, 1, 6, 4}, {1, -2, -1, 5, 4}, {0, 3, 2, 8, 3}, {1, 4, 4, 4.2, 4.1}};
    const auto y = sensitive(x, rois);
    const auto all = plain(x, rois);
    REQUIRE(y.shape() == Shape{4, 3, output.h, output.w});
    test::for_each_index(y.shape(), [&](const auto& at) {
        const Index channel = (at[1] * output.h + at[2]) * output.w + at[3];
        CHECK(y(at[0], at[1], at[2], at[3]) == doctest::Approx(all(at[0], channel, at[2], at[3])).epsilon(1e-12));
    });
}

}  // namespace

TEST_CASE("region operators: golden") {
    const auto align = [](const test::GoldenCase& c, const auto& x, const auto& rois) {
        return vision::ps_roi_align(x, rois,
                                    {.output = output_of(c),
                                     .scale = c.number("spatial_scale", 1),
                                     .sampling_ratio = c.integer("sampling_ratio", -1)});
    };
    check_cases("vision/ps_roi_align", align);
    check_cases("thundernet/psroialign", align);
    check_cases("vision/roi_pool", [](const test::GoldenCase& c, const auto& x, const auto& rois) {
        return vision::roi_pool(x, rois, {.output = output_of(c), .scale = c.number("spatial_scale", 1)});
    });
    // The reference's backward pass also takes the last row and column, which its forward pass never reads.
    check_cases(
        "vision/ps_roi_pool",
        [](const test::GoldenCase& c, const auto& x, const auto& rois) {
            return vision::ps_roi_pool(x, rois, {.output = output_of(c), .scale = c.number("spatial_scale", 1)});
        },
        false);
}

TEST_CASE("ps_roi_align: worked by hand, and bin by bin as roi_align") {
    auto x = empty<float>(Shape{1, 4, 4, 4});
    for (Index i = 0; i < 64; ++i) x.mutable_data()[i] = float(i);
    const auto y = vision::ps_roi_align(x, Tensor<float, 2>{{0, 0, 0, 3, 3}}, {.output = 2, .sampling_ratio = 2});
    const double expected[] = {1.5625, 19, 39.3125, 56.75};
    for (Index i = 0; i < 4; ++i) CHECK(y.data()[i] == doctest::Approx(expected[i]));
    for (const Index ratio : {0, 1, 3})
        check_position_sensitive(
            {2, 3},
            [&](const auto& t, const auto& r) {
                return vision::ps_roi_align(t, r, {.output = {2, 3}, .sampling_ratio = ratio});
            },
            [&](const auto& t, const auto& r) {
                return vision::roi_align(t, r, {.output = {2, 3}, .sampling_ratio = ratio, .aligned = true});
            });
}

TEST_CASE("ps_roi_align: the largest sample, as ThunderNet has it") {
    auto x = zeros<float>(Shape{1, 1, 3, 4});
    x.mutable_at(0, 0, 1, 2) = 8, x.mutable_at(0, 0, 0, 0) = -4;
    const Tensor<float, 2> whole{{0, 0, 0, 4, 2}};
    // Samples at y 0.5 and 1.5, x 1 and 3; then at x 0.5, 1.5, 2.5, 3.5 in one row.
    CHECK(
        vision::ps_roi_align(x, whole, {.output = 1, .sampling_ratio = 2, .samples = vision::RoiSamples::max}).item() ==
        0);
    CHECK(
        vision::ps_roi_align(x, whole, {.output = 1, .sampling_ratio = 4, .samples = vision::RoiSamples::max}).item() ==
        3);
    const Tensor<double, 2> rois{{0, 0.3, 0.2, 5.1, 4.3}, {1, -2, -1, 3.3, 4}, {0, 4, 4, 4, 4}, {1, 8, 5, 15, 9}};
    const auto f = [&](const auto& t) {
        return vision::ps_roi_align(t, rois,
                                    {.output = {2, 2}, .sampling_ratio = 2, .samples = vision::RoiSamples::max});
    };
    CHECK(autograd::gradcheck(f, test::wave<double>(Shape{2, 8, 6, 9})) < 1e-7);
    // Never below the mean of the same samples of a positive map.
    const auto one = full<double>(Shape{2, 4, 6, 9}, 1.0);
    const auto most = f(one);
    for (Index i = 0; i < most.numel(); ++i) CHECK((most.data()[i] == doctest::Approx(1) || i >= 12));
}

TEST_CASE("roi_pool: cell by cell, ties, NaN and bins without cells") {
    const Index height = 7, width = 9;
    const auto x = test::wave<double>(Shape{2, 3, height, width});
    const Tensor<double, 2> rois{{0, 0, 0, 17, 13}, {1, 3.1, 2.9, 9, 8}, {0, -6, -4, 3, 4}, {1, 15, 11, 30, 20},
                                 {0, 8, 8, 2, 2},   {1, 40, 40, 50, 50}, {0, 5, 5, 5, 5}};
    const auto y = vision::roi_pool(x, rois, {.output = {2, 3}, .scale = 0.5});
    test::for_each_index(y.shape(), [&](const auto& at) {
        const auto cell = [&](Index k) { return std::round(rois(at[0], k) * 0.5); };
        const double w = std::max(cell(3) - cell(1) + 1, 1.0), h = std::max(cell(4) - cell(2) + 1, 1.0);
        double most = -1e9;
        for (Index v = 0; v < height; ++v)
            for (Index u = 0; u < width; ++u) {
                const double dv = double(v) - cell(2), du = double(u) - cell(1);
                const bool inside =
                    dv >= std::floor(double(at[2]) * h / 2) && dv < std::ceil(double(at[2] + 1) * h / 2) &&
                    du >= std::floor(double(at[3]) * w / 3) && du < std::ceil(double(at[3] + 1) * w / 3);
                if (inside) most = std::max(most, x(Index(rois(at[0], 0)), at[1], v, u));
            }
        CHECK(y(at[0], at[1], at[2], at[3]) == (most == -1e9 ? 0 : most));
    });
    const auto f = [&](const auto& t) { return vision::roi_pool(t, rois, {.output = {2, 3}, .scale = 0.5}); };
    CHECK(autograd::gradcheck(f, x) < 1e-7);
    CHECK(autograd::gradcheck(f, permute(test::wave<double>(Shape{2, 7, 9, 2}), {0, 3, 1, 2})) < 1e-7);

    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    auto ties = autograd::leaf(full<double>(Shape{1, 1, 2, 2}, 5.0));
    {
        autograd::Tape tape;
        tape.backward(vision::roi_pool(ties, Tensor<double, 2>{{0, 0, 0, 9, 9}}, {.output = 1}),
                      Tensor<double, 4>(full<double>(Shape{1, 1, 1, 1}, 2.0)));
    }
    CHECK(test::bitwise_equal(reshape(autograd::grad(ties), Shape{4}), Tensor<double, 1>{2, 0, 0, 0}));
    ties.mutable_at(0, 0, 1, 0) = nan;
    CHECK(std::isnan(vision::roi_pool(ties, Tensor<double, 2>{{0, 0, 0, 1, 1}}, {.output = 1}).item()));
    const Tensor<double, 2> wild{{0, nan, nan, nan, nan}, {0, -inf, -inf, inf, inf}, {0, 1e300, 0, -1e300, 1}};
    const auto of_wild = vision::roi_pool(zeros<double>(Shape{1, 1, 3, 3}), wild, {.output = 2});
    for (Index i = 0; i < of_wild.numel(); ++i) CHECK(of_wild.data()[i] == 0);
    const auto sensitive = vision::ps_roi_pool(zeros<double>(Shape{1, 4, 3, 3}), wild, {.output = 2});
    for (Index i = 0; i < sensitive.numel(); ++i) CHECK(sensitive.data()[i] == 0);
}

TEST_CASE("ps_roi_pool: cell by cell, and gradients of both position-sensitive operators") {
    const auto x = test::wave<double>(Shape{2, 12, 7, 9});
    const Tensor<double, 2> rois{{0, 0, 0, 6, 5}, {1, 2.6, 1.2, 5, 4}, {0, -3, -2, 3, 3}, {1, 20, 20, 30, 30}};
    const auto y = vision::ps_roi_pool(x, rois, {.output = {2, 3}});
    REQUIRE(y.shape() == Shape{4, 2, 2, 3});
    test::for_each_index(y.shape(), [&](const auto& at) {
        const auto cell = [&](Index k) { return std::round(rois(at[0], k)); };
        const double w = std::max(cell(3) - cell(1), 1.0), h = std::max(cell(4) - cell(2), 1.0);
        double sum = 0, count = 0;
        for (Index v = 0; v < 6; ++v)
            for (Index u = 0; u < 8; ++u) {  // the last row and column are never reached
                const double dv = double(v) - cell(2), du = double(u) - cell(1);
                if (dv < std::floor(double(at[2]) * h / 2) || dv >= std::ceil(double(at[2] + 1) * h / 2) ||
                    du < std::floor(double(at[3]) * w / 3) || du >= std::ceil(double(at[3] + 1) * w / 3))
                    continue;
                sum += x(Index(rois(at[0], 0)), (at[1] * 2 + at[2]) * 3 + at[3], v, u);
                ++count;
            }
        CHECK(y(at[0], at[1], at[2], at[3]) == doctest::Approx(count > 0 ? sum / count : 0).epsilon(1e-12));
    });
    CHECK(autograd::gradcheck(
              [&](const auto& t) {
                  return vision::ps_roi_pool(t, rois, {.output = {2, 3}});
              },
              x) < 1e-7);
    CHECK(autograd::gradcheck(
              [&](const auto& t) {
                  return vision::ps_roi_align(t, rois, {.output = {2, 3}});
              },
              x) < 1e-7);
    CHECK(test::message_of<ShapeError>([&] { (void)vision::ps_roi_pool(x, rois, {.output = 5}); }) ==
          "ps_roi_pool: channels must be a multiple of the bins (input [2, 12, 7, 9], output 5x5)");
}

TEST_CASE("multi_scale_roi_align: each region from its level, as roi_align has it") {
    const std::vector<Tensor<double, 4>> levels{test::wave<double>(Shape{2, 3, 16, 20}),
                                                test::wave<double>(Shape{2, 3, 8, 10}, 0.5),
                                                test::wave<double>(Shape{2, 3, 4, 5}, 0.9)};
    const vision::MultiScaleRoiAlignOptions o{.output = {2, 3}, .scales = {0.25, 0.125, 0.0625}, .canonical_size = 30};
    // Sides around 30 * 2^k: below the first level, in each, above the last; no area.
    const Tensor<double, 2> rois{{0, 3, 3, 8, 8},   {1, 5, 5, 14, 12},   {0, 1, 1, 18, 15}, {1, 10, 10, 40, 40},
                                 {0, 0, 0, 79, 63}, {1, 20, 20, 20, 30}, {0, 9, 9, 2, 20},  {1, 8, 2, 23, 17}};
    const auto levels_of = vision::pyramid_levels(rois, o);
    const Index expected[] = {0, 0, 1, 2, 2, 0, 0, 1};
    const auto y = vision::multi_scale_roi_align(levels, rois, o);
    for (Index k = 0; k < 8; ++k) {
        CHECK(levels_of(k) == expected[k]);
        const auto l = std::size_t(expected[k]);
        const auto one =
            vision::roi_align(levels[l], rois, {.output = o.output, .scale = o.scales[l], .sampling_ratio = 2});
        for (Index i = 0; i < 18; ++i) CHECK(y.data()[k * 18 + i] == one.data()[k * 18 + i]);
    }
    const auto f = [&](const auto& a, const auto& b, const auto& c) {
        return vision::multi_scale_roi_align<double>({a, b, c}, rois, o);
    };
    CHECK(autograd::gradcheck(f, levels[0], levels[1], levels[2]) < 1e-7);
    CHECK(vision::multi_scale_roi_align(levels, zeros<double>(Shape{0, 5}), o).shape() == Shape{0, 3, 2, 3});
    auto fewer = o;
    fewer.scales.pop_back();
    CHECK(test::message_of<ValueError>([&] { (void)vision::multi_scale_roi_align(levels, rois, fewer); }) ==
          "multi_scale_roi_align: there must be one scale for each level (3 levels, 2 scales)");
}
