// Drawing tokens: frequencies, temperature, top-k, errors.
#include <lamina/core/create.hpp>
#include <lamina/models/sampling.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace lamina;

TEST_CASE("sampling: frequencies follow the temperature; top-k hides the rest") {
    const Tensor<float, 1> logits{0.F, 1.F, 3.F, 2.F};
    random::Rng rng(7);
    const auto frequencies = [&](const models::SamplingOptions& options) {
        std::array<double, 4> share{};
        for (Index i = 0; i < 20000; ++i) share[std::size_t(models::sample(logits, rng, options))] += 1.0 / 20000;
        return share;
    };
    const auto check = [&](const std::array<double, 4>& share, double temperature, const std::array<bool, 4>& drawn) {
        double total = 0;
        for (std::size_t i = 0; i < 4; ++i) total += drawn[i] * std::exp(double(logits(Index(i))) / temperature);
        for (std::size_t i = 0; i < 4; ++i) {
            const double p = drawn[i] * std::exp(double(logits(Index(i))) / temperature) / total;
            CHECK(std::abs(share[i] - p) < 5 * std::sqrt(p * (1 - p) / 20000) + 1e-12);
        }
    };
    check(frequencies({}), 1, {true, true, true, true});
    check(frequencies({.temperature = 2}), 2, {true, true, true, true});
    check(frequencies({.temperature = 0.7, .top_k = 2}), 0.7, {false, false, true, true});
    check(frequencies({.top_k = 9}), 1, {true, true, true, true});
    CHECK(frequencies({.temperature = 0})[2] == doctest::Approx(1));
    CHECK(frequencies({.top_k = 1})[2] == doctest::Approx(1));
    CHECK(models::sample(Tensor<float, 1>{2.F, 2.F}, rng, {.top_k = 1}) == 0);
    const float low = -INFINITY;
    CHECK(models::sample(Tensor<float, 1>{low, 1.F, low}, rng, {}) == 1);
    CHECK(models::sample(Tensor<float, 1>{NAN, 1.F, NAN}, rng, {}) == 1);
    CHECK(models::sample(Tensor<float, 1>{0.F, INFINITY}, rng, {}) == 1);
}

TEST_CASE("sampling: errors") {
    random::Rng rng(1);
    const Tensor<float, 1> logits{0.F, 1.F};
    CHECK_THROWS_WITH_AS(models::sample(logits, rng, {.temperature = -1}),
                         "sample: there must be logits, and temperature and top_k must not be negative, but are 2, "
                         "-1 and 0",
                         ValueError);
    CHECK_THROWS_AS(models::sample(logits, rng, {.top_k = -1}), ValueError);
    CHECK_THROWS_AS(models::sample(zeros<float>(Shape{0}), rng, {}), ValueError);
}
