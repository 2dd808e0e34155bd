#include <lamina/kernels/conv/direct/grad_weight.hpp>

#include "../../support/archs.hpp"
#include "direct_cases.hpp"

#include <doctest/doctest.h>

using namespace direct_cases;

namespace {

template <class Arch, class T>
void check_case(const Case& c, double tolerance) {
    Problem<T> p(c);
    auto expected = p.naive_dw();
    kernels::direct_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), false);
    CHECK(relative_error(p.dw, expected) < tolerance);
    kernels::direct_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), true);
    for (double& e : expected) e *= 2;
    CHECK(relative_error(p.dw, expected) < tolerance);
}

}  // namespace

TEST_CASE_TEMPLATE("direct convolution, gradient of the weights: agrees with the naive loops", Arch,
                   LAMINA_TEST_ARCHS) {
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        check_case<Arch, float>(c, 2e-6);
    }
}

TEST_CASE("direct convolution, gradient of the weights: double") {
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        check_case<simd::native, double>(c, 1e-14);
    }
}

TEST_CASE("direct convolution, gradient of the weights: several strips and blocks of channels (large)") {
    for (const Case& c : large) {
        CAPTURE(&c - large);
        check_case<simd::native, float>(c, 1e-5);
    }
}

TEST_CASE("direct convolution, gradient of the weights: 1, 2 and 3 threads give the same bits (large)") {
    for (const auto* list : {&cases[0], &large[0]})
        for (const Case* c = list; c < list + (list == cases ? std::size(cases) : std::size(large)); ++c) {
            Problem<float> one(*c), more(*c);
            {
                Threads threads(1);
                kernels::direct_grad_weight(one.g, one.dy.data(), one.x.data(), one.dw.data(), false);
            }
            for (int n : {2, 3}) {
                Threads threads(n);
                kernels::direct_grad_weight(more.g, more.dy.data(), more.x.data(), more.dw.data(), false);
                CHECK(one.dw == more.dw);
            }
        }
}
