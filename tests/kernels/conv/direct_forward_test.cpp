#include <lamina/kernels/conv/direct/forward.hpp>

#include "../../support/archs.hpp"
#include "direct_cases.hpp"

#include <doctest/doctest.h>

using namespace direct_cases;

namespace {

template <class Arch, class T>
void check_case(const Case& c, double tolerance) {
    Problem<T> p(c);
    const auto expected = p.naive_y();
    kernels::direct_forward<Arch>(p.g, p.x.data(), p.w.data(), p.y.data());
    CHECK(relative_error(p.y, expected) < tolerance);
    const auto prepared = kernels::direct_prepare<Arch>(p.g, p.w.data());
    p.y.assign(p.y.size(), T(-777));
    kernels::direct_forward<Arch>(p.g, p.x.data(), prepared, p.y.data());
    CHECK(relative_error(p.y, expected) < tolerance);
}

}  // namespace

TEST_CASE_TEMPLATE("direct convolution: agrees with the naive loops, weights prepared or not", Arch,
                   LAMINA_TEST_ARCHS) {
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        check_case<Arch, float>(c, 2e-6);
    }
}

TEST_CASE("direct convolution: double") {
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        check_case<simd::native, double>(c, 1e-14);
    }
}

TEST_CASE("direct convolution: several strips and blocks of channels (large)") {
    for (const Case& c : large) {
        CAPTURE(&c - large);
        check_case<simd::native, float>(c, 1e-5);
    }
}

TEST_CASE("direct convolution: bias, residual images and activation in the store") {
    const auto relu = [](auto x) LAMINA_INLINE_LAMBDA { return max(decltype(x)(0.0), x); };
    for (const Case& c : cases) {
        CAPTURE(&c - cases);
        Problem<double> p(c);
        const auto bias = wave<double>(p.g.out_channels, 3), residual = wave<double>(Index(p.y.size()), 4);
        auto expected = p.naive_y();
        for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] = std::max(
                0.0, expected[i] + bias[i / std::size_t(p.g.plane()) % std::size_t(p.g.out_channels)] + residual[i]);
        kernels::direct_forward(
            p.g, p.x.data(), p.w.data(), p.y.data(),
            kernels::Then{kernels::BiasRows<double>{bias.data()},
                          kernels::Then{kernels::AddImages<double>{residual.data(), p.g.out_channels, p.g.plane()},
                                        kernels::Apply{relu}}});
        CHECK(relative_error(p.y, expected) < 1e-14);
    }
}

TEST_CASE("direct convolution: the epilogue runs once, after the last block of channels (large)") {
    Problem<float> p(large[1]);
    auto expected = p.naive_y();
    for (double& e : expected) e = 2 * e + 1;
    const auto twice = [](auto x) LAMINA_INLINE_LAMBDA { return x + x + decltype(x)(1.f); };
    kernels::direct_forward(p.g, p.x.data(), p.w.data(), p.y.data(), kernels::Apply{twice});
    CHECK(relative_error(p.y, expected) < 1e-5);
}

TEST_CASE("direct convolution: an infinite pixel reaches just the outputs that see it") {
    Problem<float> p(cases[1]);
    const Index at = 5 * p.g.in_w + 16;
    p.x[std::size_t(at)] = std::numeric_limits<float>::infinity();
    kernels::direct_forward(p.g, p.x.data(), p.w.data(), p.y.data());
    for (Index i = 0; i < p.g.plane(); ++i) {
        const bool sees = std::abs(i / p.g.out_w - 5) <= 1 && i % p.g.out_w >= 15;
        CHECK(std::isinf(p.y[std::size_t(i)]) == sees);
        CHECK(!std::isnan(p.y[std::size_t(i)]));
    }
}

TEST_CASE("direct convolution: 1, 2 and 3 threads give the same bits (large)") {
    const auto same = [](const Case& c) {
        Problem<float> one(c), more(c);
        {
            Threads threads(1);
            kernels::direct_forward(one.g, one.x.data(), one.w.data(), one.y.data());
        }
        for (int n : {2, 3}) {
            Threads threads(n);
            kernels::direct_forward(more.g, more.x.data(), more.w.data(), more.y.data());
            CHECK(one.y == more.y);
        }
    };
    for (const Case& c : cases) same(c);
    for (const Case& c : large) same(c);
}
