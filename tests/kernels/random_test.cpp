// Vector fills: equal to the one-number definitions and to each other on every instruction set, for any number of
// threads; distributions by moments and by the Kolmogorov-Smirnov distance.
#include <doctest/doctest.h>
#include <lamina/kernels/random_normal.hpp>
#include <tests/support/archs.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace lamina;
using random::Key;

namespace {

const Index sizes[] = {0, 1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 33, 63, 64, 65, 255, 257, 1000, 16384, 16389, 40001};

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.)); }

// Largest distance between the distribution of the samples and `cdf`, times the root of their number.
template <class T, class F>
double kolmogorov(std::vector<T> x, F cdf) {
    std::sort(x.begin(), x.end());
    const double n = double(x.size());
    double distance = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double f = cdf(double(x[i]));
        distance = std::max({distance, std::abs(f - double(i) / n), std::abs(f - double(i + 1) / n)});
    }
    return distance * std::sqrt(n);
}
constexpr double kolmogorov_limit = 1.95;  // one in a thousand

struct Moments {
    double mean = 0, variance = 0, skew = 0, kurtosis = 0, neighbours = 0;
};
template <class T>
Moments moments(const std::vector<T>& x) {
    Moments m;
    const double n = double(x.size());
    for (T v : x) m.mean += double(v) / n;
    for (T v : x) m.variance += (double(v) - m.mean) * (double(v) - m.mean) / n;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double z = (double(x[i]) - m.mean) / std::sqrt(m.variance);
        m.skew += z * z * z / n;
        m.kurtosis += z * z * z * z / n;
        if (i) m.neighbours += z * (double(x[i - 1]) - m.mean) / std::sqrt(m.variance) / n;
    }
    return m;
}

template <class T>
std::uint64_t fingerprint(const std::vector<T>& x) {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const T& v : x) {
        std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t> bits;
        __builtin_memcpy(&bits, &v, sizeof v);
        h = (h ^ bits) * 0x100000001b3u;
    }
    return h;
}

struct Threads {
    int before = parallel::num_threads();
    explicit Threads(int n) { parallel::set_num_threads(n); }
    ~Threads() { parallel::set_num_threads(before); }
};

}  // namespace

TEST_CASE_TEMPLATE("random fills: element i is what the definition says, for every size and address", Arch,
                   LAMINA_TEST_ARCHS) {
    const Key key{0x0123456789abcdef, 0xfedcba9876543210};
    for (Index n : sizes)
        for (Index offset : {0, 1}) {
            const auto check = [&]<class T>(T mark, auto fill, auto definition) {
                std::vector<T> out(std::size_t(n + 2), mark);
                fill(out.data() + offset);
                Index wrong = 0;
                for (Index i = 0; i < n; ++i) wrong += out[std::size_t(i + offset)] != T(definition(i));
                CHECK(wrong == 0);
                CHECK(out[std::size_t(n + offset)] == mark);
                if (offset) CHECK(out[0] == mark);
            };
            check(
                -9.f, [&](float* p) { kernels::fill_uniform<Arch>(key, p, n, -1.3f, 2.7f); },
                [&](Index i) { return random::uniform<float>(key, i, -1.3f, 2.7f); });
            check(
                -9., [&](double* p) { kernels::fill_uniform<Arch>(key, p, n, -1.3, 2.7); },
                [&](Index i) { return random::uniform<double>(key, i, -1.3, 2.7); });
            check(
                std::int64_t(-99), [&](std::int64_t* p) { kernels::fill_integers<Arch>(key, p, n, -7, 1000003); },
                [&](Index i) { return random::integer(key, i, -7, 1000003); });
            // Of a range just below 2^24 one word in 256 is refused.
            check(
                std::int64_t(-99),
                [&](std::int64_t* p) { kernels::fill_integers<Arch>(key, p, n, 0, (1 << 24) - 100); },
                [&](Index i) { return random::integer(key, i, 0, (1 << 24) - 100); });
            check(
                std::int64_t(-99), [&](std::int64_t* p) { kernels::fill_integers<Arch>(key, p, n, 0, Index(3) << 61); },
                [&](Index i) { return random::integer(key, i, 0, Index(3) << 61); });
            check(
                std::uint8_t(99), [&](std::uint8_t* p) { kernels::fill_bernoulli<Arch>(key, p, n, 0.25); },
                [&](Index i) { return random::bernoulli(key, i, 0.25); });
            check(
                -9.f, [&](float* p) { kernels::fill_bernoulli<Arch>(key, p, n, 0.75, 1.25f, 0.f); },
                [&](Index i) { return random::bernoulli(key, i, 0.75) ? 1.25f : 0.f; });
        }
}

TEST_CASE_TEMPLATE("random fills: probability 0 and 1, and the single value of an empty interval", Arch,
                   LAMINA_TEST_ARCHS) {
    std::vector<float> x(100, -1.f);
    kernels::fill_bernoulli<Arch>(Key{1, 1}, x.data(), 100, 0.);
    CHECK(std::count(x.begin(), x.end(), 0.f) == 100);
    kernels::fill_bernoulli<Arch>(Key{1, 1}, x.data(), 100, 1.);
    CHECK(std::count(x.begin(), x.end(), 1.f) == 100);
    kernels::fill_uniform<Arch>(Key{1, 1}, x.data(), 100, 3.f, 3.f);
    CHECK(std::count(x.begin(), x.end(), 3.f) == 100);
    kernels::fill_normal<Arch>(Key{1, 1}, x.data(), 100, 2.f, 0.f);
    CHECK(std::count(x.begin(), x.end(), 2.f) == 100);
    kernels::fill_truncated_normal<Arch>(Key{1, 1}, x.data(), 100, 0.f, 1.f, 0.5f, 0.5f);
    CHECK(std::count(x.begin(), x.end(), 0.5f) == 100);
}

TEST_CASE_TEMPLATE("random fills: normals have the same bits on every instruction set and compiler", Arch,
                   LAMINA_TEST_ARCHS) {
    std::vector<float> f(4099), tf(4099);
    std::vector<double> d(4099), td(4099);
    kernels::fill_normal<Arch>(Key{21, 1}, f.data(), 4099, 0.5f, 1.25f);
    kernels::fill_normal<Arch>(Key{21, 2}, d.data(), 4099, 0.5, 1.25);
    kernels::fill_truncated_normal<Arch>(Key{21, 3}, tf.data(), 4099, 0.1f, 0.7f, -2.f, 2.f);
    kernels::fill_truncated_normal<Arch>(Key{21, 4}, td.data(), 4099, 0.1, 0.7, 1., 9.);
    CHECK(fingerprint(f) == 0x20a5d197db46aa09u);
    CHECK(fingerprint(d) == 0x5b77f29bb46c9f39u);
    CHECK(fingerprint(tf) == 0x4b939f15003b6a14u);
    CHECK(fingerprint(td) == 0xae111702bf8f12ecu);
}

TEST_CASE("fill_normal: pairs follow Box and Muller's formula in double") {
    const Key key{31, 5};
    const Index n = 20000;
    std::vector<float> f(n);
    std::vector<double> d(n);
    kernels::fill_normal(key, f.data(), n, 0.f, 1.f);
    kernels::fill_normal(key, d.data(), n, 0., 1.);
    const double turn = 2 * std::acos(-1.);
    double worst_float = 0, worst_double = 0;
    for (Index i = 0; i < n; i += 2) {
        const std::uint64_t block = std::uint64_t(i);
        const double u = (random::word32(key, i) + 0.5) * 0x1p-32, v = random::word32(key, i + 1) * 0x1p-32;
        const double r = std::sqrt(-2 * std::log(u));
        worst_float = std::max({worst_float, std::abs(double(f[block]) - r * std::cos(turn * v)),
                                std::abs(double(f[block + 1]) - r * std::sin(turn * v))});
        const double u64 = (double(random::word64(key, i) >> 11) + 0.5) * 0x1p-53;
        const double v64 = double(random::word64(key, i + 1)) * 0x1p-64, r64 = std::sqrt(-2 * std::log(u64));
        worst_double = std::max({worst_double, std::abs(d[block] - r64 * std::cos(turn * v64)),
                                 std::abs(d[block + 1] - r64 * std::sin(turn * v64))});
    }
    CHECK(worst_float < 3e-6);  // near u = 1 a float word is 2^-25 off, and the root magnifies it
    CHECK(worst_double < 4e-15);
}

TEST_CASE("fill_normal, fill_uniform: moments and distribution of a million numbers") {
    const Index n = 1000000;
    const double root = std::sqrt(double(n));
    const auto check_normal = [&]<class T>(T) {
        std::vector<T> x(n);
        kernels::fill_normal(Key{2024, 9}, x.data(), n, T(3), T(2));
        const Moments m = moments(x);
        CHECK(std::abs(m.mean - 3) < 3 * 2 / root);
        CHECK(std::abs(m.variance - 4) < 3 * 4 * std::sqrt(2.) / root);
        CHECK(std::abs(m.skew) < 3 * std::sqrt(6.) / root);
        CHECK(std::abs(m.kurtosis - 3) < 3 * std::sqrt(24.) / root);
        CHECK(std::abs(m.neighbours) < 3 / root);
        CHECK(kolmogorov(x, [](double v) { return normal_cdf((v - 3) / 2); }) < kolmogorov_limit);
    };
    check_normal(float());
    check_normal(double());
    const auto check_uniform = [&]<class T>(T) {
        std::vector<T> x(n);
        kernels::fill_uniform(Key{2024, 10}, x.data(), n, T(-1), T(3));
        const Moments m = moments(x);
        CHECK(std::abs(m.mean - 1) < 3 * 4 / std::sqrt(12.) / root);
        CHECK(std::abs(m.variance - 16. / 12) < 3 * 16 / std::sqrt(180.) / root);
        CHECK(std::abs(m.neighbours) < 3 / root);
        CHECK(kolmogorov(x, [](double v) { return (v + 1) / 4; }) < kolmogorov_limit);
    };
    check_uniform(float());
    check_uniform(double());
}

TEST_CASE("fill_truncated_normal: inside the bounds and distributed as the normal between them") {
    struct Case {
        double mean, std, a, b;
    };
    for (const Case& c :
         {Case{0, 1, -2, 2}, Case{0.1, 0.7, -2, 2}, Case{0, 1, 1, 9}, Case{0, 1, 6, 7}, Case{0, 1, -7, -6},
          Case{5, 1, -2, 2}, Case{0, 1, -1e-3, 1e-3}, Case{0, 1, -1e30, 1e30}, Case{0, 1, -20, -19}}) {
        const Index n = 200000;
        std::vector<float> f(n);
        std::vector<double> d(n);
        kernels::fill_truncated_normal(Key{77, 1}, f.data(), n, float(c.mean), float(c.std), float(c.a), float(c.b));
        kernels::fill_truncated_normal(Key{77, 2}, d.data(), n, c.mean, c.std, c.a, c.b);
        CHECK(*std::min_element(f.begin(), f.end()) >= float(c.a));
        CHECK(*std::max_element(f.begin(), f.end()) <= float(c.b));
        CHECK(*std::min_element(d.begin(), d.end()) >= c.a);
        CHECK(*std::max_element(d.begin(), d.end()) <= c.b);
        const auto cdf = [&](double x) {
            // Measured from the end that is nearer the mean's far side, where probabilities keep their digits.
            const double lo = (c.a - c.mean) / c.std, hi = (c.b - c.mean) / c.std, z = (x - c.mean) / c.std;
            if (lo + hi > 0) return (normal_cdf(-lo) - normal_cdf(-z)) / (normal_cdf(-lo) - normal_cdf(-hi));
            return (normal_cdf(z) - normal_cdf(lo)) / (normal_cdf(hi) - normal_cdf(lo));
        };
        CHECK(kolmogorov(f, cdf) < kolmogorov_limit);
        CHECK(kolmogorov(d, cdf) < kolmogorov_limit);
    }
    std::vector<float> x(1000000);
    kernels::fill_truncated_normal(Key{78, 0}, x.data(), 1000000, 0.f, 1.f, -2.f, 2.f);
    CHECK(std::sqrt(moments(x).variance) == doctest::Approx(0.87962566).epsilon(2e-3));
    kernels::fill_truncated_normal(Key{78, 1}, x.data(), 1000, 0.f, 1.f, 50.f, 60.f);
    for (int i = 0; i < 1000; ++i) REQUIRE(x[std::size_t(i)] == 50.f);
}

TEST_CASE_TEMPLATE("inverse_normal: the distribution function brings the probability back", Arch, LAMINA_TEST_ARCHS) {
    for (double p : {1e-300, 1e-100, 1e-20, 1e-12, 1e-11, 1e-5, 0.01, 0.074, 0.076, 0.3, 0.49999, 0.5}) {
        const double z = kernels::detail::inverse_normal(simd::Vec<double, Arch>(p))[0];
        // An error e of z changes p by a share of about z e.
        CHECK(std::abs(normal_cdf(z) / p - 1) < 2e-15 * (1 + z * z));
        if (p > 1e-12)
            CHECK(kernels::detail::inverse_normal(simd::Vec<double, Arch>(1 - p))[0] ==
                  doctest::Approx(-z).epsilon(1e-4));
    }
}

TEST_CASE("random fills: the same bits for any number of threads, and past the caches") {
    const Index n = (Index(4) << 20) / 4 + 77;
    std::vector<float> one(n), many(n);
    std::vector<std::int64_t> integers_one(n), integers_many(n);
    const auto fill = [&](std::vector<float>& x, std::vector<std::int64_t>& k) {
        kernels::fill_normal(Key{5, 5}, x.data(), n, 0.f, 1.f);
        kernels::fill_integers(Key{5, 6}, k.data(), n, 0, 1000);
    };
    {
        const Threads use(1);
        fill(one, integers_one);
    }
    for (int threads : {2, 3}) {
        const Threads use(threads);
        fill(many, integers_many);
        CHECK(one == many);
        CHECK(integers_one == integers_many);
    }
    std::vector<float> small(1000);
    kernels::fill_normal(Key{5, 5}, small.data(), 1000, 0.f, 1.f);
    CHECK(std::equal(small.begin(), small.end(), one.begin()));
}
