#include <lamina/kernels/conv/direct/grad_input.hpp>

#include "../../support/archs.hpp"
#include "direct_cases.hpp"

#include <doctest/doctest.h>

using namespace direct_cases;

namespace {

template <class Arch, class T>
void check_case(const Case& c, double tolerance) {
    Problem<T> p(c);
    if (!kernels::direct_grad_input_fits(p.g)) return;
    auto expected = p.naive_dx();
    kernels::direct_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), false);
    CHECK(relative_error(p.dx, expected) < tolerance);
    kernels::direct_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), true);
    for (double& e : expected) e *= 2;
    CHECK(relative_error(p.dx, expected) < tolerance);
}

}  // namespace

TEST_CASE_TEMPLATE("direct convolution, gradient of the input: agrees with the naive loops", Arch, LAMINA_TEST_ARCHS) {
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        check_case<Arch, float>(c, 2e-6);
    }
}

TEST_CASE("direct convolution, gradient of the input: double") {
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        check_case<simd::native, double>(c, 1e-14);
    }
}

TEST_CASE("direct convolution, gradient of the input: several strips and blocks of channels (large)") {
    for (const Case& c : large) {
        CAPTURE(&c - large);
        check_case<simd::native, float>(c, 1e-5);
    }
}

TEST_CASE("direct convolution, gradient of the input: 1, 2 and 3 threads give the same bits (large)") {
    for (const auto* list : {&cases[0], &large[0]})
        for (const Case* c = list; c < list + (list == cases ? std::size(cases) : std::size(large)); ++c) {
            Problem<float> one(*c), more(*c);
            if (!kernels::direct_grad_input_fits(one.g)) continue;
            {
                Threads threads(1);
                kernels::direct_grad_input(one.g, one.dy.data(), one.w.data(), one.dx.data(), false);
            }
            for (int n : {2, 3}) {
                Threads threads(n);
                kernels::direct_grad_input(more.g, more.dy.data(), more.w.data(), more.dx.data(), false);
                CHECK(one.dx == more.dx);
            }
        }
}
