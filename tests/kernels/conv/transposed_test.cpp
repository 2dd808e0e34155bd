#include <lamina/kernels/conv/transposed.hpp>

#include "conv_reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using conv_reference::Problem;
using conv_reference::relative_error;
using conv_reference::wave;
using kernels::Conv2dGeometry;

namespace {

/// A transposed convolution of [batch, in, h, w] by a kernel; `more` rows and columns are added behind.
struct Case {
    Index batch, in, h, w, out, kh, kw, sh, sw, ph, pw;
    Index more_h = 0, more_w = 0, dh = 1, dw = 1, groups = 1;

    /// The convolution it is the gradient of.
    Conv2dGeometry geometry() const {
        return {batch,
                out,
                (h - 1) * sh - 2 * ph + dh * (kh - 1) + more_h + 1,
                (w - 1) * sw - 2 * pw + dw * (kw - 1) + more_w + 1,
                in,
                kh,
                kw,
                sh,
                sw,
                ph,
                pw,
                dh,
                dw,
                groups,
                h,
                w};
    }
};
const Case cases[] = {
    {2, 5, 6, 7, 3, 4, 4, 2, 2, 1, 1},                 // the upsampler of decoders
    {1, 20, 9, 19, 33, 4, 4, 2, 2, 1, 1},              // more channels than a tile
    {1, 3, 5, 17, 4, 3, 3, 2, 2, 1, 1, 1, 1},          // phases of different kernels
    {2, 4, 5, 6, 6, 2, 2, 2, 2, 0, 0},                 // pointwise phases
    {1, 3, 6, 5, 2, 3, 3, 1, 1, 0, 0},                 // stride 1
    {1, 32, 8, 8, 32, 3, 3, 1, 1, 1, 1},               // Winograd
    {1, 3, 5, 4, 2, 3, 5, 3, 2, 1, 2, 2, 0},           // stride 3
    {2, 4, 4, 5, 6, 3, 3, 2, 2, 0, 0, 0, 0, 1, 1, 2},  // groups
    {1, 4, 5, 6, 4, 4, 4, 2, 2, 1, 1, 0, 0, 1, 1, 4},  // depthwise
    {2, 3, 7, 6, 6, 3, 3, 2, 2, 1, 1, 1, 0, 1, 1, 3},  // depthwise with a multiplier
    {1, 2, 4, 5, 3, 2, 1, 4, 3, 0, 0},                 // phases without taps
    {1, 2, 4, 5, 3, 3, 2, 2, 3, 1, 0, 0, 0, 3, 2, 1},  // dilation and stride without a common divisor
    {1, 2, 5, 5, 3, 3, 4, 4, 2, 0, 0, 1, 1, 2, 4, 1},  // and with one: phases that see nothing
    {1, 2, 4, 4, 3, 5, 5, 2, 2, 5, 4, 1, 1},           // padding cuts off whole taps
    {1, 1, 1, 1, 1, 3, 3, 2, 2, 1, 1},                 // one element of one
    {1, 2, 1, 9, 3, 1, 4, 1, 2, 0, 1},                 // one row
    {1, 24, 21, 22, 18, 4, 4, 2, 2, 1, 1},             // all phases in one Winograd convolution
    {2, 16, 20, 18, 16, 5, 5, 2, 2, 2, 2, 1, 1},       // and phases of different kernels
    {1, 16, 21, 20, 16, 4, 4, 2, 2, 2, 0},             // and with other margins
    {0, 3, 5, 5, 4, 4, 4, 2, 2, 1, 1},                 // no images
};

/// The gradient of the convolution's input is the transposed convolution of dy.
template <class Arch, class T>
void agrees_with_naive(double tolerance) {
    for (const Case& c : cases) {
        Problem<T> p(c);
        CAPTURE(&c - cases);
        auto expected = p.naive_dx();
        const auto run = [&](ConvAlgorithm algorithm, bool accumulate) {
            kernels::strided_grad_input<Arch>(p.g, algorithm, p.dy.data(), p.w.data(), p.dx.data(), accumulate);
        };
        run(ConvAlgorithm::direct, false);
        CHECK(relative_error(p.dx, expected) < tolerance);
        std::fill(p.dx.begin(), p.dx.end(), T(-777));
        kernels::conv_transpose2d_forward<Arch>(
            p.g, ConvAlgorithm::automatic, p.dy.data(),
            kernels::strided_prepare<Arch>(p.g, ConvAlgorithm::automatic, p.w.data()), p.dx.data());
        CHECK(relative_error(p.dx, expected) < 10 * tolerance);
        std::fill(p.dx.begin(), p.dx.end(), T(-777));
        run(ConvAlgorithm::automatic, false);
        CHECK(relative_error(p.dx, expected) < 10 * tolerance);
        run(ConvAlgorithm::automatic, true);
        for (double& e : expected) e *= 2;
        CHECK(relative_error(p.dx, expected) < 10 * tolerance);
    }
}

}  // namespace

// The convolutions it is made of are tested on all instruction sets.
TEST_CASE("transposed convolution kernels agree with the definition") {
    agrees_with_naive<simd::native, float>(2e-6);
    agrees_with_naive<simd::scalar, float>(2e-6);
}

TEST_CASE("transposed convolution kernels: the same in double") { agrees_with_naive<simd::native, double>(1e-14); }

TEST_CASE("transposed convolution kernels: bias and activation in the store count output channels") {
    for (const Index at : {0, 2, 4, 5, 8, 10}) {
        CAPTURE(at);
        Problem<double> p(cases[at]);
        const auto bias = wave<double>(p.g.in_channels, 3);
        auto expected = p.naive_dx();
        for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] =
                std::max(0.0, expected[i] + bias[i / std::size_t(p.g.in_plane()) % std::size_t(p.g.in_channels)]);
        const auto relu = [](auto x) LAMINA_INLINE_LAMBDA { return max(decltype(x)(0.0), x); };
        kernels::conv_transpose2d_forward(p.g, ConvAlgorithm::automatic, p.dy.data(), (const double*)p.w.data(),
                                          p.dx.data(),
                                          kernels::Then{kernels::BiasRows<double>{bias.data()}, kernels::Apply{relu}});
        CHECK(relative_error(p.dx, expected) < 1e-13);
    }
}

TEST_CASE("transposed convolution kernels: 1 and 3 threads give the same bits") {
    const int before = parallel::num_threads();
    for (const Case& c : cases) {
        Problem<float> one(c), three(c);
        parallel::set_num_threads(1);
        kernels::conv_transpose2d_forward(one.g, ConvAlgorithm::automatic, one.dy.data(), one.w.data(), one.dx.data());
        parallel::set_num_threads(3);
        kernels::conv_transpose2d_forward(three.g, ConvAlgorithm::automatic, three.dy.data(), three.w.data(),
                                          three.dx.data());
        CHECK(one.dx == three.dx);
    }
    parallel::set_num_threads(before);
}
