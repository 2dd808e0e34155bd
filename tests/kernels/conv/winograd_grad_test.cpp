#include <lamina/kernels/conv/winograd/forward.hpp>
#include <lamina/kernels/conv/winograd/grad_weight.hpp>

#include "../../support/archs.hpp"
#include "winograd_reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using namespace winograd_test;

namespace {

/// Both gradients, written and added, against the definition.
template <class Arch, class T>
void check_gradients() {
    for (const Conv2dGeometry& g : shapes) {
        CAPTURE(g.in_channels);
        CAPTURE(g.in_w);
        const auto x = normal<T>(g.batch * g.in_channels * g.in_plane(), 1);
        const auto w = normal<T>(9 * g.in_channels * g.out_channels, 2);
        const auto dy = normal<T>(g.batch * g.out_channels * g.plane(), 3);
        for (const bool accumulate : {false, true}) {
            const T before = accumulate ? T(3) : std::numeric_limits<T>::quiet_NaN();
            const auto plus = [&](std::vector<double> v) {
                for (double& e : v) e += accumulate ? 3 : 0;
                return v;
            };
            for (const int tile : {2, 4}) {
                const auto exact = plus(grad_input(g, dy, w));
                Guarded<T> dx(Index(exact.size()), before);
                kernels::winograd_grad_input<Arch>(g, tile, dy.data(), w.data(), dx.data(), accumulate);
                CHECK(error(dx.values(), exact).largest <= tolerance<T>);
                CHECK(dx.untouched_outside());
            }
            const auto exact = plus(grad_weight(g, dy, x));
            Guarded<T> dw(Index(exact.size()), before);
            kernels::winograd_grad_weight<Arch>(g, dy.data(), x.data(), dw.data(), accumulate);
            CHECK(error(dw.values(), exact).largest <= tolerance<T>);
            CHECK(dw.untouched_outside());
        }
    }
}

}  // namespace

TEST_CASE_TEMPLATE("winograd gradients: equal the definition", Arch, LAMINA_TEST_ARCHS) {
    check_gradients<Arch, float>();
    check_gradients<Arch, double>();
}

TEST_CASE("winograd gradients: no images") {
    const Conv2dGeometry g = same(0, 16, 8, 8, 16);
    std::vector<float> dw(9 * 16 * 16, 4);
    float nothing = 7;
    kernels::winograd_grad_input(g, 4, &nothing, dw.data(), &nothing, false);
    CHECK(nothing == 7);
    kernels::winograd_grad_weight(g, &nothing, &nothing, dw.data(), true);
    CHECK(dw == std::vector<float>(9 * 16 * 16, 4));
    kernels::winograd_grad_weight(g, &nothing, &nothing, dw.data(), false);
    CHECK(dw == std::vector<float>(9 * 16 * 16, 0));
}

TEST_CASE_TEMPLATE("winograd gradients: the same bits at any number of threads", T, float, double) {
    const int before = parallel::num_threads();
    for (const Conv2dGeometry& g : {same(2, 40, 30, 33, 50), same(5, 64, 14, 14, 70)}) {
        const auto x = normal<T>(g.batch * g.in_channels * g.in_plane(), 4);
        const auto w = normal<T>(9 * g.in_channels * g.out_channels, 5);
        const auto dy = normal<T>(g.batch * g.out_channels * g.plane(), 6);
        std::vector<T> first_dx, first_dw;
        for (const int threads : {1, 2, 3, 7}) {
            parallel::set_num_threads(threads);
            std::vector<T> dx(x.size()), dw(w.size());
            kernels::winograd_grad_input(g, 4, dy.data(), w.data(), dx.data(), false);
            kernels::winograd_grad_weight(g, dy.data(), x.data(), dw.data(), false);
            if (threads == 1) first_dx = dx, first_dw = dw;
            CHECK(dx == first_dx);
            CHECK(dw == first_dw);
        }
    }
    parallel::set_num_threads(before);
}

TEST_CASE("winograd_grad_weight: more channels than one part of the sums holds (large)") {
    const Conv2dGeometry g = same(1, 290, 6, 9, 330);
    const auto x = normal<float>(g.in_channels * g.in_plane(), 7);
    const auto dy = normal<float>(g.out_channels * g.plane(), 8);
    Guarded<float> dw(9 * g.in_channels * g.out_channels);
    kernels::winograd_grad_weight(g, dy.data(), x.data(), dw.data(), false);
    CHECK(error(dw.values(), grad_weight(g, dy, x)).largest <= tolerance<float>);
    CHECK(dw.untouched_outside());
}
