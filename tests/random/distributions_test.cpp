// Single numbers: ranges and their ends, evenness of integers, probabilities, orders.
#include <doctest/doctest.h>
#include <lamina/random/permutation.hpp>
#include <lamina/random/rng.hpp>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

using namespace lamina;
using random::Key;

TEST_CASE_TEMPLATE("uniform: multiples of 2^-24 (2^-53) in [0, 1)", T, float, double) {
    const Key key{1, 2};
    const T scale = sizeof(T) == 4 ? T(0x1p24) : T(0x1p53);
    double sum = 0;
    for (Index i = 0; i < 20000; ++i) {
        const T u = random::uniform<T>(key, i);
        REQUIRE(u >= 0);
        REQUIRE(u < 1);
        REQUIRE(std::floor(u * scale) == u * scale);
        sum += double(u);
    }
    CHECK(std::abs(sum / 20000 - 0.5) < 3 / std::sqrt(12 * 20000.));
}

TEST_CASE_TEMPLATE("uniform: the upper end never comes up, even where rounding reaches it", T, float, double) {
    const T one = 1, next = std::nextafter(one, T(2));
    for (const auto& [lo, hi] : std::vector<std::pair<T, T>>{{one, next},
                                                             {-next, -one},
                                                             {T(-1), T(0)},
                                                             {T(0), std::numeric_limits<T>::denorm_min()},
                                                             {T(1e8), T(1e8) + T(8)},
                                                             {T(-3), T(5)}})
        for (Index i = 0; i < 3000; ++i) {
            const T x = random::uniform<T>({3, 4}, i, lo, hi);
            REQUIRE(x >= lo);
            REQUIRE(x < hi);
        }
    for (Index i = 0; i < 10; ++i) CHECK(random::uniform<T>({3, 4}, i, T(2.5), T(2.5)) == T(2.5));
}

TEST_CASE("UniformRange: the last number below is what nextafter says") {
    for (float x : {1.f, -1.f, 0.f, 3e38f, -3e38f, 1e-45f, -1e-45f, 0.5f}) {
        const float lower = -std::numeric_limits<float>::infinity();
        CHECK(random::UniformRange<float>::below(x) == std::nextafter(x, lower));
        CHECK(random::UniformRange<double>::below(double(x)) == std::nextafter(double(x), double(lower)));
    }
}

TEST_CASE("integer: every value equally often") {
    for (Index range : {1, 2, 3, 7, 10}) {
        const int draws = 100000;
        std::vector<int> seen(std::size_t(range), 0);
        for (Index i = 0; i < draws; ++i)
            ++seen[std::size_t(random::integer({5, std::uint64_t(range)}, i, -3, range - 3) + 3)];
        double chi = 0;
        const double expected = double(draws) / double(range);
        for (int count : seen) chi += (count - expected) * (count - expected) / expected;
        CHECK(chi < double(range - 1) + 4 * std::sqrt(2. * double(range)));
    }
}

TEST_CASE("integer: refused words are replaced, so that a range near the word's size stays even") {
    // Thirds of 3 * 2^62 would be hit 2 : 1 : 1 by a plain remainder of 64 bits.
    const std::uint64_t range = std::uint64_t(3) << 62;
    int thirds[3] = {};
    for (Index i = 0; i < 30000; ++i) {
        const std::uint64_t x = random::below({6, 0}, i, range);
        REQUIRE(x < range);
        ++thirds[x >> 62];
    }
    for (int count : thirds) CHECK(std::abs(count - 10000) < 4 * std::sqrt(30000 * 2. / 9));
    int halves[2] = {};
    for (Index i = 0; i < 30000; ++i) ++halves[random::below({6, 1}, i, random::narrow_range - 1) >> 23];
    CHECK(std::abs(halves[0] - 15000) < 4 * std::sqrt(30000 / 4.));
}

TEST_CASE("integer: the widest range covers both signs") {
    const auto low = std::numeric_limits<std::int64_t>::min(), high = std::numeric_limits<std::int64_t>::max();
    int negative = 0;
    for (Index i = 0; i < 1000; ++i) negative += random::integer({7, 0}, i, low, high) < 0;
    CHECK(std::abs(negative - 500) < 64);
    CHECK(random::integer({7, 0}, 3, high - 1, high) == high - 1);
}

TEST_CASE("bernoulli: never at 0, always at 1, in between as often as asked") {
    int never = 0, always = 0, some = 0;
    for (Index i = 0; i < 20000; ++i) {
        never += random::bernoulli({8, 0}, i, 0);
        always += random::bernoulli({8, 0}, i, 1);
        some += random::bernoulli({8, 0}, i, 0.3);
    }
    CHECK(never == 0);
    CHECK(always == 20000);
    CHECK(std::abs(some - 6000) < 4 * std::sqrt(20000 * 0.21));
}

TEST_CASE("permutation: every number once, every order equally often") {
    for (Index n : {0, 1, 2, 5, 1000, 4099}) {
        std::vector<std::int64_t> order(std::size_t(n), -1);
        random::permutation(Key{9, 0}, order.data(), n);
        std::vector<int> seen(std::size_t(n), 0);
        for (auto i : order) ++seen[std::size_t(i)];
        for (int count : seen) REQUIRE(count == 1);
    }
    std::map<std::string, int> orders;
    for (std::uint64_t s = 0; s < 24000; ++s) {
        std::string letters = "abcd";
        random::shuffle(Key{10, s}, letters.data(), 4);
        ++orders[letters];
    }
    CHECK(orders.size() == 24);
    double chi = 0;
    for (const auto& [letters, count] : orders) chi += (count - 1000.) * (count - 1000.) / 1000.;
    CHECK(chi < 49.7);  // 23 degrees of freedom, one in a thousand
}

TEST_CASE("shuffle: exchange k takes element k of the integers below n - k") {
    const Index n = 11;
    std::vector<int> fast(11), slow(11);
    for (int i = 0; i < 11; ++i) fast[std::size_t(i)] = slow[std::size_t(i)] = i;
    random::shuffle(Key{12, 3}, fast.data(), n);
    for (Index k = 0; k + 1 < n; ++k)
        std::swap(slow[std::size_t(n - 1 - k)], slow[random::below({12, 3}, k, std::uint64_t(n - k))]);
    CHECK(fast == slow);
}
