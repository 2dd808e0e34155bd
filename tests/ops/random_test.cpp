// Random tensors: what lands where, fresh streams, views, distributions of multinomial, every error sentence.
#include <doctest/doctest.h>
#include <lamina/ops/random.hpp>

#include <cmath>
#include <string>
#include <vector>

using namespace lamina;

namespace {

template <class E = ValueError, class F>
std::string message_of(F&& f) {
    try {
        f();
    } catch (const E& e) { return e.what(); }
    return "nothing was thrown";
}

template <class T, int R>
bool same(const Tensor<T, R>& a, const Tensor<T, R>& b) {
    const auto x = a.clone(), y = b.clone();
    return a.shape() == b.shape() && std::equal(x.data(), x.data() + x.numel(), y.data());
}

/// The transposed view of a matrix.
template <class T>
Tensor<T, 2> transposed(const Tensor<T, 2>& x) {
    return Tensor<T, 2>(x.storage(), const_cast<T*>(x.data()), Shape{x.dim(1), x.dim(0)},
                        Strides<2>{x.strides()[1], x.strides()[0]});
}

}  // namespace

TEST_CASE("rand, randn, randint, randperm, bernoulli: element i of the stream that the call takes") {
    random::Rng rng{5, 100};
    const auto u = rand<float>(rng, Shape{3, 5});
    const auto z = randn<double>(rng, Shape{7});
    const auto k = randint(rng, -2, 9, Shape{4, 4});
    const auto p = randperm(rng, 10);
    const auto b = bernoulli<float>(rng, Shape{20}, 0.4);
    CHECK(rng.stream() == 105);
    for (Index i = 0; i < 15; ++i) CHECK(u(i / 5, i % 5) == random::uniform<float>({5, 100}, i));
    double normals[7];
    kernels::fill_normal(random::Key{5, 101}, normals, 7);
    for (Index i = 0; i < 7; ++i) CHECK(z(i) == normals[i]);
    for (Index i = 0; i < 16; ++i) CHECK(k(i / 4, i % 4) == random::integer({5, 102}, i, -2, 9));
    std::int64_t order[10];
    random::permutation(random::Key{5, 103}, order, 10);
    for (Index i = 0; i < 10; ++i) CHECK(p(i) == order[i]);
    for (Index i = 0; i < 20; ++i) CHECK(b(i) == float(random::bernoulli({5, 104}, i, 0.4)));
    CHECK_FALSE(same(rand<float>(rng, Shape{8}), rand<float>(rng, Shape{8})));
    random::Rng a{9}, c{9};
    CHECK(same(randn<float>(a, Shape{33}), randn<float>(c, Shape{33})));
    CHECK(rand_like(a, z).shape() == z.shape());
    CHECK(randn_like(a, u).shape() == u.shape());
}

TEST_CASE("random ops: element types and empty shapes") {
    random::Rng rng{6};
    CHECK(rand<float>(rng, Shape{0, 3}).numel() == 0);
    CHECK(rand<float>(rng, Shape<0>{}).numel() == 1);
    CHECK(randperm(rng, 0).numel() == 0);
    const auto bytes = randint<std::uint8_t>(rng, 0, 256, Shape{1000});
    const auto narrow = randint<std::int32_t>(rng, -3, -2, Shape{5});
    for (Index i = 0; i < 5; ++i) CHECK(narrow(i) == -3);
    double sum = 0;
    for (Index i = 0; i < 1000; ++i) sum += bytes(i);
    CHECK(std::abs(sum / 1000 - 127.5) < 4 * 74 / std::sqrt(1000.));
    const auto mask = bernoulli<bool>(rng, Shape{1000}, 0.25);
    int ones = 0;
    for (Index i = 0; i < 1000; ++i) ones += mask(i);
    CHECK(std::abs(ones - 250) < 4 * std::sqrt(1000 * 0.1875));
    CHECK(float(bernoulli<half>(rng, Shape{3}, 1)(2)) == 1.f);
    CHECK(randperm<std::int32_t>(rng, 3).numel() == 3);
}

TEST_CASE("in-place fills: views take the elements in row-major order, and versions grow") {
    random::Rng a{7}, b{7};
    auto dense = zeros<float>(Shape{5, 3}), base = zeros<float>(Shape{3, 5});
    auto view = transposed(base);
    const auto check = [&](auto fill) {
        fill(dense, a);
        fill(view, b);
        CHECK(same(dense, view));
    };
    check([](auto& x, auto& rng) { uniform_(x, rng, -1, 1); });
    check([](auto& x, auto& rng) { normal_(x, rng, 3, 2); });
    check([](auto& x, auto& rng) { trunc_normal_(x, rng, 0, 1, -1, 1); });
    check([](auto& x, auto& rng) { bernoulli_(x, rng, 0.5); });
    const auto before = dense.storage()->version();
    uniform_(dense, a);
    CHECK(dense.storage()->version() > before);
}

TEST_CASE("trunc_normal_: absolute bounds; the corrected form has the standard deviation asked for") {
    random::Rng rng{8};
    auto x = empty<float>(Shape{200000});
    const auto deviation = [&] {
        double mean = 0, square = 0;
        for (float v : x.span()) {
            mean += double(v) / 200000;
            square += double(v) * double(v) / 200000;
        }
        return std::sqrt(square - mean * mean);
    };
    trunc_normal_(x, rng);
    CHECK(deviation() == doctest::Approx(0.87962566).epsilon(5e-3));
    trunc_normal_(x, rng, 0, 0.02);  // bounds a hundred deviations away
    CHECK(deviation() == doctest::Approx(0.02).epsilon(1e-2));
    trunc_normal_corrected_(x, rng, 0.02);
    CHECK(deviation() == doctest::Approx(0.02).epsilon(5e-3));
    for (float v : x.span()) REQUIRE(std::abs(v) <= 2 * 0.02f * 1.13684724f);
}

TEST_CASE("bernoulli: each element by its own probability") {
    random::Rng rng{9};
    auto p = empty<double>(Shape{3, 4000});
    for (Index i = 0; i < 4000; ++i) {
        p.mutable_at(0, i) = 0;
        p.mutable_at(1, i) = 1;
        p.mutable_at(2, i) = 0.3;
    }
    const auto x = bernoulli(rng, p);
    double sums[3] = {};
    for (Index r = 0; r < 3; ++r)
        for (Index i = 0; i < 4000; ++i) sums[r] += x(r, i);
    CHECK(sums[0] == 0);
    CHECK(sums[1] == 4000);
    CHECK(std::abs(sums[2] - 1200) < 4 * std::sqrt(4000 * 0.21));
}

TEST_CASE("multinomial: with replacement, in the proportion of the weights") {
    random::Rng rng{10};
    const Tensor<float, 2> weights{{0, 1, 3, 0}, {2, 0, 0, 2}};
    const Index n = 20000;
    const auto drawn = multinomial(rng, weights, n, true);
    CHECK(drawn.shape() == Shape{2, n});
    int seen[2][4] = {};
    for (Index r = 0; r < 2; ++r)
        for (Index i = 0; i < n; ++i) ++seen[r][drawn(r, i)];
    CHECK(seen[0][0] + seen[0][3] + seen[1][1] + seen[1][2] == 0);
    CHECK(std::abs(seen[0][2] - 15000) < 4 * std::sqrt(n * 0.1875));
    CHECK(std::abs(seen[1][0] - 10000) < 4 * std::sqrt(n * 0.25));
}

TEST_CASE("multinomial: without replacement, like drawing one after another") {
    random::Rng rng{11};
    const Index rows = 30000;
    auto weights = empty<double>(Shape{rows, 4});
    for (Index r = 0; r < rows; ++r)
        for (Index c = 0; c < 4; ++c) weights.mutable_data()[r * 4 + c] = double(c);
    const auto drawn = multinomial(rng, weights, 2);
    int first[4] = {}, after_three[4] = {};
    for (Index r = 0; r < rows; ++r) {
        ++first[drawn(r, 0)];
        if (drawn(r, 0) == 3) ++after_three[drawn(r, 1)];
        REQUIRE(drawn(r, 0) != drawn(r, 1));
    }
    CHECK(first[0] == 0);
    CHECK(std::abs(first[3] - 15000) < 4 * std::sqrt(rows * 0.25));
    CHECK(std::abs(first[1] - 5000) < 4 * std::sqrt(rows * 5. / 36));
    CHECK(after_three[3] == 0);
    CHECK(std::abs(after_three[2] - first[3] * 2. / 3) < 4 * std::sqrt(first[3] * 2. / 9));
    const auto all = multinomial(rng, Tensor<float, 1>{1, 1, 1, 1, 1}, 5);
    std::vector<int> seen(5);
    for (Index i = 0; i < 5; ++i) ++seen[std::size_t(all(i))];
    CHECK(seen == std::vector<int>(5, 1));
    CHECK(multinomial(rng, Tensor<float, 1>{1, 2}, 0).numel() == 0);
}

TEST_CASE("multinomial: a transposed view, and the same for 1 and 3 threads") {
    const int before = parallel::num_threads();
    auto base = empty<float>(Shape{50, 3000});
    for (Index i = 0; i < base.numel(); ++i) base.mutable_data()[i] = float(1 + i % 7);
    for (bool replacement : {false, true}) {
        random::Rng a{12}, b{12};
        parallel::set_num_threads(1);
        const auto one = multinomial(a, transposed(base), 20, replacement);
        parallel::set_num_threads(3);
        const auto three = multinomial(b, transposed(base).clone(), 20, replacement);
        CHECK(same(one, three));
    }
    parallel::set_num_threads(before);
}

TEST_CASE("random ops: error sentences") {
    random::Rng rng{13};
    auto x = zeros<float>(Shape{4});
    CHECK(message_of([&] { uniform_(x, rng, 2, 1); }) ==
          "uniform_: lo must not be above hi, nor hi - lo overflow, but they are 2 and 1");
    CHECK(message_of([&] { uniform_(x, rng, -3e38, 3e38); }) ==
          "uniform_: lo must not be above hi, nor hi - lo overflow, but they are -3e+38 and 3e+38");
    CHECK(message_of([&] { uniform_(x, rng, std::nan(""), 1); }) ==
          "uniform_: lo must not be above hi, nor hi - lo overflow, but they are nan and 1");
    CHECK(message_of([&] { normal_(x, rng, 0, -1); }) == "normal_: std must not be negative but is -1");
    CHECK(message_of([&] { trunc_normal_(x, rng, 0, 0); }) == "trunc_normal_: std must be positive but is 0");
    CHECK(message_of([&] { trunc_normal_(x, rng, 0, 1, 2, 1); }) ==
          "trunc_normal_: a must not be above b but they are 2 and 1");
    CHECK(message_of([&] { trunc_normal_corrected_(x, rng, -1); }) ==
          "trunc_normal_corrected_: std must be positive but is -1");
    CHECK(message_of([&] { bernoulli_(x, rng, 1.5); }) == "bernoulli_: p must lie in [0, 1] but is 1.5");
    CHECK(message_of([&] { bernoulli<float>(rng, Shape{2}, -0.5); }) == "bernoulli: p must lie in [0, 1] but is -0.5");
    CHECK(message_of([&] {
              bernoulli(rng, Tensor<float, 1>{0, 2});
          }) == "bernoulli: p must lie in [0, 1] but element 1 of [2] is 2");
    CHECK(message_of([&] { randint(rng, 3, 3, Shape{2}); }) == "randint: low must be below high but they are 3 and 3");
    CHECK(message_of([&] { randint<std::uint8_t>(rng, 0, 300, Shape{2}); }) ==
          "randint: uint8 must hold low and high - 1 but they are 0 and 299");
    CHECK(message_of([&] { randperm(rng, -1); }) == "randperm: n must lie in [0, 9223372036854775807] but is -1");
    CHECK(message_of([&] { randperm<std::uint8_t>(rng, 257); }) == "randperm: n must lie in [0, 255] but is 257");
    CHECK(message_of([&] {
              multinomial(rng, Tensor<float, 1>{1, 1}, -1);
          }) == "multinomial: samples must not be negative but is -1");
    CHECK(message_of([&] {
              multinomial(rng, Tensor<float, 1>{1, -1}, 1);
          }) == "multinomial: weights must be finite and not negative but category 1 of row 0 has -1 (weights [2])");
    CHECK(message_of([&] {
              multinomial(rng, Tensor<float, 2>{{1, 1}, {0, 0}}, 1, true);
          }) == "multinomial: row 1 must have a positive weight (weights [2, 2])");
    CHECK(message_of([&] {
              multinomial(rng, Tensor<float, 1>{1, 0, 2}, 3);
          }) ==
          "multinomial: 3 samples without replacement need as many positive weights but row 0 has 2 (weights [3])");
    CHECK(message_of<ShapeError>([&] { rand<float>(rng, Shape{-1}); }) != "nothing was thrown");
    const auto streams = rng.stream();
    CHECK(message_of([&] { normal_(x, rng, 0, -1); }) != "nothing was thrown");
    CHECK(rng.stream() == streams);
}
