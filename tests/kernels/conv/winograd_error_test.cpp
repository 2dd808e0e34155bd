// The errors that the header promises, on the shapes of networks.
#include <lamina/kernels/conv/winograd/forward.hpp>
#include <lamina/kernels/conv/winograd/grad_weight.hpp>

#include "winograd_reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using namespace winograd_test;

TEST_CASE("winograd: errors against float64 stay within the documented bounds (large)") {
    for (const Conv2dGeometry& g : {same(1, 64, 56, 56, 16), same(1, 128, 28, 28, 16), same(1, 256, 14, 14, 16),
                                    same(1, 320, 64, 64, 16), same(1, 1280, 16, 16, 16)}) {
        CAPTURE(g.in_channels);
        const auto x = normal<float>(g.in_channels * g.in_plane(), 1, 1, true);
        const auto w = normal<float>(9 * g.in_channels * 16, 2, std::sqrt(2.0 / 9 / double(g.in_channels)));
        const auto exact = forward(g, x, w);
        for (const int tile : {2, 4}) {
            CAPTURE(tile);
            std::vector<float> prepared(exact.size()), plain(exact.size());
            kernels::winograd_forward(g, x.data(), kernels::winograd_prepare(g, tile, w.data()), prepared.data());
            kernels::winograd_forward(g, tile, x.data(), w.data(), plain.data());
            for (const Deviation& e : {error(prepared, exact), error(plain, exact)}) {
                CHECK(e.largest <= (tile == 2 ? 6e-6 : 2e-5));
                CHECK(e.rms <= (tile == 2 ? 1.1e-6 : 3e-6));
            }
        }
    }
}

TEST_CASE("winograd_grad_weight: errors against float64 stay within the documented bounds (large)") {
    for (const Conv2dGeometry& g : {same(4, 64, 28, 28, 16), same(2, 32, 56, 56, 32), same(4, 256, 14, 14, 16)}) {
        CAPTURE(g.in_channels);
        const auto x = normal<float>(g.batch * g.in_channels * g.in_plane(), 3, 1, true);
        const auto dy = normal<float>(g.batch * g.out_channels * g.plane(), 4);
        const auto exact = grad_weight(g, dy, x);
        std::vector<float> dw(exact.size());
        kernels::winograd_grad_weight(g, dy.data(), x.data(), dw.data(), false);
        const Deviation e = error(dw, exact);
        CHECK(e.largest <= 1.5e-5);
        CHECK(e.rms <= 3e-6);
    }
}
