#include <lamina/kernels/conv/conv2d.hpp>

#include "../../support/archs.hpp"
#include "direct_cases.hpp"

#include <doctest/doctest.h>

using namespace direct_cases;

using kernels::LiveTaps;

namespace {

/// Kernels that reach beyond small images, and how many of their rows and columns meet them.
struct Small {
    Case sizes;
    Index rows, columns;
};
const Small small[] = {
    {square(5, 16, 1, 17, 3, 1, 1), 1, 1},                       // one pixel: a product of matrices
    {square(3, 17, 2, 16, 3, 2, 1), 2, 2},                       // four pixels, one output
    {square(2, 3, 2, 4, 5, 1, 2), 3, 3},                         // two outputs see two rows each
    {square(2, 4, 1, 6, 3, 1, 1, 1, 2), 1, 1},                   // groups
    {square(2, 3, 2, 5, 3, 1, 2, 2), 1, 1},                      // dilation
    {square(1, 2, 3, 3, 7, 1, 3), 5, 5},                         //
    {{2, 3, 1, 9, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 3},    // one row of pixels
    {{1, 3, 1, 1, 4, 2, 3, 1, 1, 1, 1, 1, 1, 0, 0, 2}, 1, 1},    // margins on one side, other ones above and below
    {{2, 16, 4, 4, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 3, 3},  // nothing to leave out
    {{0, 3, 1, 1, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 1},    // no images
};

template <class T>
void check_case(const Small& c, double tolerance) {
    constexpr auto automatic = ConvAlgorithm::automatic;
    Problem<T> p(c.sizes);
    const LiveTaps taps(p.g);
    CHECK(taps.live.kernel_h == c.rows);
    CHECK(taps.live.kernel_w == c.columns);
    CHECK(taps.fewer() == (c.rows * c.columns < p.g.taps()));

    const auto bias = wave<T>(p.g.out_channels, 3), more = wave<T>(Index(p.y.size()), 4);
    const kernels::Then epilogue{kernels::BiasRows{bias.data()},
                                 kernels::AddImages<T>{more.data(), p.g.out_channels, p.g.plane()}};
    kernels::conv2d_forward(p.g, automatic, p.x.data(), p.w.data(), p.y.data(), epilogue);
    auto y = p.naive_y();
    for (std::size_t i = 0; i < y.size(); ++i)
        y[i] += double(bias[i / std::size_t(p.g.plane()) % bias.size()]) + double(more[i]);
    CHECK(relative_error(p.y, y) < tolerance);

    auto dx = p.naive_dx(), dw = p.naive_dw();
    for (const bool accumulate : {false, true}) {
        kernels::conv2d_grad_input(p.g, automatic, p.dy.data(), p.w.data(), p.dx.data(), accumulate);
        kernels::conv2d_grad_weight(p.g, automatic, p.dy.data(), p.x.data(), p.dw.data(), accumulate);
        CHECK(relative_error(p.dx, dx) < tolerance);
        CHECK(relative_error(p.dw, dw) < tolerance);
        for (double& v : dx) v *= 2;
        for (double& v : dw) v *= 2;
    }
}

}  // namespace

TEST_CASE("convolution: taps that meet only margins are left out, and the result is the definition's") {
    for (const Small& c : small) {
        CAPTURE(&c - small);
        check_case<float>(c, 3e-6);
        check_case<double>(c, 1e-14);
    }
}

TEST_CASE("convolution: gradient of the weights from pairs of pixels") {
    const Case cases[] = {square(16, 17, 2, 19, 3, 1, 1),
                          square(17, 3, 2, 5, 3, 1, 2),
                          square(16, 4, 2, 3, 3, 1, 2, 2),
                          {20, 3, 1, 4, 6, 3, 5, 1, 1, 1, 1, 1, 1, 2, 1, 2}};
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        Problem<float> p(c), more(c);
        auto expected = p.naive_dw();
        kernels::pixel_pairs_grad_weight(p.g, p.dy.data(), p.x.data(), p.dw.data(), false);
        CHECK(relative_error(p.dw, expected) < 3e-6);
        {
            Threads threads(3);
            kernels::pixel_pairs_grad_weight(more.g, more.dy.data(), more.x.data(), more.dw.data(), false);
            CHECK(p.dw == more.dw);
        }
        kernels::pixel_pairs_grad_weight(p.g, p.dy.data(), p.x.data(), p.dw.data(), true);
        for (double& v : expected) v *= 2;
        CHECK(relative_error(p.dw, expected) < 3e-6);
    }
    CHECK(kernels::pixel_pairs_pay(cases[0].geometry()));
    CHECK(!kernels::pixel_pairs_pay(square(16, 17, 2, 19, 1, 1, 0).geometry()));
    CHECK(!kernels::pixel_pairs_pay(square(15, 17, 2, 19, 3, 1, 1).geometry()));
}

TEST_CASE("convolution: a wanted algorithm gets all taps") {
    Problem<float> p(small[0].sizes);
    for (const auto algorithm : {ConvAlgorithm::winograd_2, ConvAlgorithm::direct}) {
        kernels::conv2d_forward(p.g, algorithm, p.x.data(), p.w.data(), p.y.data());
        CHECK(relative_error(p.y, p.naive_y()) < 1e-5);
    }
}
