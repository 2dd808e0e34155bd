#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/dropout.hpp>
#include <lamina/parallel/for.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// The view of `x` with its dimensions reversed.
template <class T, int R>
Tensor<T, R> reversed_dims(const Tensor<T, R>& x) {
    Shape<R> shape;
    Strides<R> strides;
    for (int d = 0; d < R; ++d) {
        shape[d] = x.shape()[R - 1 - d];
        strides[std::size_t(d)] = x.strides()[std::size_t(R - 1 - d)];
    }
    return Tensor<T, R>(x.storage(), const_cast<T*>(x.data()), shape, strides);
}

struct Formula {
    auto operator()(auto a, auto b) const { return a * b + abs(a - b); }
};

}  // namespace

TEST_CASE_TEMPLATE("map_forward: every ISA agrees with the plain loop at every length", Arch, LAMINA_TEST_ARCHS) {
    for (Index n : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000}) {
        const auto a = test::wave<float>(Shape{n}), b = test::wave<float>(Shape{n}, 1);
        auto y = full<float>(Shape{n + 1}, -7.0f);
        kernels::map_forward<Arch>(Formula{}, n, y.mutable_data(), a.data(), b.data());
        double error = 0;
        for (Index i = 0; i < n; ++i)
            error = std::max(error, std::abs(double(y(i)) - (double(a(i)) * b(i) + std::abs(double(a(i)) - b(i)))));
        CHECK(error < 1e-6);
        CHECK(y(n) == -7.0f);
    }
}

TEST_CASE_TEMPLATE("fold_rows: the same bits for every vector width", Arch, LAMINA_TEST_ARCHS) {
    for (Index rows : {1, 7, 8, 9, 20}) {
        const Index columns = 128, padded = (rows + 7) / 8 * 8;
        auto g = zeros<float>(Shape{padded, columns});
        for (Index i = 0; i < rows * columns; ++i) g.mutable_data()[i] = float(test::wave_at(i));
        auto h = g.clone();
        auto a = zeros<float>(Shape{columns}), b = zeros<float>(Shape{columns});
        kernels::fold_rows<Arch>(a.mutable_data(), g.mutable_data(), rows, columns);
        kernels::fold_rows<simd::scalar>(b.mutable_data(), h.mutable_data(), rows, columns);
        CHECK(test::bitwise_equal(a, b));
        double error = 0;
        for (Index c = 0; c < columns; ++c) {
            double sum = 0;
            for (Index r = 0; r < rows; ++r) sum += test::wave_at(r * columns + c);
            error = std::max(error, std::abs(sum - double(a(c))));
        }
        CHECK(error < 1e-5);
    }
}

TEST_CASE("map: values and gradients over all kinds of broadcasts and strides") {
    const auto f = [](const auto& a, const auto& b) { return map(Formula{}, a, b); };
    const auto check = [&](const auto& a, const auto& b) {
        const auto y = f(a, b);
        const auto big_a = y * 0 + a, big_b = y * 0 + b;
        const auto ca = big_a.clone(), cb = big_b.clone();
        double error = 0;
        for (Index i = 0; i < y.numel(); ++i)
            error = std::max(
                error, std::abs(y.data()[i] - (ca.data()[i] * cb.data()[i] + std::abs(ca.data()[i] - cb.data()[i]))));
        CHECK(error < 1e-14);
        CHECK(autograd::gradcheck(f, a, b) < 1e-7);
    };
    const auto w = [](auto shape, double phase = 0) { return test::wave<double>(shape, phase); };
    check(w(Shape{5, 7}), w(Shape{5, 7}, 1));           // equal
    check(w(Shape{3, 40}), w(Shape{40}, 1));            // a bias
    check(w(Shape{3, 5}), w(Shape{5}, 1));              // a short bias
    check(w(Shape{40}), w(Shape{3, 40}, 1));            // the other way round
    check(w(Shape{3, 40}), w(Shape{3, 1}, 1));          // a column
    check(w(Shape{3, 4}), w(Shape{3, 1}, 1));           // a short column
    check(w(Shape{2, 3, 5, 8}), w(Shape{3, 1, 1}, 1));  // a channel
    check(w(Shape{2, 3, 2, 2}), w(Shape{3, 1, 1}, 1));  // a channel of few pixels
    check(w(Shape{6, 1}), w(Shape{1, 40}, 1));          // both
    check(w(Shape{40, 1}), w(Shape{1, 6}, 1));
    check(w(Shape{3, 40}), w(Shape<0>{}, 1));                 // a number
    check(reversed_dims(w(Shape{7, 5})), w(Shape{5, 7}, 1));  // transposed
    check(reversed_dims(w(Shape{40, 3})), w(Shape{40}, 1));
    check(w(Shape{2, 1, 40}), reversed_dims(w(Shape{1, 4, 2}, 1)));
}

TEST_CASE("map: long sums of broadcast gradients are accurate and independent of the thread count") {
    const int before = parallel::num_threads();
    const auto gradients = [](const auto& x, const auto& b, int threads) {
        parallel::set_num_threads(threads);
        auto t = autograd::leaf(b.clone());
        autograd::Tape tape;
        const auto y = x * t;
        tape.backward(y, ones<float>(y.shape()));
        return autograd::grad(t);
    };
    const auto check = [&](const auto& x, const auto& b) {
        const auto one = gradients(x, b, 1), three = gradients(x, b, 3);
        CHECK(test::bitwise_equal(one, three));
        return one;
    };
    const auto x = test::wave<float>(Shape{3000, 65});
    const auto bias = check(x, ones<float>(Shape{65}));
    double error = 0;
    for (Index c = 0; c < 65; ++c) {
        double sum = 0;
        for (Index r = 0; r < 3000; ++r) sum += double(x(r, c));
        error = std::max(error, std::abs(sum - double(bias(c))));
    }
    CHECK(error < 1e-4);
    double total = 0;
    for (Index i = 0; i < x.numel(); ++i) total += double(x.data()[i]);
    CHECK(std::abs(total - double(check(x, ones<float>(Shape<0>{})).item())) < 1e-2);
    check(test::wave<float>(Shape{4, 3, 100, 37}), ones<float>(Shape{3, 1, 1}));
    check(test::wave<float>(Shape{40000, 3}), ones<float>(Shape{3}));
    check(test::wave<float>(Shape{40000, 3}), ones<float>(Shape{40000, 1}));
    parallel::set_num_threads(before);
}

TEST_CASE("map: large outputs, which are streamed, equal small ones") {
    const Index n = (Index(5) << 20) / 4 + 13;
    const auto x = test::wave<float>(Shape{n});
    const auto y = relu(x);
    bool right = true;
    for (Index i = 0; i < n; ++i) right = right && y.data()[i] == std::max(0.0f, x.data()[i]);
    CHECK(right);
}

TEST_CASE("map: the same tensor twice, several passes, constants") {
    const auto x = test::wave<double>(Shape{3, 5});
    CHECK(autograd::gradcheck([](const auto& t) { return t * t; }, x) < 1e-7);
    auto a = autograd::leaf(Tensor<double, 1>{2}), b = autograd::leaf(Tensor<double, 1>{3});
    for (int pass = 1; pass <= 2; ++pass) {
        autograd::Tape tape;
        tape.backward(map<1>([](auto s, auto t) { return s * s * t; }, a, b));
        CHECK(autograd::grad(a).item() == 12 * pass);
        CHECK(!autograd::has_grad(b));
    }
    CHECK(map([](auto s, auto t) { return max(s, 0.0) * exp(-t); }, a, b).item() ==
          doctest::Approx(2 * std::exp(-3.0)));
}

TEST_CASE("map: nothing is recorded without a tape or without a tracked operand") {
    auto x = autograd::leaf(Tensor<float, 1>{1});
    CHECK(!relu(x).grad_link());
    autograd::Tape tape;
    CHECK(!relu(x.detach()).grad_link());
    CHECK(tape.size() == 0);
    relu(x);
    CHECK(tape.size() == 1);
    CHECK(test::message_of<GradError>([&] { map_elements([](float v) { return v; }, x); }) == "map: has no gradient");
}

TEST_CASE("map: a saved operand that changes is an error, unless its values do not matter") {
    auto x = autograd::leaf(Tensor<float, 1>{1, 2}), k = Tensor<float, 1>{3, 4};
    {
        autograd::Tape tape;
        const auto y = x * k;
        k.fill(0);
        CHECK(test::message_of<GradError>([&] { tape.backward(y, ones<float>(Shape{2})); }) ==
              "backward: a saved tensor of shape [2] was changed in place (version 0 when recorded, now 1)");
    }
    autograd::Tape tape;
    const auto y = x + k;
    k.fill(5);
    tape.backward(y, ones<float>(Shape{2}));
    CHECK(autograd::grad(x)(0) == 1);
}

TEST_CASE("dropout: drops while training, scales what it keeps, repeats with the seed") {
    const auto x = ones<float>(Shape{100, 100});
    CHECK(test::bitwise_equal(dropout(x, 0.5), x));
    random::Rng rng(7);
    autograd::Tape tape{.generator = &rng};
    const auto y = dropout(x, 0.25);
    Index kept = 0;
    for (Index i = 0; i < y.numel(); ++i) {
        kept += y.data()[i] != 0;
        if (y.data()[i] != 0) CHECK(y.data()[i] == doctest::Approx(1 / 0.75));
    }
    CHECK(std::abs(double(kept) - 7500) < 300);
    CHECK(!test::bitwise_equal(dropout(x, 0.25), y));
    rng = random::Rng(7);
    CHECK(test::bitwise_equal(dropout(x, 0.25), y));
    CHECK(test::bitwise_equal(dropout(x, 1), zeros<float>(x.shape())));
    const auto examples = drop_path(ones<float>(Shape{64, 2, 3}), 0.25);
    kept = 0;
    for (Index n = 0; n < 64; ++n) {
        CHECK((examples(n, 0, 0) == 0 || examples(n, 0, 0) == doctest::Approx(4.0 / 3)));
        CHECK(examples(n, 1, 2) == examples(n, 0, 0));
        kept += examples(n, 0, 0) != 0;
    }
    CHECK(kept > 36);
    CHECK(kept < 60);
    const auto channels = dropout2d(ones<float>(Shape{4, 8, 3, 3}), 0.5);
    for (Index n = 0; n < 4; ++n)
        for (Index c = 0; c < 8; ++c) CHECK(channels(n, c, 0, 0) == channels(n, c, 2, 2));
    CHECK(test::message_of<ValueError>([&] { dropout(x, 1.5); }) == "dropout: p must lie in [0, 1] but is 1.5");
}

TEST_CASE("dropout: the gradient passes where the value did; evaluation tapes do not drop") {
    auto x = autograd::leaf(ones<float>(Shape{64}));
    {
        autograd::Tape tape;
        const auto y = dropout(x, 0.5);
        tape.backward(y, ones<float>(Shape{64}));
        CHECK(test::bitwise_equal(autograd::grad(x), y.detach()));
    }
    autograd::Tape tape{.training = false};
    CHECK(test::bitwise_equal(dropout(x, 0.5), x.detach()));
}
