#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/vision/roi_align.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// One value by the definition, a point at a time.
template <class T>
double naive_point(const Tensor<T, 4>& x, Index image, Index channel, double at_y, double at_x) {
    const Index height = x.dim(2), width = x.dim(3);
    if (!(at_y >= -1 && at_y <= double(height) && at_x >= -1 && at_x <= double(width))) return 0;
    at_y = std::max(at_y, 0.0), at_x = std::max(at_x, 0.0);
    Index y0 = Index(at_y), x0 = Index(at_x), y1 = y0 + 1, x1 = x0 + 1;
    if (y0 >= height - 1) y0 = y1 = height - 1, at_y = double(y0);
    if (x0 >= width - 1) x0 = x1 = width - 1, at_x = double(x0);
    const double v = at_y - double(y0), u = at_x - double(x0);
    return (1 - v) * ((1 - u) * double(x(image, channel, y0, x0)) + u * double(x(image, channel, y0, x1))) +
           v * ((1 - u) * double(x(image, channel, y1, x0)) + u * double(x(image, channel, y1, x1)));
}
template <class T>
Tensor<double, 4> naive(const Tensor<T, 4>& x, const Tensor<T, 2>& rois, const vision::RoiAlignOptions& o) {
    auto y = zeros<double>(Shape{rois.dim(0), x.dim(1), o.output.h, o.output.w});
    const double offset = o.aligned ? 0.5 : 0;
    test::for_each_index(y.shape(), [&](const auto& at) {
        const auto coordinate = [&](Index k) { return double(rois(at[0], k)) * o.scale - offset; };
        double w = coordinate(3) - coordinate(1), h = coordinate(4) - coordinate(2);
        if (!o.aligned) w = std::max(w, 1.0), h = std::max(h, 1.0);
        const double bin_w = w / double(o.output.w), bin_h = h / double(o.output.h);
        const Index grid_w = o.sampling_ratio > 0 ? o.sampling_ratio : Index(std::ceil(bin_w));
        const Index grid_h = o.sampling_ratio > 0 ? o.sampling_ratio : Index(std::ceil(bin_h));
        double sum = 0;
        for (Index i = 0; i < grid_h; ++i)
            for (Index j = 0; j < grid_w; ++j)
                sum += naive_point(x, Index(rois(at[0], 0)), at[1],
                                   coordinate(2) + (double(at[2]) + (double(i) + 0.5) / double(grid_h)) * bin_h,
                                   coordinate(1) + (double(at[3]) + (double(j) + 0.5) / double(grid_w)) * bin_w);
        y.mutable_at(at[0], at[1], at[2], at[3]) = sum / double(std::max<Index>(grid_h * grid_w, 1));
    });
    return y;
}

/// Regions of all kinds on a map of this size.
template <class T>
Tensor<T, 2> some_regions(Index images, double height, double width) {
    const double rows[][4] = {{0.1, 0.2, 0.7, 0.9}, {-0.3, -0.2, 1.2, 1.3}, {0.4, 0.4, 0.45, 0.42},
                              {0.9, 0.8, 1.6, 1.5}, {0.3, 0.1, 0.31, 0.95}, {0.5, 0.5, 0.2, 0.3},
                              {0.6, 0.6, 0.6, 0.6}, {2, 2, 3, 3},           {0.013, 0.02, 0.98, 0.2}};
    auto out = empty<T>(Shape{9, 5});
    for (Index k = 0; k < 9; ++k) {
        out.mutable_at(k, 0) = T(k % images);
        for (Index c = 0; c < 4; ++c)
            out.mutable_at(k, c + 1) = T(rows[k][c] * (c % 2 ? height : width) + 0.013 * double(c + 1));
    }
    return out;
}

}  // namespace

TEST_CASE("roi_align: golden") {
    for (const auto& c : test::golden_cases("vision/roi_align")) {
        const auto size = c.integers("output_size");
        const vision::RoiAlignOptions o{.output = {size[0], size[1]},
                                        .scale = c.number("spatial_scale", 1),
                                        .sampling_ratio = c.integer("sampling_ratio", -1),
                                        .aligned = c.flag("aligned", false)};
        auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        autograd::Tape tape;
        const auto y = vision::roi_align(x, c.tensor<float, 2>("in.rois"), o);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}

TEST_CASE("roi_align: worked by hand") {
    const auto x = [] {
        auto t = empty<float>(Shape{1, 1, 4, 4});
        for (Index i = 0; i < 16; ++i) t.mutable_data()[i] = float(i);
        return t;
    }();
    const auto check = [&](const Tensor<float, 2>& roi, Index ratio, bool aligned, const Tensor<float, 1>& expected) {
        const auto y = vision::roi_align(x, roi, {.output = 2, .sampling_ratio = ratio, .aligned = aligned});
        for (Index i = 0; i < 4; ++i) CHECK(y.data()[i] == doctest::Approx(expected(i)).epsilon(1e-6));
    };
    check({{0, 0, 0, 3, 3}}, 2, false, {3.75f, 5.25f, 9.75f, 11.25f});
    check({{0, 0, 0, 3, 3}}, 2, true, {1.5625f, 3, 7.3125f, 8.75f});
    check({{0, .5f, .5f, 3.5f, 2.5f}}, -1, false, {5.25f, 6.6875f, 9.25f, 10.6875f});
    check({{0, .5f, .5f, 3.5f, 2.5f}}, -1, true, {2.75f, 4.25f, 6.75f, 8.25f});
}

TEST_CASE_TEMPLATE("roi_align: the definition, at all widths and numbers of bins", T, float, double) {
    for (const Index width : {1, 3, 9, 17, 34, 63, 64, 71})
        for (const Size2 output : {Size2(1, 1), Size2(3, 7), Size2(2, 8), Size2(2, 17)})
            for (const Index ratio : {0, 1, 2, 3})
                for (const bool aligned : {false, true}) {
                    const auto x = test::wave<T>(Shape{2, 2, 11, width});
                    const auto rois = some_regions<T>(2, 11, double(width));
                    const vision::RoiAlignOptions o{.output = output, .sampling_ratio = ratio, .aligned = aligned};
                    const auto error = test::max_error(vision::roi_align(x, rois, o), naive(x, rois, o));
                    CHECK_MESSAGE(error < (sizeof(T) == 4 ? 1e-4 : 1e-12), width << " " << output.w << " " << ratio);
                }
}

TEST_CASE("roi_align: gradient, also where regions overlap and lie outside") {
    const auto rois = some_regions<double>(2, 6, 9);
    for (const Index ratio : {0, 2})
        for (const bool aligned : {false, true}) {
            const auto f = [&](const auto& x) {
                return vision::roi_align(x, rois, {.output = {2, 3}, .sampling_ratio = ratio, .aligned = aligned});
            };
            CHECK(autograd::gradcheck(f, test::wave<double>(Shape{2, 3, 6, 9})) < 1e-7);
            CHECK(autograd::gradcheck(f, permute(test::wave<double>(Shape{2, 6, 9, 3}), {0, 3, 1, 2})) < 1e-7);
        }
}

TEST_CASE_TEMPLATE("roi_align: every instruction set", Arch, LAMINA_TEST_ARCHS) {
    for (const Index width : {5, 20, 70}) {
        const auto x = test::wave<float>(Shape{2, 5, 7, width});
        const auto rois = some_regions<float>(2, 7, double(width));
        const kernels::RoiGeometry g{2, 5, 7, width, 9, 3, 7, 1.0, 2, 0.5, 0};
        const kernels::RoiTable<float> table(g, rois.data());
        auto y = empty<float>(Shape{9, 5, 3, 7});
        auto dx = zeros<float>(x.shape()), expected = zeros<float>(x.shape());
        kernels::roi_align_forward<Arch>(g, table, x.data(), y.mutable_data());
        CHECK(test::max_error(y, naive(x, rois, {.output = {3, 7}, .sampling_ratio = 2, .aligned = true})) < 2e-5);
        kernels::roi_align_grad_input<Arch>(g, table, y.data(), dx.mutable_data());
        kernels::roi_align_grad_input<simd::scalar>(g, table, y.data(), expected.mutable_data());
        CHECK(test::relative_error(dx, expected) < 1e-6);
    }
}

TEST_CASE("roi_align: same bits at any number of threads") {
    const auto x = test::wave<float>(Shape{2, 19, 30, 40});
    const auto rois = some_regions<float>(2, 30, 40);
    const auto run = [&](int threads) {
        const int before = parallel::num_threads();
        parallel::set_num_threads(threads);
        auto leaf = autograd::leaf(x.clone());
        autograd::Tape tape;
        const auto y = vision::roi_align(leaf, rois, {.output = 7, .sampling_ratio = 2});
        tape.backward(y, y.detach());
        parallel::set_num_threads(before);
        return std::pair{y.detach(), autograd::grad(leaf)};
    };
    const auto one = run(1), three = run(3);
    CHECK(test::bitwise_equal(one.first, three.first));
    CHECK(test::bitwise_equal(one.second, three.second));
}

TEST_CASE("roi_align: regions that are empty, huge or not numbers") {
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const auto x = full<float>(Shape{1, 2, 5, 6}, 3.0f);
    for (const Index ratio : {0, 2, 1000})
        for (const bool aligned : {false, true}) {
            const vision::RoiAlignOptions o{.output = 2, .sampling_ratio = ratio, .aligned = aligned};
            const Tensor<float, 2> lost{{0, nan, 0, 3, 3},  {0, 0, nan, 3, 3}, {0, 0, 0, inf, 3}, {0, -inf, 0, inf, 3},
                                        {0, 0, -inf, 1, 1}, {0, 9, 9, 12, 12}, {0, -9, 0, -4, 2}};
            const auto y = vision::roi_align(x, lost, o);
            for (Index i = 0; i < y.numel(); ++i) CHECK(y.data()[i] == 0);
            const auto huge = vision::roi_align(x, Tensor<float, 2>{{0, -1e30f, -1e30f, 1e30f, 1e30f}}, o);
            for (Index i = 0; i < huge.numel(); ++i) CHECK((huge.data()[i] >= 0 && huge.data()[i] <= 3));
        }
    // A bin as wide as a million cells has a point in each; six of them lie on the map or its border.
    const auto wide = vision::roi_align(x, Tensor<float, 2>{{0, 0, 0, 1e6f, 5}}, {.output = 1});
    CHECK(wide(0, 1, 0, 0) == doctest::Approx(3 * 6e-6).epsilon(1e-4));
    CHECK(vision::roi_align(x, zeros<float>(Shape{0, 5}), {.output = 2}).shape() == Shape{0, 2, 2, 2});
    CHECK(vision::roi_align(zeros<float>(Shape{1, 0, 5, 6}), zeros<float>(Shape{1, 5}), {.output = 2}).numel() == 0);
    CHECK(vision::roi_align(zeros<float>(Shape{1, 1, 0, 6}), zeros<float>(Shape{1, 5}), {.output = 1}).item() == 0);
}

TEST_CASE("roi_align: regions of lists of boxes; errors") {
    const auto rois =
        vision::regions_of<float>({{{1, 2, 3, 4}}, Tensor<float, 2>(zeros<float>(Shape{0, 4})), {{5, 6, 7, 8}}});
    CHECK(test::bitwise_equal(rois, Tensor<float, 2>{{0, 1, 2, 3, 4}, {2, 5, 6, 7, 8}}));
    const auto x = zeros<float>(Shape{2, 1, 3, 3});
    const auto message = [&](const Tensor<float, 2>& r, const vision::RoiAlignOptions& o) {
        return test::message_of<Error>([&] { (void)vision::roi_align(x, r, o); });
    };
    CHECK(message(zeros<float>(Shape{1, 4}), {.output = 1}) ==
          "roi_align: regions must have shape [N, 5] but has [1, 4]");
    CHECK(message({{0, 0, 0, 1, 1}, {2, 0, 0, 1, 1}}, {.output = 1}) ==
          "roi_align: image must be a whole number in [0, 2) but is 2 in region 1");
    CHECK(message({{-1, 0, 0, 1, 1}}, {.output = 1}) ==
          "roi_align: image must be a whole number in [0, 2) but is -1 in region 0");
    CHECK(message({{0, 0, 0, 1, 1}}, {.output = {1, 0}}) == "roi_align: output must not be empty but is 1x0");
    CHECK(message({{0, 0, 0, 1, 1}}, {.output = 1, .scale = 0}) == "roi_align: scale must be positive but is 0");
}
