// Order along a dimension against std::stable_sort: ties, NaN, every length around the radix threshold, gradients.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/scan.hpp>
#include <lamina/ops/shape.hpp>
#include <lamina/ops/sort.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

#include <numeric>

using namespace lamina;
using autograd::gradcheck;

namespace {

/// Whether a comes before b: NaN counts as largest.
template <class T>
bool before(T a, T b, bool descending) {
    const bool an = a != a, bn = b != b;
    if (an || bn) return descending ? an && !bn : !an && bn;
    return descending ? a > b : a < b;
}

template <class T>
void check_sorted(const Tensor<T, 3>& x, Index dim, bool descending) {
    const auto y = sort(x, dim, {.descending = descending});
    const Index n = x.dim(int(dim)), k = (n + 1) / 2;
    const auto top = topk(x, k, dim, {.largest = descending});
    const auto lines = movedim(x, dim, 2), values = movedim(y.values, dim, 2), top_values = movedim(top.values, dim, 2);
    const auto indices = movedim(y.indices, dim, 2), top_indices = movedim(top.indices, dim, 2);
    bool right = true;
    for (Index a = 0; a < lines.dim(0); ++a)
        for (Index b = 0; b < lines.dim(1); ++b) {
            std::vector<Index> order(static_cast<std::size_t>(n));
            std::iota(order.begin(), order.end(), Index(0));
            std::stable_sort(order.begin(), order.end(),
                             [&](Index p, Index q) { return before(lines(a, b, p), lines(a, b, q), descending); });
            for (Index i = 0; i < n; ++i) {
                const Index wanted = order[std::size_t(i)];
                right = right && indices(a, b, i) == wanted &&
                        test::error_of(double(values(a, b, i)), double(lines(a, b, wanted))) == 0;
                if (i < k)
                    right = right && top_indices(a, b, i) == wanted &&
                            test::error_of(double(top_values(a, b, i)), double(lines(a, b, wanted))) == 0;
            }
        }
    CHECK(right);
    CHECK(test::bitwise_equal(argsort(x, dim, {.descending = descending}), y.indices));
}

template <class T>
Tensor<T, 3> irregular(const Shape<3>& shape) {
    auto x = empty<T>(shape);
    std::uint64_t state = 1;
    for (Index i = 0; i < x.numel(); ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const auto r = Index(state >> 33);
        if constexpr (Real<T>)
            x.mutable_data()[i] = r % 11 == 0   ? T(NAN)
                                  : r % 7 == 0  ? -T(0)
                                  : r % 13 == 0 ? T(-INFINITY)
                                                : T(r % 41 - 20) * T(1.7);
        else x.mutable_data()[i] = T(r % 50 * 1000003);
    }
    return x;
}

}  // namespace

TEST_CASE_TEMPLATE("sort, argsort, topk: agree with a stable sort", T, float, double, std::int32_t, std::int64_t,
                   std::uint8_t) {
    for (Index n : {1, 2, 3, 17, 47, 48, 49, 50, 200, 1000})
        for (bool descending : {false, true}) {
            check_sorted(irregular<T>(Shape{2, n, 3}), 1, descending);
            check_sorted(irregular<T>(Shape{2, 1, n}), 2, descending);
            check_sorted(view::permute(irregular<T>(Shape{3, 2, n}), {2, 0, 1}), 0, descending);
        }
}

TEST_CASE("sort, topk: empty lines, errors, gradients") {
    CHECK(sort(zeros<float>(Shape{2, 0})).values.shape() == Shape{2, 0});
    CHECK(topk(zeros<float>(Shape{2, 3}), 0).indices.shape() == Shape{2, 0});
    CHECK(sort(Tensor<float, 0>(2.0f)).values.item() == 2);
    const auto x = test::wave<double>(Shape{3, 5, 2});
    CHECK(gradcheck([](const auto& t) { return sort(t, 1, {.descending = true}).values; }, x) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return topk(t, 2, 1).values; }, x) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return topk(t, 2, -1, {.largest = false}).values; }, view::transpose(x, 1, 2)) <
          1e-7);
    CHECK(test::message_of<ValueError>([&] { topk(x, 6, 1); }) ==
          "topk: k must lie in [0, 5] but is 6 (shape [3, 5, 2], dimension 1)");
    CHECK(test::message_of<ValueError>([&] { sort(x, 3); }) == "sort: dim must lie in [-3, 2] but is 3");
    const auto leaf = autograd::leaf(x);
    CHECK(!sort(leaf).values.grad_link());
    CHECK(!topk(leaf, 1).values.grad_link());
}

TEST_CASE("cumsum, cumprod: running results and gradients, zeros included") {
    const auto x = test::wave<double>(Shape{3, 4, 5});
    for (Index dim : {0, 1, 2}) {
        const auto s = movedim(cumsum(x, dim), dim, 2), p = movedim(cumprod(x, dim), dim, 2), v = movedim(x, dim, 2);
        for (Index a = 0; a < v.dim(0); ++a)
            for (Index b = 0; b < v.dim(1); ++b) {
                double sum = 0, product = 1;
                for (Index i = 0; i < v.dim(2); ++i) {
                    sum += v(a, b, i);
                    product *= v(a, b, i);
                    CHECK(s(a, b, i) == doctest::Approx(sum));
                    CHECK(p(a, b, i) == doctest::Approx(product));
                }
            }
        CHECK(gradcheck(
                  [=](const auto& t) {
                      return cat({cumsum(t, dim), cumprod(t, dim)});
                  },
                  view::transpose(x, 0, 2)) < 1e-7);
    }
    CHECK(gradcheck([](const auto& t) { return cumprod(t, 0); }, Tensor<double, 1>{{2, 0, 3, -1}}) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return cumprod(t, 0); }, Tensor<double, 1>{{2, 0, 3, 0, 5}}) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return cumprod(t, 1); }, Tensor<double, 2>{{0, 2}, {3, 0}}) < 1e-7);
    CHECK(cumsum(arange<std::int64_t>(5), 0)(4) == 10);
    CHECK(cumsum(zeros<float>(Shape{0, 3}), 0).shape() == Shape{0, 3});
    CHECK(cumsum(Tensor<float, 0>(3.0f), 0).item() == 3);
    CHECK(double(cumsum(full<float>(Shape{1 << 20}, 0.1f), 0)((1 << 20) - 1)) ==
          doctest::Approx(104857.6).epsilon(1e-7));
    CHECK(!cumsum(autograd::leaf(x), 0).grad_link());
    CHECK(!cumprod(autograd::leaf(x), 0).grad_link());
    CHECK(test::message_of<ValueError>([&] { cumsum(x, 3); }) == "cumsum: dim must lie in [-3, 2] but is 3");
    CHECK(test::message_of<ValueError>([&] { cumprod(x, -4); }) == "cumprod: dim must lie in [-3, 2] but is -4");
}

TEST_CASE("sort, cumsum: the same bits on 1 and 3 threads") {
    const auto x = irregular<float>(Shape{40, 300, 7});
    const int before = parallel::num_threads();
    parallel::set_num_threads(1);
    const auto sorted = sort(x, 1).indices;
    const auto running = cumsum(test::wave<float>(x.shape()), 1);
    parallel::set_num_threads(3);
    CHECK(test::bitwise_equal(sorted, sort(x, 1).indices));
    CHECK(test::bitwise_equal(running, cumsum(test::wave<float>(x.shape()), 1)));
    parallel::set_num_threads(before);
}

TEST_CASE("sort, topk, cumsum, cumprod: golden cases") {
    const auto with_rank = [](const test::GoldenCase& c, auto f) {
        if (c.rank("in.x") == 1) f(std::integral_constant<int, 1>{});
        else if (c.rank("in.x") == 2) f(std::integral_constant<int, 2>{});
        else f(std::integral_constant<int, 3>{});
    };
    const auto ordered = [&](const test::GoldenCase& c, auto f) {
        with_rank(c, [&]<int R>(std::integral_constant<int, R>) {
            const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
            autograd::Tape tape;
            const auto y = f(x);
            test::check_golden(c, "values", y.values);
            test::check_golden(c, "indices", y.indices);
            tape.backward(y.values, c.tensor<float, R>("r.values"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
        });
    };
    for (const auto& c : test::golden_cases("ops/sort"))
        ordered(c, [&](const auto& x) {
            return sort(x, c.integer("dim", -1), {.descending = c.flag("descending", false)});
        });
    for (const auto& c : test::golden_cases("ops/topk"))
        ordered(c, [&](const auto& x) {
            return topk(x, c.integer("k", 1), c.integer("dim", -1), {.largest = c.flag("largest", true)});
        });
    const auto running = [&](const test::GoldenCase& c, auto f) {
        with_rank(c, [&]<int R>(std::integral_constant<int, R>) {
            const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
            autograd::Tape tape;
            const auto y = f(x, c.integer("dim", 0));
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, R>("r.y"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
        });
    };
    for (const auto& c : test::golden_cases("ops/cumsum"))
        running(c, [](const auto& x, Index dim) { return cumsum(x, dim); });
    for (const auto& c : test::golden_cases("ops/cumprod"))
        running(c, [](const auto& x, Index dim) { return cumprod(x, dim); });
}
