// Reductions over any axes against naive sums in double: values, NaN, ties, empty extents, gradients, determinism.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/extrema.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/shape.hpp>
#include <lamina/ops/variance.hpp>
#include <lamina/ops/vector_norm.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

namespace {

using D3 = Tensor<double, 3>;

D3 strided(Index a, Index b, Index c) {
    return view::permute(view::slice(test::wave<double>(Shape{c, 2 * b, a}), 1, 0, 2 * b, 2), {2, 1, 0});
}

/// The elements of each group that the axes of `mask` reduce, in row-major order of the kept indices.
std::vector<std::vector<double>> groups(const D3& x, unsigned mask) {
    Shape<3> kept = x.shape();
    for (int d = 0; d < 3; ++d)
        if (mask >> d & 1u) kept[d] = 1;
    std::vector<std::vector<double>> out(std::size_t(kept.numel()));
    test::for_each_index(x.shape(), [&](const std::array<Index, 3>& at) {
        Index flat = 0;
        for (int d = 0; d < 3; ++d) flat = flat * kept[d] + (mask >> d & 1u ? 0 : at[std::size_t(d)]);
        out[std::size_t(flat)].push_back(x(at[0], at[1], at[2]));
    });
    return out;
}

template <class T, int R, class F>
double worst(const Tensor<T, R>& y, const std::vector<std::vector<double>>& g, F&& f) {
    REQUIRE(std::size_t(y.numel()) == g.size());
    double error = 0;
    for (std::size_t i = 0; i < g.size(); ++i) error = std::max(error, test::error_of(double(y.data()[i]), f(g[i])));
    return error;
}

double naive_sum(const std::vector<double>& v) {
    double s = 0;
    for (double x : v) s += x;
    return s;
}
double naive_var(const std::vector<double>& v, double correction) {
    const double m = naive_sum(v) / double(v.size());
    double s = 0;
    for (double x : v) s += (x - m) * (x - m);
    return s / (double(v.size()) - correction);
}

template <int... D>
void check_values(const D3& x, Axes<D...> a) {
    const auto g = groups(x, detail::axes_mask<3>(Axes<D...>{}));
    CHECK(worst(sum(x, a), g, naive_sum) < 1e-13);
    CHECK(worst(sum(x, a, keepdim), g, naive_sum) < 1e-13);
    CHECK(worst(mean(x, a), g, [](auto& v) { return naive_sum(v) / double(v.size()); }) < 1e-14);
    CHECK(worst(var(x, a), g, [](auto& v) { return naive_var(v, 1); }) < 1e-14);
    CHECK(worst(stddev(x, a, 0, keepdim), g, [](auto& v) { return std::sqrt(naive_var(v, 0)); }) < 1e-14);
    CHECK(worst(amax(x, a), g, [](auto& v) { return *std::max_element(v.begin(), v.end()); }) == 0);
    CHECK(worst(amin(x, a), g, [](auto& v) { return *std::min_element(v.begin(), v.end()); }) == 0);
    CHECK(worst(norm(x, a), g, [](auto& v) {
              double s = 0;
              for (double e : v) s += e * e;
              return std::sqrt(s);
          }) < 1e-13);
    CHECK(worst(logsumexp(x, a), g, [](auto& v) {
              double s = 0;
              for (double e : v) s += std::exp(e);
              return std::log(s);
          }) < 1e-13);
}

template <int... D>
void check_gradients(const D3& x, Axes<D...> a) {
    CHECK(gradcheck([=](const auto& t) { return sum(t, a); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return mean(t, a, keepdim); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return var(t, a); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return stddev(t, a, 0); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return amax(t, a); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return amin(t, a, keepdim); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return prod(t, a); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return logsumexp(t, a, keepdim); }, x) < 1e-7);
    for (double p : {1.0, 2.0, 3.0, double(INFINITY)})
        CHECK(gradcheck([=](const auto& t) { return norm(t, a, p); }, x) < 1e-6);
}

}  // namespace

TEST_CASE("reductions: values and gradients over every set of axes") {
    for (const D3& x : {test::wave<double>(Shape{3, 4, 5}), strided(2, 3, 4)}) {
        check_values(x, axes<>);
        check_values(x, axes<0>);
        check_values(x, axes<1>);
        check_values(x, axes<-1>);
        check_values(x, axes<0, 1>);
        check_values(x, axes<0, -1>);
        check_values(x, axes<2, 1>);
        check_values(x, axes<0, 1, 2>);
        check_gradients(x, axes<>);
        check_gradients(x, axes<1>);
        check_gradients(x, axes<0, -1>);
        check_gradients(x, axes<2, 1>);
    }
    const auto x = test::wave<double>(Shape{2, 3, 4});
    static_assert(std::is_same_v<decltype(sum(x)), Tensor<double, 0>>);
    static_assert(std::is_same_v<decltype(sum(x, axes<0, 2>)), Tensor<double, 1>>);
    CHECK(sum(x, axes<1>, keepdim).shape() == Shape{2, 1, 4});
    CHECK(sum(x, axes<>, keepdim).shape() == Shape{1, 1, 1});
    CHECK(sum(Tensor<double, 0>(3.0)).item() == 3);
}

TEST_CASE("sum, mean: a million floats within 1e-6 (large)") {
    auto x = empty<float>(Shape{1500000});
    double exact = 0;
    for (Index i = 0; i < x.numel(); ++i) {
        x.mutable_data()[i] = 1 + float(i % 1000) * 1e-3f;
        exact += double(x.data()[i]);
    }
    CHECK(std::abs(double(mean(x).item()) - exact / 1.5e6) < 1e-6 * exact / 1.5e6);
    CHECK(std::abs(double(sum(reshape(x, Shape{1500000, 1}), axes<0>)(0)) - exact) < 1e-6 * exact);
    CHECK(std::abs(double(sum(reshape(x, Shape{500000, 3}), axes<0, 1>).item()) - exact) < 1e-6 * exact);
}

TEST_CASE("var: a large mean does not drown a small spread") {
    auto x = test::wave<float>(Shape{1000});
    double s = 0, q = 0;
    for (Index i = 0; i < 1000; ++i) {
        x.mutable_data()[i] = 1e4f + 0.1f * x.data()[i];
        s += double(x.data()[i]);
    }
    for (Index i = 0; i < 1000; ++i) q += (double(x.data()[i]) - s / 1000) * (double(x.data()[i]) - s / 1000);
    CHECK(std::abs(double(var(x).item()) - q / 999) < 1e-3 * q / 999);
    CHECK(std::isnan(var(ones<float>(Shape{1})).item()));
    CHECK(var(ones<float>(Shape{4}), axes<>, 0).item() == 0);
    auto flat = autograd::leaf(ones<double>(Shape{3}));
    autograd::Tape tape;
    tape.backward(stddev(flat));
    CHECK(autograd::grad(flat)(1) == 0);
}

TEST_CASE("extrema: ties, NaN, infinities and positions") {
    const Tensor<float, 2> x{{0, 3, 3, -1}, {NAN, 5, NAN, 7}};
    const auto top = max(x, axes<1>);
    const auto low = min(x, axes<1>, keepdim);
    CHECK(top.values(0) == 3);
    CHECK(top.indices(0) == 1);
    CHECK(std::isnan(top.values(1)));
    CHECK(top.indices(1) == 0);
    CHECK(low.values(0, 0) == -1);
    CHECK(low.indices(0, 0) == 3);
    CHECK(low.indices(1, 0) == 0);
    CHECK(argmax(x).item() == 4);
    CHECK(argmax(x, axes<0>)(1) == 1);
    CHECK(argmax(x, axes<0>)(0) == 1);
    CHECK(argmin(x, axes<0>, keepdim)(0, 3) == 0);
    CHECK(std::isnan(max(x).item()));
    CHECK(argmax(Tensor<std::int64_t, 2>{{1, 9, 9}, {4, 2, 4}}, axes<1>)(0) == 1);
    const Tensor<std::int32_t, 2> whole{{1, 9}, {4, 2}};
    CHECK(max(whole, axes<0>).values(0) == 4);
    CHECK(argmax(zeros<float>(Shape{100})).item() == 0);
    CHECK(amax(full<float>(Shape{40}, -INFINITY)).item() == -INFINITY);

    auto t = autograd::leaf(Tensor<double, 1>{{0, 1, 1}});
    {
        autograd::Tape tape;
        tape.backward(max(t));
    }
    CHECK(autograd::grad(t)(1) == 0.5);
    CHECK(autograd::grad(t)(2) == 0.5);
    autograd::zero_grad(t);
    {
        autograd::Tape tape;
        tape.backward(max(t, axes<0>).values);
    }
    CHECK(autograd::grad(t)(1) == 1);
    CHECK(autograd::grad(t)(2) == 0);
    CHECK(gradcheck([](const auto& v) { return max(v, axes<1>, keepdim).values; }, strided(3, 4, 2)) < 1e-7);
    CHECK(gradcheck([](const auto& v) { return min(v, axes<-1>).values; }, strided(3, 4, 2)) < 1e-7);
}

TEST_CASE("argmax: long rows, every position and columns") {
    for (Index n : {1, 2, 15, 16, 17, 33, 65, 1000, 70000})
        for (Index at : {Index(0), n / 2, n - 1}) {
            auto x = zeros<float>(Shape{n});
            x.mutable_data()[at] = 1;
            CHECK(argmax(x).item() == at);
            CHECK(argmax(reshape(x, Shape{n, 1}), axes<0>)(0) == at);
            CHECK(argmin(stack({x, x, x}, 1), axes<0>)(2) == (at == 0 && n > 1 ? 1 : 0));
        }
}

TEST_CASE("prod, norm, logsumexp: gradients at zeros and at -inf") {
    const auto gradient = [](auto f, const Tensor<double, 1>& values) {
        auto x = autograd::leaf(values);
        autograd::Tape tape;
        tape.backward(f(x));
        return autograd::grad(x).clone();
    };
    const auto product = [](const auto& x) { return prod(x); };
    CHECK(test::max_error(gradient(product, {{2, 0, 3}}), Tensor<double, 1>{{0, 6, 0}}) == 0);
    CHECK(test::max_error(gradient(product, {{2, 0, 0}}), zeros<double>(Shape{3})) == 0);
    CHECK(test::max_error(gradient([](const auto& x) { return norm(x); }, {{0, 0}}), zeros<double>(Shape{2})) == 0);
    CHECK(test::max_error(gradient([](const auto& x) { return norm(x, axes<>, 1); }, {{0, -2}}),
                          Tensor<double, 1>{{0, -1}}) == 0);
    CHECK(test::max_error(gradient([](const auto& x) { return logsumexp(x); }, {{-INFINITY, -INFINITY}}),
                          zeros<double>(Shape{2})) == 0);
    CHECK(logsumexp(Tensor<double, 1>{{-INFINITY, -INFINITY}}).item() == -INFINITY);
    CHECK(logsumexp(Tensor<double, 1>{{1000, 1000}}).item() == doctest::Approx(1000 + std::log(2.0)));
    CHECK(norm(Tensor<double, 1>{{3, 0, -4}}, axes<>, 0).item() == 2);
    CHECK(norm(Tensor<double, 1>{{3, 0, -4}}, axes<>, INFINITY).item() == 4);
    CHECK(test::message_of<ValueError>([] { norm(ones<double>(Shape{2}), axes<>, -1); }) ==
          "norm: p must not be negative but is -1");
}

TEST_CASE("reductions: empty extents") {
    const auto none = zeros<double>(Shape{0, 3});
    CHECK(sum(none).item() == 0);
    CHECK(prod(none).item() == 1);
    CHECK(std::isnan(mean(none).item()));
    CHECK(sum(none, axes<0>)(2) == 0);
    CHECK(sum(none, axes<1>).shape() == Shape{0});
    CHECK(amax(none, axes<1>).shape() == Shape{0});
    CHECK(max(none, axes<1>).indices.shape() == Shape{0});
    CHECK(all(zeros<bool>(Shape{0})).item());
    CHECK(!any(zeros<bool>(Shape{0})).item());
    CHECK(logsumexp(none, axes<0>)(0) == -INFINITY);
    CHECK(test::message_of<ShapeError>([&] { amax(none); }) ==
          "amax: the reduced dimensions must not be empty (shape [0, 3])");
    CHECK(test::message_of<ShapeError>([&] { argmax(none, axes<0>); }) ==
          "argmax: the reduced dimensions must not be empty (shape [0, 3])");
    CHECK(test::message_of<ShapeError>([&] { max(none, axes<0>); }) ==
          "max: the reduced dimensions must not be empty (shape [0, 3])");
}

TEST_CASE("sum, any, all, count_nonzero: integers and truth values") {
    const Tensor<std::uint8_t, 2> x{{200, 100, 0}, {0, 255, 0}};
    CHECK(sum(x).item() == 555);
    CHECK(sum(x, axes<0>)(1) == 355);
    CHECK(sum(x, axes<1>, keepdim)(1, 0) == 255);
    CHECK(count_nonzero(x, axes<1>)(0) == 2);
    CHECK(any(x, axes<0>)(0));
    CHECK(!any(x, axes<0>)(2));
    CHECK(!all(x, axes<1>)(0));
    CHECK(all(view::slice(x, 1, 1, 2)).item());
    CHECK(sum(full<std::int32_t>(Shape{3}, 2000000000)).item() == 6000000000);
    CHECK(sum(view::permute(test::wave<std::int64_t>(Shape{3, 4, 5}), {2, 0, 1}), axes<0, 2>)(1) ==
          sum(view::select(test::wave<std::int64_t>(Shape{3, 4, 5}), 0, 1)).item());
}

TEST_CASE("reductions: the same bits on 1 and 3 threads; nothing recorded without a tape") {
    const auto x = autograd::leaf(test::wave<float>(Shape{37, 200, 70}));
    const int before = parallel::num_threads();
    const auto run = [&](int threads) {
        parallel::set_num_threads(threads);
        return std::vector{
            flatten(sum(x)), flatten(sum(x, axes<0>)),          flatten(sum(x, axes<1>)),    flatten(sum(x, axes<2>)),
            flatten(var(x)), flatten(logsumexp(x, axes<0, 2>)), flatten(norm(x, axes<0, 1>))};
    };
    const auto one = run(1), three = run(3);
    parallel::set_num_threads(before);
    for (std::size_t i = 0; i < one.size(); ++i) {
        CHECK(test::bitwise_equal(one[i], three[i]));
        CHECK(!one[i].grad_link());
    }
}

TEST_CASE("normalize: unit length, zero rows, gradient") {
    const auto y = normalize(Tensor<double, 2>{{3, 4}, {0, 0}});
    CHECK(y(0, 1) == doctest::Approx(0.8));
    CHECK(y(1, 0) == 0);
    CHECK(gradcheck([](const auto& t) { return normalize(t, 2, -1); }, strided(2, 3, 4)) < 1e-6);
}

namespace {

template <class X, class F, class... Extra>
void check_reduce(const test::GoldenCase& c, const X& x, F&& f) {
    autograd::Tape tape;
    const auto y = f(x);
    test::check_golden(c, "y", y);
    if (!c.has("r.y")) return;
    if constexpr (Real<typename std::decay_t<decltype(y)>::value_type>) {
        tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}

}  // namespace

TEST_CASE("reductions: golden cases") {
    for (const auto& c : test::golden_cases("ops/reduce")) {
        const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
        const std::string op = c.meta("op");
        bool found = false;
        const auto reduce = [&](auto axes, auto... keep) {
            const auto named = [&](const char* name, auto f) {
                if (op != name) return;
                check_reduce(c, x, [&](const auto& t) { return f(t, axes, keep...); });
                found = true;
            };
            named("sum", [](const auto& t, auto... a) { return sum(t, a...); });
            named("mean", [](const auto& t, auto... a) { return mean(t, a...); });
            named("prod", [](const auto& t, auto... a) { return prod(t, a...); });
            named("amax", [](const auto& t, auto... a) { return amax(t, a...); });
            named("amin", [](const auto& t, auto... a) { return amin(t, a...); });
            named("var", [](const auto& t, auto... a) { return var(t, a...); });
            named("std", [](const auto& t, auto... a) { return stddev(t, a...); });
            named("var_biased", [](const auto& t, auto a, auto... k) { return var(t, a, 0, k...); });
            named("norm2", [](const auto& t, auto... a) { return norm(t, a...); });
            named("logsumexp", [](const auto& t, auto... a) { return logsumexp(t, a...); });
            if constexpr (requires { argmax(x, axes, keep...); }) {
                named("argmax", [](const auto& t, auto... a) { return argmax(t, a...); });
                named("argmin", [](const auto& t, auto... a) { return argmin(t, a...); });
            }
        };
        const auto along = [&](auto axes) {
            if (c.flag("keepdim", false)) reduce(axes, keepdim);
            else reduce(axes);
        };
        const auto dims = c.integers("dims");
        if (dims == std::vector<Index>{0}) along(axes<0>);
        else if (dims == std::vector<Index>{1}) along(axes<1>);
        else if (dims == std::vector<Index>{2}) along(axes<2>);
        else if (dims == std::vector<Index>{0, 2}) along(axes<0, 2>);
        else if (dims == std::vector<Index>{1, 2}) along(axes<1, 2>);
        CHECK_MESSAGE(found, "no reduction for " << c.name());
    }
    for (const auto& c : test::golden_cases("ops/normalize"))
        check_reduce(c, autograd::leaf(c.tensor<float, 3>("in.x")), [&](const auto& t) {
            return normalize(t, c.number("p", 2), c.integer("dim", 1), c.number("eps", 1e-12));
        });
}
