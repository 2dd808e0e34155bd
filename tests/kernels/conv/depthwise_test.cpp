#include <lamina/kernels/conv/depthwise/depthwise.hpp>

#include "../../support/archs.hpp"
#include "conv_reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using conv_reference::naive;
using conv_reference::Problem;
using conv_reference::relative_error;
using conv_reference::wave;
using kernels::Conv2dGeometry;

namespace {

struct Case {
    Index batch, in, multiplier, h, w, kh, kw, sh, sw;
    Index before_h, before_w, after_h, after_w, dh = 1, dw = 1;

    Conv2dGeometry geometry() const {
        return {batch,
                in,
                h,
                w,
                in * multiplier,
                kh,
                kw,
                sh,
                sw,
                before_h,
                before_w,
                dh,
                dw,
                in,
                (h + before_h + after_h - dh * (kh - 1) - 1) / sh + 1,
                (w + before_w + after_w - dw * (kw - 1) - 1) / sw + 1};
    }
};
const Case cases[] = {
    {2, 3, 1, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1},          // 7x7 planes, several at a time
    {1, 19, 1, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1},         // more than are held at a time
    {1, 2, 1, 14, 15, 3, 3, 2, 2, 1, 1, 1, 1},        // stride 2
    {1, 2, 1, 14, 16, 3, 3, 2, 2, 0, 0, 1, 1},        // TensorFlow's SAME: padded behind only
    {2, 2, 1, 21, 33, 5, 5, 1, 1, 2, 2, 2, 2},        // 5x5
    {1, 3, 1, 22, 31, 5, 5, 2, 2, 2, 1, 1, 2},        // 5x5, stride 2, uneven padding
    {1, 2, 2, 10, 9, 7, 7, 1, 1, 3, 3, 3, 3},         // 7x7, two outputs for an input
    {1, 2, 3, 13, 18, 7, 7, 2, 2, 3, 3, 3, 3},        // and with stride 2
    {1, 2, 1, 8, 24, 3, 3, 1, 1, 1, 1, 1, 1},         // rows of one wide vector and half of one
    {1, 2, 1, 9, 20, 5, 5, 1, 1, 2, 2, 2, 2},         // and less
    {1, 2, 1, 9, 25, 7, 7, 1, 1, 3, 3, 3, 3},         // and more
    {1, 2, 1, 15, 41, 5, 5, 2, 2, 2, 2, 2, 2},        // with stride 2
    {1, 2, 1, 90, 80, 3, 3, 1, 1, 1, 1, 1, 1},        // several strips
    {1, 1, 2, 150, 70, 5, 5, 2, 2, 2, 2, 2, 2},       // several strips with stride 2
    {1, 2, 2, 90, 80, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},  // and with dilation
    {1, 2, 1, 12, 13, 2, 4, 3, 1, 0, 3, 1, 0, 2, 3},  // even kernel, uneven stride and dilation
    {1, 2, 2, 9, 17, 4, 3, 1, 3, 2, 0, 0, 1, 1, 2},   // column stride 3
    {2, 3, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1},          // a single element
    {1, 2, 1, 3, 3, 3, 3, 1, 1, 5, 5, 5, 5},          // more padding than plane
    {1, 2, 1, 8, 8, 3, 3, 1, 1, 0, 0, 0, 0},          // no padding
    {1, 2, 2, 9, 9, 2, 2, 4, 4, 0, 0, 0, 0},          // stride larger than the kernel
    {1, 1, 1, 4, 6, 1, 9, 1, 1, 0, 4, 0, 4},          // one row
    {1, 2, 1, 5, 7, 1, 1, 1, 1, 0, 0, 0, 0},          // one tap
    {0, 3, 1, 5, 5, 3, 3, 1, 1, 1, 1, 1, 1},          // no images
};

template <class Arch = simd::native>
void run(auto& p) {
    kernels::depthwise_forward<Arch>(p.g, p.x.data(), p.w.data(), p.y.data());
    kernels::depthwise_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), false);
    kernels::depthwise_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), false);
}

template <class Arch, class T>
void agrees_with_naive(double tolerance) {
    for (const Case& c : cases) {
        Problem<T> p(c);
        CAPTURE(&c - cases);
        std::vector<double> y = p.naive_y(), dx = p.naive_dx(), dw = p.naive_dw();
        run<Arch>(p);
        CHECK(relative_error(p.y, y) < tolerance);
        CHECK(relative_error(p.dx, dx) < tolerance);
        CHECK(relative_error(p.dw, dw) < 10 * tolerance);
        for (auto* v : {&dx, &dw})
            for (double& e : *v) e *= 2;
        kernels::depthwise_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), true);
        kernels::depthwise_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), true);
        CHECK(relative_error(p.dx, dx) < tolerance);
        CHECK(relative_error(p.dw, dw) < 10 * tolerance);
    }
}

}  // namespace

TEST_CASE_TEMPLATE("depthwise kernels: forward and gradients agree with the naive loops", Arch, LAMINA_TEST_ARCHS) {
    agrees_with_naive<Arch, float>(1e-6);
}

TEST_CASE("depthwise kernels: the same in double") { agrees_with_naive<simd::native, double>(1e-14); }

TEST_CASE("depthwise kernels: bias, residual and activation in the store count channels and images") {
    const Case c{2, 3, 2, 9, 11, 3, 3, 1, 1, 1, 1, 1, 1};
    Problem<double> p(c);
    const auto bias = wave<double>(p.g.out_channels, 3), residual = wave<double>(Index(p.y.size()), 4);
    std::vector<double> y = residual;
    naive(p.g, [&](auto x, auto w, auto o) { y[o] += p.x[x] * p.w[w]; });
    for (std::size_t i = 0; i < y.size(); ++i)
        y[i] = std::max(0.0, y[i] + bias[i / std::size_t(p.g.plane()) % std::size_t(p.g.out_channels)]);
    const auto relu = [](auto x) LAMINA_INLINE_LAMBDA { return max(decltype(x)(0.0), x); };
    kernels::depthwise_forward(
        p.g, p.x.data(), p.w.data(), p.y.data(),
        kernels::Then{kernels::Then{kernels::BiasRows<double>{bias.data()},
                                    kernels::AddImages<double>{residual.data(), p.g.out_channels, p.g.plane()}},
                      kernels::Apply{relu}});
    CHECK(relative_error(p.y, y) < 1e-14);
}

TEST_CASE("depthwise kernels: infinities and NaN reach just the outputs that see them") {
    const double infinity = std::numeric_limits<double>::infinity();
    Problem<float> p(Case{1, 1, 1, 20, 21, 3, 3, 1, 1, 1, 1, 1, 1});
    p.x[0] = float(infinity), p.x[20 * 21 - 1] = float(std::nan(""));
    run(p);
    for (Index i = 0; i < 20; ++i)
        for (Index j = 0; j < 21; ++j)
            CHECK(std::isfinite(p.y[std::size_t(i * 21 + j)]) == !((i < 2 && j < 2) || (i > 17 && j > 18)));
}

TEST_CASE("depthwise kernels: 1 and 3 threads give the same bits") {
    const int before = parallel::num_threads();
    for (const Case& c : cases) {
        Problem<float> one(c), three(c);
        parallel::set_num_threads(1);
        run(one);
        parallel::set_num_threads(3);
        run(three);
        CHECK(one.y == three.y);
        CHECK(one.dx == three.dx);
        CHECK(one.dw == three.dw);
    }
    parallel::set_num_threads(before);
}
