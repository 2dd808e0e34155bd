// Normalisations against naive statistics in double: values, hard inputs, gradients, running statistics, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/norm.hpp>
#include <lamina/ops/shape.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

namespace {

/// (x - mean) / sqrt(var + eps) of `v`, without the mean when not `center`.
std::vector<double> naive(const std::vector<double>& v, double eps, bool center) {
    double mean = 0, square = 0;
    for (double x : v) mean += center ? x / double(v.size()) : 0;
    for (double x : v) square += (x - mean) * (x - mean) / double(v.size());
    std::vector<double> out;
    for (double x : v) out.push_back((x - mean) / std::sqrt(square + eps));
    return out;
}

template <int R>
Tensor<double, R> strided(const Shape<R>& shape) {
    Shape<R> wide = shape;
    std::swap(wide[0], wide[R - 1]);
    wide[0] *= 2;
    return view::transpose(view::slice(test::wave<double>(wide), 0, 0, wide[0], 2), 0, R - 1);
}

}  // namespace

TEST_CASE_TEMPLATE("layer_norm, rms_norm kernels: every instruction set agrees with naive statistics", Arch,
                   LAMINA_TEST_ARCHS) {
    for (Index n : {1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 65, 320, 1500}) {
        const Index rows = 3;
        const auto x = test::wave<float>(Shape{rows, n});
        const auto w = test::wave<float>(Shape{n}, 1), b = test::wave<float>(Shape{n}, 2);
        auto y = empty_like(x), z = empty_like(x);
        auto mean = empty<float>(Shape{rows}), rstd = empty_like(mean);
        const kernels::RowNormGeometry g{rows, n};
        kernels::layer_norm_forward<Arch>(g, x.data(), w.data(), b.data(), 1e-5, y.mutable_data(), mean.mutable_data(),
                                          rstd.mutable_data());
        kernels::rms_norm_forward<Arch>(g, x.data(), w.data(), 1e-6, z.mutable_data(), static_cast<float*>(nullptr));
        for (Index r = 0; r < rows; ++r) {
            const std::vector<double> row(x.data() + r * n, x.data() + (r + 1) * n);
            const auto centered = naive(row, 1e-5, true), scaled = naive(row, 1e-6, false);
            for (Index i = 0; i < n; ++i) {
                const double weight = double(w(i)), bias = double(b(i));
                REQUIRE(std::abs(double(y(r, i)) - (centered[std::size_t(i)] * weight + bias)) < 2e-6);
                REQUIRE(std::abs(double(z(r, i)) - scaled[std::size_t(i)] * weight) < 2e-6);
            }
        }
    }
}

TEST_CASE("layer_norm: large means keep their digits, constants give the bias exactly") {
    for (float level : {0.f, 1e4f, -3e6f}) {
        auto x = test::wave<float>(Shape{2, 300});
        for (Index i = 0; i < x.numel(); ++i) x.mutable_data()[i] = level + (level > -1 ? 1 : 100) * x.data()[i];
        const auto y = layer_norm(x, Shape{300});
        for (Index r = 0; r < 2; ++r) {
            const auto wanted = naive(std::vector<double>(x.data() + r * 300, x.data() + (r + 1) * 300), 1e-5, true);
            for (Index i = 0; i < 300; ++i) CHECK(std::abs(double(y(r, i)) - wanted[std::size_t(i)]) < 1e-5);
        }
    }
    const auto bias = test::wave<float>(Shape{37}), weight = test::wave<float>(Shape{37}, 1);
    for (float level : {0.1f, 12345.678f, -1e20f}) {
        const auto y = layer_norm(full<float>(Shape{2, 37}, level), Shape{37}, weight, bias);
        CHECK(test::bitwise_equal(select(y, 0, 1), bias));
        const auto z = group_norm(full<float>(Shape{1, 37, 5}, level), 1, weight, bias);
        for (Index c = 0; c < 37; ++c) CHECK(z(0, c, 4) == bias(c));
        const auto t = batch_norm(full<float>(Shape{3, 37}, level), {}, {}, weight, bias, {.training = true});
        CHECK(test::bitwise_equal(select(t, 0, 2), bias));
    }
}

TEST_CASE("layer_norm: outputs large enough for streaming stores, rows that are not whole lines (large)") {
    const auto x = test::wave<float>(Shape{3300, 323});
    const auto y = layer_norm(x, Shape{323});
    for (Index r : {0, 1, 1700, 3299}) {
        const auto wanted = naive(std::vector<double>(x.data() + r * 323, x.data() + (r + 1) * 323), 1e-5, true);
        for (Index i = 0; i < 323; ++i) CHECK(std::abs(double(y(r, i)) - wanted[std::size_t(i)]) < 2e-6);
    }
}

TEST_CASE("layer_norm, rms_norm: gradients match finite differences") {
    const auto x = test::wave<double>(Shape{3, 4, 5});
    const auto w = test::wave<double>(Shape{4, 5}, 1), b = test::wave<double>(Shape{4, 5}, 2);
    const auto layer = [](const auto& t, const auto& u, const auto& v) { return layer_norm(t, Shape{4, 5}, u, v); };
    CHECK(gradcheck(layer, x, w, b) < 1e-7);
    CHECK(gradcheck(layer, strided(Shape{3, 4, 5}), strided(Shape{4, 5}), b) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return layer_norm(t, Shape{5}); }, x) < 1e-7);
    CHECK(gradcheck([](const auto& t, const auto& v) { return layer_norm(t, Shape{5}, {}, v); }, x,
                    test::wave<double>(Shape{5})) < 1e-7);
    CHECK(gradcheck([](const auto& t, const auto& u) { return rms_norm(t, Shape{4, 5}, u); }, x, w) < 1e-7);
    CHECK(gradcheck(
              [](const auto& t) {
                  return rms_norm(cat({t, layer_norm(t, Shape{5})}), Shape{5});
              },
              strided(Shape{2, 3, 5})) < 1e-7);
    // More rows than one block of weight gradients holds.
    CHECK(gradcheck([](const auto& t, const auto& u, const auto& v) { return layer_norm(t, Shape{3}, u, v); },
                    test::wave<double>(Shape{70, 3}), test::wave<double>(Shape{3}, 1),
                    test::wave<double>(Shape{3}, 2)) < 1e-6);
}

TEST_CASE("group_norm, instance_norm: numbers by hand and gradients") {
    const auto y = group_norm(reshape(arange<float>(1, 9), Shape{1, 4, 2, 1}), 2);
    const float wanted[] = {-1.3416354f, -.4472118f, .4472118f, 1.3416354f};
    for (Index i = 0; i < 8; ++i) CHECK(y.data()[i] == doctest::Approx(wanted[i % 4]).epsilon(1e-6));
    const auto x = test::wave<double>(Shape{2, 6, 3, 2});
    const auto w = test::wave<double>(Shape{6}, 1), b = test::wave<double>(Shape{6}, 2);
    for (Index groups : {1, 2, 3, 6}) {
        const auto f = [=](const auto& t, const auto& u, const auto& v) { return group_norm(t, groups, u, v); };
        CHECK(gradcheck(f, x, w, b) < 1e-7);
        CHECK(gradcheck(f, strided(Shape{2, 6, 3, 2}), w, b) < 1e-7);
    }
    CHECK(gradcheck([](const auto& t) { return group_norm(t, 2); }, test::wave<double>(Shape{3, 6})) < 1e-7);
    CHECK(test::max_error(instance_norm(x, w, b), group_norm(x, 6, w, b)) == 0);
}

TEST_CASE("batch_norm: running statistics by hand, evaluation, gradients") {
    auto mean = zeros<double>(Shape{2}), var = ones<double>(Shape{2});
    const Tensor<double, 2> x{{1, 10}, {3, 10}, {5, 40}};
    const auto y = batch_norm(x, mean, var, {}, {}, {.training = true, .momentum = 0.5, .eps = 0});
    CHECK(mean(0) == doctest::Approx(1.5));
    CHECK(mean(1) == doctest::Approx(10));
    CHECK(var(0) == doctest::Approx(0.5 + 0.5 * 4));
    CHECK(var(1) == doctest::Approx(0.5 + 0.5 * 300));
    CHECK(y(0, 0) == doctest::Approx(-2 / std::sqrt(8.0 / 3)));
    const auto z = batch_norm(x, mean, var, {}, {}, {.eps = 0});
    CHECK(z(2, 0) == doctest::Approx(3.5 / std::sqrt(2.5)));
    CHECK(mean(0) == doctest::Approx(1.5));

    const auto w = test::wave<double>(Shape{3}, 1), b = test::wave<double>(Shape{3}, 2);
    const auto m = test::wave<double>(Shape{3}, 3), v = full<double>(Shape{3}, 0.7);
    for (bool training : {true, false}) {
        const auto f = [=](const auto& t, const auto& u, const auto& s) {
            return batch_norm(t, m.clone(), v.clone(), u, s, {.training = training});
        };
        CHECK(gradcheck(f, test::wave<double>(Shape{4, 3, 2, 2}), w, b) < 1e-7);
        CHECK(gradcheck(f, strided(Shape{5, 3, 2}), w, b) < 1e-7);
        CHECK(gradcheck(f, test::wave<double>(Shape{5, 3}), w, b) < 1e-7);
    }
    CHECK(gradcheck([](const auto& t) { return batch_norm(t, {}, {}, {}, {}, {.training = true}); },
                    test::wave<double>(Shape{4, 20})) < 1e-7);
}

TEST_CASE("normalisations: empty inputs and errors") {
    CHECK(layer_norm(zeros<float>(Shape{0, 4}), Shape{4}).shape() == Shape{0, 4});
    CHECK(layer_norm(zeros<float>(Shape{4, 0}), Shape{0}).numel() == 0);
    CHECK(group_norm(zeros<float>(Shape{0, 4, 3}), 2).shape() == Shape{0, 4, 3});
    CHECK(batch_norm(zeros<float>(Shape{0, 4}), {}, {}, {}, {}, {.training = true}).shape() == Shape{0, 4});
    // No images are no reason to lose the way back: gradients are zeros.
    const auto gradients = [](auto f) {
        const auto x = autograd::leaf(zeros<float>(Shape{0, 4, 3}));
        const auto w = autograd::leaf(ones<float>(Shape{4})), b = autograd::leaf(ones<float>(Shape{4}));
        autograd::Tape tape;
        tape.backward(f(x, w, b), zeros<float>(Shape{0, 4, 3}));
        CHECK(autograd::grad(x).shape() == Shape{0, 4, 3});
        CHECK(test::bitwise_equal(autograd::grad(w), zeros<float>(Shape{4})));
        CHECK(test::bitwise_equal(autograd::grad(b), zeros<float>(Shape{4})));
    };
    gradients([](const auto& x, const auto& w, const auto& b) { return group_norm(x, 2, w, b); });
    gradients(
        [](const auto& x, const auto& w, const auto& b) { return batch_norm(x, {}, {}, w, b, {.training = true}); });
    gradients([](const auto& x, const auto& w, const auto& b) {
        return batch_norm(x, zeros<float>(Shape{4}), ones<float>(Shape{4}), w, b);
    });
    const auto x = zeros<float>(Shape{2, 6}), one = zeros<float>(Shape{1, 3});
    const auto shape = [](auto f) { return test::message_of<ShapeError>(f); };
    const auto value = [](auto f) { return test::message_of<ValueError>(f); };
    CHECK(shape([&] { layer_norm(x, Shape{5}); }) == "layer_norm: the last dimensions must be [5] (input [2, 6])");
    CHECK(shape([&] { rms_norm(x, Shape{5}); }) == "rms_norm: the last dimensions must be [5] (input [2, 6])");
    CHECK(shape([&] { layer_norm(x, Shape{6}, zeros<float>(Shape{5})); }) ==
          "layer_norm: weight must have shape [6] but has [5]");
    CHECK(shape([&] { layer_norm(x, Shape{6}, {}, zeros<float>(Shape{5})); }) ==
          "layer_norm: bias must have shape [6] but has [5]");
    CHECK(shape([&] { rms_norm(x, Shape{6}, zeros<float>(Shape{5})); }) ==
          "rms_norm: weight must have shape [6] but has [5]");
    CHECK(shape([&] { group_norm(x, 4); }) ==
          "group_norm: channels must divide into groups but there are 6 channels and 4 groups (input [2, 6])");
    CHECK(shape([&] { group_norm(x, 2, zeros<float>(Shape{5})); }) ==
          "group_norm: weight must have shape [6] but has [5]");
    CHECK(shape([&] { instance_norm(x, {}, zeros<float>(Shape{5})); }) ==
          "instance_norm: bias must have shape [6] but has [5]");
    CHECK(shape([&] { batch_norm(x, zeros<float>(Shape{5}), zeros<float>(Shape{6})); }) ==
          "batch_norm: running mean must have shape [6] but has [5] (input [2, 6])");
    CHECK(value([&] { batch_norm(one, {}, {}, {}, {}, {.training = true}); }) ==
          "batch_norm: expected more than 1 value per channel in training but there is 1 (input [1, 3])");
    CHECK(value([&] { batch_norm(x, {}, {}); }) ==
          "batch_norm: evaluation needs running mean and variance but there are none");
    CHECK(value([&] { batch_norm(x, zeros<float>(Shape{6}), {}, {}, {}, {.training = true}); }) ==
          "batch_norm: running mean and variance must be given together");
}

TEST_CASE("normalisations: the same bits on 1 and 3 threads; nothing recorded without a tape") {
    const int before = parallel::num_threads();
    const auto run = [&](int threads) {
        parallel::set_num_threads(threads);
        const auto x = autograd::leaf(test::wave<float>(Shape{80, 12, 70}));
        const auto w = autograd::leaf(test::wave<float>(Shape{70}, 1)),
                   b = autograd::leaf(test::wave<float>(Shape{70}, 2));
        const auto cw = autograd::leaf(test::wave<float>(Shape{12}, 1)),
                   cb = autograd::leaf(test::wave<float>(Shape{12}, 2));
        CHECK(!layer_norm(x, Shape{70}, w, b).grad_link());
        CHECK(!rms_norm(x, Shape{70}, w).grad_link());
        CHECK(!group_norm(x, 3, cw, cb).grad_link());
        CHECK(!batch_norm(x, {}, {}, cw, cb, {.training = true}).grad_link());
        autograd::Tape tape;
        const auto y =
            batch_norm(group_norm(layer_norm(x, Shape{70}, w, b), 3, cw, cb), {}, {}, cw, cb, {.training = true});
        tape.backward(y, test::wave<float>(y.shape(), 3));
        return std::vector{flatten(y),        flatten(autograd::grad(x)), autograd::grad(w),
                           autograd::grad(b), autograd::grad(cw),         autograd::grad(cb)};
    };
    const auto one = run(1), three = run(3);
    parallel::set_num_threads(before);
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(test::bitwise_equal(one[i], three[i]));
}

namespace {

using Leaf1 = Tensor<float, 1>;

template <int R, int K, class F>
void check_case(const test::GoldenCase& c, F&& f) {
    const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
    Tensor<float, K> weight, bias;
    const std::string kind = c.has("param.weight") ? "param." : "in.";
    if (c.has(kind + "weight")) weight = autograd::leaf(c.tensor<float, K>(kind + "weight"));
    if (c.has(kind + "bias")) bias = autograd::leaf(c.tensor<float, K>(kind + "bias"));
    autograd::Tape tape;
    const auto y = f(x, weight, bias);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, R>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    if (weight.defined()) test::check_golden_grad(c, kind + "weight", autograd::grad(weight));
    if (bias.defined()) test::check_golden_grad(c, kind + "bias", autograd::grad(bias));
}

/// A case of factors for one dimension.
template <class F>
void check_features(const test::GoldenCase& c, const F& f) {
    if (c.rank("in.x") == 2) check_case<2, 1>(c, f);
    else if (c.rank("in.x") == 3) check_case<3, 1>(c, f);
    else check_case<4, 1>(c, f);
}

}  // namespace

TEST_CASE("normalisations: golden cases") {
    for (const auto& c : test::golden_cases("ops/layer_norm")) {
        const auto shape = c.integers("normalized_shape");
        const double eps = c.number("eps", 1e-5);
        const auto one = [&](const auto& x, const auto& w, const auto& b) {
            return layer_norm(x, Shape{shape[0]}, w, b, eps);
        };
        const auto two = [&](const auto& x, const auto& w, const auto& b) {
            return layer_norm(x, Shape{shape[0], shape[1]}, w, b, eps);
        };
        const int rank = c.rank("in.x");
        if (shape.size() == 2 && rank == 4) check_case<4, 2>(c, two);
        else if (shape.size() == 2) check_case<3, 2>(c, two);
        else if (rank == 4) check_case<4, 1>(c, one);
        else if (rank == 3) check_case<3, 1>(c, one);
        else check_case<2, 1>(c, one);
    }
    for (const auto& c : test::golden_cases("ops/rms_norm"))
        check_features(c, [&](const auto& x, const auto& w, const auto&) {
            return rms_norm(x, Shape{x.dim(-1)}, w, c.number("eps", 1e-6));
        });
    for (const auto& c : test::golden_cases("ops/group_norm"))
        check_features(c, [&](const auto& x, const auto& w, const auto& b) {
            return group_norm(x, c.integer("groups", 1), w, b, c.number("eps", 1e-5));
        });
    for (const auto& c : test::golden_cases("ops/instance_norm"))
        check_features(c, [&](const auto& x, const auto& w, const auto& b) {
            return instance_norm(x, w, b, c.number("eps", 1e-5));
        });
    for (const auto& c : test::golden_cases("ops/batch_norm")) {
        const auto mean = c.tensor<float, 1>("buffer.running_mean").clone();
        const auto var = c.tensor<float, 1>("buffer.running_var").clone();
        const auto f = [&](const auto& x, const auto& w, const auto& b) {
            return batch_norm(x, mean, var, w, b,
                              {.training = c.flag("training", false),
                               .momentum = c.number("momentum", 0.1),
                               .eps = c.number("eps", 1e-5)});
        };
        check_features(c, f);
        test::check_against(c, "after.running_mean", mean, "out");
        test::check_against(c, "after.running_var", var, "out");
    }
}
