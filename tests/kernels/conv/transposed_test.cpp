#include <lamina/kernels/conv/transposed.hpp>

#include "../../support/compare.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace lamina;
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

/// Calls f(input, weight, output) with the offsets of every product of the definition, y[s i - p + d k] += x[i] w[k].
template <class F>
void naive(const Conv2dGeometry& g, F&& f) {
    for (Index n = 0; n < g.batch; ++n)
        for (Index i = 0; i < g.out_channels; ++i)
            for (Index o = 0; o < g.group_in(); ++o)
                for (Index y = 0; y < g.out_h; ++y)
                    for (Index x = 0; x < g.out_w; ++x)
                        for (Index ky = 0; ky < g.kernel_h; ++ky)
                            for (Index kx = 0; kx < g.kernel_w; ++kx) {
                                const Index to_y = y * g.stride_h - g.pad_h + ky * g.dilation_h;
                                const Index to_x = x * g.stride_w - g.pad_w + kx * g.dilation_w;
                                if (to_y < 0 || to_y >= g.in_h || to_x < 0 || to_x >= g.in_w) continue;
                                const Index channel = n * g.in_channels + i / g.group_out() * g.group_in() + o;
                                f(((n * g.out_channels + i) * g.out_h + y) * g.out_w + x,
                                  ((i * g.group_in() + o) * g.kernel_h + ky) * g.kernel_w + kx,
                                  (channel * g.in_h + to_y) * g.in_w + to_x);
                            }
}

template <class T>
std::vector<T> wave(Index n, double phase) {
    std::vector<T> v;
    for (Index i = 0; i < n; ++i) v.push_back(T(test::wave_at(i, phase)));
    return v;
}
template <class T>
double relative_error(const std::vector<T>& a, const std::vector<double>& b) {
    double largest = 0, scale = 1;
    for (std::size_t i = 0; i < b.size(); ++i) {
        largest = std::max(largest, test::error_of(double(a[i]), b[i]));
        scale = std::max(scale, std::abs(b[i]));
    }
    return largest / scale;
}

template <class T>
struct Problem {
    Conv2dGeometry g;
    std::vector<T> x, w, y;

    explicit Problem(const Case& c)
        : g(c.geometry()),
          x(wave<T>(g.batch * g.out_channels * g.plane(), 0)),
          w(wave<T>(g.out_channels * g.depth(), 1)),
          y(std::size_t(g.batch * g.in_channels * g.in_plane()), T(-777)) {}
    std::vector<double> expected() const {
        std::vector<double> sums(y.size());
        naive(g, [&](Index i, Index k, Index o) {
            sums[std::size_t(o)] += double(x[std::size_t(i)]) * double(w[std::size_t(k)]);
        });
        return sums;
    }
};

template <class Arch, class T>
void agrees_with_naive(double tolerance) {
    for (const Case& c : cases) {
        Problem<T> p(c);
        CAPTURE(&c - cases);
        auto expected = p.expected();
        const auto run = [&](ConvAlgorithm algorithm, bool accumulate) {
            kernels::strided_grad_input<Arch>(p.g, algorithm, p.x.data(), p.w.data(), p.y.data(), accumulate);
        };
        run(ConvAlgorithm::direct, false);
        CHECK(relative_error(p.y, expected) < tolerance);
        std::fill(p.y.begin(), p.y.end(), T(-777));
        kernels::conv_transpose2d_forward<Arch>(
            p.g, ConvAlgorithm::automatic, p.x.data(),
            kernels::strided_prepare<Arch>(p.g, ConvAlgorithm::automatic, p.w.data()), p.y.data());
        CHECK(relative_error(p.y, expected) < 10 * tolerance);
        std::fill(p.y.begin(), p.y.end(), T(-777));
        run(ConvAlgorithm::automatic, false);
        CHECK(relative_error(p.y, expected) < 10 * tolerance);
        run(ConvAlgorithm::automatic, true);
        for (double& e : expected) e *= 2;
        CHECK(relative_error(p.y, expected) < 10 * tolerance);
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
        auto expected = p.expected();
        for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] =
                std::max(0.0, expected[i] + bias[i / std::size_t(p.g.in_plane()) % std::size_t(p.g.in_channels)]);
        const auto relu = [](auto x) LAMINA_INLINE_LAMBDA { return max(decltype(x)(0.0), x); };
        kernels::conv_transpose2d_forward(p.g, ConvAlgorithm::automatic, p.x.data(), (const double*)p.w.data(),
                                          p.y.data(),
                                          kernels::Then{kernels::BiasRows<double>{bias.data()}, kernels::Apply{relu}});
        CHECK(relative_error(p.y, expected) < 1e-13);
    }
}

TEST_CASE("transposed convolution kernels: 1 and 3 threads give the same bits") {
    const int before = parallel::num_threads();
    for (const Case& c : cases) {
        Problem<float> one(c), three(c);
        parallel::set_num_threads(1);
        kernels::conv_transpose2d_forward(one.g, ConvAlgorithm::automatic, one.x.data(), one.w.data(), one.y.data());
        parallel::set_num_threads(3);
        kernels::conv_transpose2d_forward(three.g, ConvAlgorithm::automatic, three.x.data(), three.w.data(),
                                          three.y.data());
        CHECK(one.y == three.y);
    }
    parallel::set_num_threads(before);
}
