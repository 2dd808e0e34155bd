// Elements by index, by mask and at margins: places, repeated indices, errors, gradients.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/embedding.hpp>
#include <lamina/ops/mask.hpp>
#include <lamina/ops/pad.hpp>
#include <lamina/ops/shape.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

namespace {

using I1 = Tensor<std::int64_t, 1>;
using I2 = Tensor<std::int64_t, 2>;

template <class F>
std::string shape_error(F&& f) {
    return test::message_of<ShapeError>(f);
}
template <class F>
std::string value_error(F&& f) {
    return test::message_of<ValueError>(f);
}
Tensor<double, 3> strided(Index a, Index b, Index c) {
    return view::permute(view::slice(test::wave<double>(Shape{c, 2 * b, a}), 1, 0, 2 * b, 2), {2, 1, 0});
}

}  // namespace

TEST_CASE("index_select, index_add: places, repeats, errors, gradients") {
    const auto x = test::wave<double>(Shape{4, 3, 2});
    const I1 at{{2, 0, 2}};
    CHECK(index_select(x, 0, at)(2, 1, 1) == x(2, 1, 1));
    CHECK(index_select(x, 1, at)(3, 0, 1) == x(3, 2, 1));
    CHECK(index_select(x, -1, I1{1})(3, 2, 0) == x(3, 2, 1));
    CHECK(index_select(x, 0, zeros<std::int64_t>(Shape{0})).shape() == Shape{0, 3, 2});
    CHECK(index_select(arange<std::int32_t>(5), 0, at)(0) == 2);
    const auto sum = index_add(x, 1, at, ones<double>(Shape{4, 3, 2}));
    CHECK(sum(0, 2, 0) == x(0, 2, 0) + 2);
    CHECK(sum(0, 1, 0) == x(0, 1, 0));
    CHECK(gradcheck([=](const auto& t) { return index_select(t, 1, at); }, strided(2, 3, 4)) < 1e-7);
    CHECK(gradcheck([=](const auto& t, const auto& s) { return index_add(t, 1, at, s); }, x, strided(4, 3, 2)) < 1e-7);
    CHECK(value_error([&] {
              index_select(x, 1, I1{{0, 3}});
          }) == "index_select: index 3 at position [1] must lie in [0, 3)");
    CHECK(value_error([&] { index_select(x, 1, I1{-1}); }) ==
          "index_select: index -1 at position [0] must lie in [0, 3)");
    CHECK(value_error([&] {
              index_add(x, 0, I1{{4, 0, 0}}, ones<double>(Shape{3, 3, 2}));
          }) == "index_add: index 4 at position [0] must lie in [0, 4)");
    CHECK(shape_error([&] { index_add(x, 0, at, x); }) ==
          "index_add: source must have shape [3, 3, 2] but has [4, 3, 2]");
}

TEST_CASE("gather, scatter, scatter_add, take_along_dim: places, repeats, errors, gradients") {
    const auto x = test::wave<double>(Shape{3, 4});
    const I2 at{{0, 3, 3}, {1, 1, 2}};
    const auto y = gather(x, 1, at);
    CHECK(y.shape() == Shape{2, 3});
    CHECK(y(0, 1) == x(0, 3));
    CHECK(y(1, 2) == x(1, 2));
    CHECK(gather(x, 0, I2{{2, 0, 1, 2}})(0, 3) == x(2, 3));
    CHECK(gather(x, 0, zeros<std::int64_t>(Shape{0, 4})).shape() == Shape{0, 4});
    CHECK(gather(Tensor<double, 1>{{5, 6, 7}}, 0, I1{{2, 2}})(1) == 7);
    CHECK(take_along_dim(x, I2{{3}, {2}, {1}}, 1)(1, 0) == x(1, 2));
    CHECK(take_along_dim(x, I2{{2, 0}}, 1)(2, 0) == x(2, 2));
    CHECK(take_along_dim(view::slice(x, 0, 1, 2), I2{{0}, {1}, {0}}, 1)(1, 0) == x(1, 1));

    const auto src = test::wave<double>(Shape{2, 4}, 1);
    const auto put = scatter(x, 1, at, src);
    CHECK(put(0, 3) == src(0, 2));
    CHECK(put(0, 0) == src(0, 0));
    CHECK(put(1, 1) == src(1, 1));
    CHECK(put(0, 1) == x(0, 1));
    CHECK(scatter(x, 1, at, 9.0)(1, 2) == 9);
    const auto sum = scatter_add(x, 1, at, src);
    CHECK(sum(0, 3) == doctest::Approx(x(0, 3) + src(0, 1) + src(0, 2)));
    CHECK(sum(2, 0) == x(2, 0));

    CHECK(gradcheck([=](const auto& t) { return gather(t, 1, at); },
                    view::transpose(test::wave<double>(Shape{4, 3}), 0, 1)) < 1e-7);
    CHECK(gradcheck([=](const auto& t) { return take_along_dim(t, I2{{2, 0, 2}}, 1); }, x) < 1e-7);
    CHECK(gradcheck([=](const auto& t, const auto& s) { return scatter(t, 1, at, s); }, x, src) < 1e-7);
    CHECK(gradcheck(
              [=](const auto& t, const auto& s) {
                  return scatter_add(t, 0, I2{{0, 2, 2}, {1, 1, 2}}, s);
              },
              x, src) < 1e-7);
    CHECK(gradcheck([=](const auto& t, const auto& s) { return scatter_add(scatter(t, 1, at, 2.0), 1, at, s); }, x,
                    src) < 1e-7);

    CHECK(value_error([&] {
              gather(x, 1, I2{{0, 1}, {4, 0}});
          }) == "gather: index 4 at position [1, 0] must lie in [0, 4)");
    CHECK(value_error([&] { scatter(x, 0, I2{{-1}}, src); }) ==
          "scatter: index -1 at position [0, 0] must lie in [0, 3)");
    CHECK(value_error([&] { scatter_add(x, 0, I2{{3}}, src); }) ==
          "scatter_add: index 3 at position [0, 0] must lie in [0, 3)");
    CHECK(shape_error([&] {
              gather(x, 1, zeros<std::int64_t>(Shape{4, 1}));
          }) == "gather: index must not be larger than the input but for dimension 1 (input [3, 4], index [4, 1])");
    CHECK(shape_error([&] {
              scatter(x, 0, zeros<std::int64_t>(Shape{3, 4}), src);
          }) == "scatter: index must not be larger than the source (index [3, 4], source [2, 4])");
}

TEST_CASE("embedding, one_hot: rows, padding, errors, gradients") {
    const auto w = test::wave<double>(Shape{5, 3});
    const I2 at{{4, 1}, {1, 0}};
    const auto y = embedding(at, w);
    CHECK(y.shape() == Shape{2, 2, 3});
    CHECK(y(1, 0, 2) == w(1, 2));
    CHECK(embedding(Tensor<std::int64_t, 0>(std::int64_t(3)), w).shape() == Shape{3});
    CHECK(gradcheck([=](const auto& t) { return embedding(at, t); }, w) < 1e-7);
    auto leaf = autograd::leaf(w);
    {
        autograd::Tape tape;
        const auto out = embedding(at, leaf, 1);
        tape.backward(out, ones_like(out));
    }
    CHECK(autograd::grad(leaf)(1, 0) == 0);
    CHECK(autograd::grad(leaf)(4, 0) == 1);
    CHECK(!embedding(at, leaf).grad_link());
    const auto hot = one_hot(at);
    CHECK(hot.shape() == Shape{2, 2, 5});
    CHECK(hot(0, 0, 4) == 1);
    CHECK(hot(0, 0, 3) == 0);
    CHECK(one_hot(at, 7).shape() == Shape{2, 2, 7});
    CHECK(value_error([&] { embedding(I2{{0, 5}}, w); }) == "embedding: index 5 at position [0, 1] must lie in [0, 5)");
    CHECK(value_error([&] { embedding(at, w, 5); }) == "embedding: padding_idx must be less than 5 but is 5");
    CHECK(value_error([&] { one_hot(at, 4); }) == "one_hot: index 4 at position [0, 0] must lie in [0, 4)");
    CHECK(value_error([&] { one_hot(I1{-1}, 4); }) == "one_hot: index -1 at position [0] must lie in [0, 4)");
    CHECK(value_error([&] { one_hot(zeros<std::int64_t>(Shape{0})); }) ==
          "one_hot: the number of classes must be given for no indices");
    CHECK(value_error([&] { one_hot(at, -2); }) == "one_hot: the number of classes must not be negative but is -2");
}

TEST_CASE("masked_fill, masked_select, nonzero: broadcasting, errors, gradients") {
    const auto x = test::wave<double>(Shape{2, 3});
    const Tensor<bool, 2> mask{{true, false, true}, {false, false, true}};
    const Tensor<bool, 1> row{{false, true, false}};
    CHECK(masked_fill(x, mask, 7)(0, 2) == 7);
    CHECK(masked_fill(x, mask, 7)(1, 1) == x(1, 1));
    CHECK(masked_fill(x, row, 7)(1, 1) == 7);
    CHECK(masked_select(x, mask).shape() == Shape{3});
    CHECK(masked_select(x, mask)(2) == x(1, 2));
    CHECK(masked_select(x, row)(1) == x(1, 1));
    const auto places = nonzero(mask);
    CHECK(places.shape() == Shape{3, 2});
    CHECK(places(2, 0) == 1);
    CHECK(places(2, 1) == 2);
    CHECK(nonzero(zeros<float>(Shape{3})).shape() == Shape{0, 1});
    CHECK(gradcheck([=](const auto& t) { return masked_fill(t, mask, 3); }, x) < 1e-7);
    CHECK(gradcheck(
              [=](const auto& t) {
                  return masked_select(cat({t, masked_fill(t, row, 1)}), row);
              },
              view::transpose(test::wave<double>(Shape{3, 2}), 0, 1)) < 1e-7);
    CHECK(!masked_fill(autograd::leaf(x), mask, 1).grad_link());
    CHECK(!masked_select(autograd::leaf(x), mask).grad_link());
    CHECK(shape_error([&] {
              masked_fill(x, Tensor<bool, 1>{{true, false}}, 1);
          }) == "masked_fill: shapes must broadcast but dimension 1 is 3 and 2 ([2, 3] and [2])");
    CHECK(shape_error([&] { masked_select(view::slice(x, 0, 0, 1), mask); }) ==
          "masked_select: mask must broadcast to the input (mask [2, 3], input [1, 3])");
}

TEST_CASE("pad: modes against positions by hand, crops, errors, gradients") {
    const Tensor<double, 1> x{{0, 1, 2, 3}};
    const auto check = [&](PadMode mode, std::initializer_list<Index> pads, std::initializer_list<double> wanted) {
        const auto y = pad(x, pads, {.mode = mode, .value = -7});
        REQUIRE(y.numel() == Index(wanted.size()));
        Index i = 0;
        for (double v : wanted) CHECK(y(i++) == v);
    };
    check(PadMode::constant, {2, 1}, {-7, -7, 0, 1, 2, 3, -7});
    check(PadMode::constant, {-1, 2}, {1, 2, 3, -7, -7});
    check(PadMode::constant, {-2, -2}, {});
    check(PadMode::reflect, {3, 2}, {3, 2, 1, 0, 1, 2, 3, 2, 1});
    check(PadMode::reflect, {-1, 1}, {1, 2, 3, 2});
    check(PadMode::replicate, {2, 6}, {0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3});
    check(PadMode::circular, {4, 3}, {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2});
    const auto two = test::wave<double>(Shape{2, 3, 4});
    CHECK(pad(two, {1, 2, 0, 1}, {.value = 5}).shape() == Shape{2, 4, 7});
    CHECK(pad(two, {1, 2, 0, 1}, {.value = 5})(1, 2, 4) == two(1, 2, 3));
    CHECK(pad(two, {1, 2, 0, 1}, {.value = 5})(1, 3, 4) == 5);
    CHECK(pad(zeros<float>(Shape{0, 2}), {1, 1}).shape() == Shape{0, 4});
    CHECK(pad(zeros<float>(Shape{0}), {1, 1}, {.value = 3})(1) == 3);
    for (PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::replicate, PadMode::circular})
        CHECK(gradcheck([=](const auto& t) { return pad(t, {2, 1, 1, -1}, {.mode = mode}); }, strided(2, 3, 4)) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return pad(cat({t, pad(t, {-1, 1})}), {-1, 2, 1, -2, 0, -1}); }, two) < 1e-7);
    CHECK(!pad(autograd::leaf(two), {1, 1}).grad_link());
    CHECK(value_error([&] { pad(x, {1}); }) ==
          "pad: there must be a pair of margins for each of at most 1 dimensions but there are 1 margins");
    CHECK(value_error([&] {
              pad(x, {1, 1, 1, 1});
          }) == "pad: there must be a pair of margins for each of at most 1 dimensions but there are 4 margins");
    CHECK(shape_error([&] {
              pad(x, {-3, -2});
          }) == "pad: margins -3 and -2 leave nothing of dimension 0 of extent 4 (shape [4])");
    CHECK(shape_error([&] {
              pad(x, {4, 0}, {.mode = PadMode::reflect});
          }) == "pad: margins 4 and 0 must be at most 3 in dimension 0 of extent 4 (shape [4])");
    CHECK(shape_error([&] {
              pad(x, {0, 5}, {.mode = PadMode::circular});
          }) == "pad: margins 0 and 5 must be at most 4 in dimension 0 of extent 4 (shape [4])");
}

namespace {

/// Runs f(x, src) on in.x (and in.src) with a tape and compares result and gradients with the case's.
template <int R = 2, class F>
void check_case(const test::GoldenCase& c, F&& f) {
    const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
    Tensor<float, R> src;
    if (c.has("in.src")) src = autograd::leaf(c.tensor<float, R>("in.src"));
    autograd::Tape tape;
    const auto y = f(x, src);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, R>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    if (src.defined()) test::check_golden_grad(c, "in.src", autograd::grad(src));
}

}  // namespace

TEST_CASE("index, mask, embedding, pad: golden cases") {
    if (test::golden_root().empty()) return;
    const auto at = [](const char* name) { return test::GoldenCase(std::string("ops/index/") + name); };
    for (const char* name : {"gather_d0", "gather_d1"}) {
        const auto c = at(name);
        check_case(c, [&](const auto& x, const auto&) {
            return gather(x, c.integer("dim", 0), c.tensor<std::int64_t, 2>("in.index"));
        });
    }
    for (const char* name : {"scatter_add_d0", "scatter_add_d1"}) {
        const auto c = at(name);
        check_case(c, [&](const auto& x, const auto& src) {
            return scatter_add(x, c.integer("dim", 0), c.tensor<std::int64_t, 2>("in.index"), src);
        });
    }
    for (const char* name : {"index_select_d0", "index_select_d1"}) {
        const auto c = at(name);
        check_case(c, [&](const auto& x, const auto&) {
            return index_select(x, c.integer("dim", 0), c.tensor<std::int64_t, 1>("in.index"));
        });
    }
    const auto added = at("index_add_d0");
    check_case(added, [&](const auto& x, const auto& src) {
        return index_add(x, 0, added.tensor<std::int64_t, 1>("in.index"), src);
    });
    const auto masked = at("masked_fill");
    check_case(masked, [&](const auto& x, const auto&) {
        return masked_fill(x, masked.tensor<bool, 2>("in.mask"), float(masked.number("value", 0)));
    });
    const auto hot = at("one_hot");
    test::check_golden(hot, "y", one_hot(hot.tensor<std::int64_t, 2>("in.index"), hot.any("out.y").shape().back()));
    for (const auto& c : test::golden_cases("ops/embedding")) {
        const Index padding = c.meta("padding_idx") == "None" ? -1 : c.integer("padding_idx", -1);
        const auto run = [&]<int R>(std::integral_constant<int, R>) {
            const auto w = autograd::leaf(c.tensor<float, 2>("in.weight"));
            autograd::Tape tape;
            const auto y = embedding(c.tensor<std::int64_t, R>("in.index"), w, padding);
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, R + 1>("r.y"));
            test::check_golden_grad(c, "in.weight", autograd::grad(w));
        };
        if (c.rank("in.index") == 1) run(std::integral_constant<int, 1>{});
        else run(std::integral_constant<int, 2>{});
    }
    for (const auto& c : test::golden_cases("ops/pad")) {
        const auto padded = [&](const auto& x, const auto&) {
            const std::string mode = c.meta("mode", "constant");
            const auto pads = c.integers("pad");
            return pad(x, std::span<const Index>(pads),
                       {.mode = mode == "constant"    ? PadMode::constant
                                : mode == "reflect"   ? PadMode::reflect
                                : mode == "replicate" ? PadMode::replicate
                                                      : PadMode::circular,
                        .value = c.number("value", 0)});
        };
        if (c.rank("in.x") == 3) check_case<3>(c, padded);
        else check_case<4>(c, padded);
    }
}
