// Views and copies that rearrange elements: places of elements, gradients, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/shape.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

namespace {

using D2 = Tensor<double, 2>;
using D3 = Tensor<double, 3>;

/// A tensor whose strides are neither dense nor ordered.
D3 strided(Index a, Index b, Index c) {
    return view::permute(view::slice(test::wave<double>(Shape{c, 2 * b, a}), 1, 0, 2 * b, 2), {2, 1, 0});
}

template <class F>
std::string shape_error(F&& f) {
    return test::message_of<ShapeError>(f);
}
template <class F>
std::string value_error(F&& f) {
    return test::message_of<ValueError>(f);
}

}  // namespace

TEST_CASE("contiguous: the tensor itself when dense, else a copy with the same gradient") {
    auto x = autograd::leaf(test::wave<double>(Shape{3, 4}));
    CHECK(contiguous(x).data() == x.data());
    autograd::Tape tape;
    const auto y = contiguous(transpose(x, 0, 1));
    CHECK(y.is_contiguous());
    for (Index i = 0; i < 4; ++i)
        for (Index j = 0; j < 3; ++j) CHECK(y(i, j) == x(j, i));
    CHECK(tape.size() == 1);
}

TEST_CASE("reshape: a view where strides allow, -1 filled in, gradient shared") {
    const auto x = test::wave<double>(Shape{2, 3, 4});
    const auto y = reshape(x, Shape{-1, 6});
    CHECK(y.shape() == Shape{4, 6});
    CHECK(y.data() == x.data());
    CHECK(reshape(x, Shape{2, 3, 2, 2})(1, 2, 1, 0) == x(1, 2, 2));
    CHECK(reshape(Tensor<double, 0>(3.0), Shape{1, 1})(0, 0) == 3);
    const auto half = view::slice(x, 2, 0, 2);
    CHECK(reshape(half, Shape{6, 2}).data() == x.data());
    CHECK(reshape(half, Shape{12}).data() != x.data());
    CHECK(reshape(half, Shape{12})(11) == x(1, 2, 1));
    const auto moved = view::permute(x, {2, 0, 1});
    CHECK(reshape(moved, Shape{4, 6}).data() == x.data());
    CHECK(reshape(moved, Shape{8, 3})(7, 1) == x(1, 1, 3));
    CHECK(reshape(zeros<double>(Shape{0, 3}), Shape{-1, 3}).shape() == Shape{0, 3});
    CHECK(gradcheck([](const auto& t) { return reshape(transpose(t, 0, 2), Shape{6, -1}); }, strided(2, 3, 4)) < 1e-7);
    CHECK(shape_error([&] { reshape(x, Shape{5, -1}); }) == "reshape: 24 elements do not fill [5, -1]");
    CHECK(shape_error([&] { reshape(x, Shape{-1, -1}); }) == "reshape: only one extent can be -1 ([-1, -1])");
    CHECK(shape_error([&] {
              reshape(zeros<double>(Shape{0, 3}), Shape{-1, 0});
          }) == "reshape: 0 elements do not fill [-1, 0]");
}

TEST_CASE("flatten, unflatten, squeeze, unsqueeze: shapes and gradients") {
    const auto x = test::wave<double>(Shape{2, 3, 1, 4});
    CHECK(flatten(x).shape() == Shape{24});
    CHECK(flatten<1>(x).shape() == Shape{2, 12});
    CHECK(flatten<1, 2>(x).shape() == Shape{2, 3, 4});
    CHECK(flatten<-2>(x).shape() == Shape{2, 3, 4});
    CHECK(flatten(Tensor<double, 0>(1.0)).shape() == Shape{1});
    CHECK(unflatten(flatten(x), 0, Shape{-1, 4}).shape() == Shape{6, 4});
    CHECK(squeeze(x, 2).shape() == Shape{2, 3, 4});
    CHECK(unsqueeze(x, -1).shape() == Shape{2, 3, 1, 4, 1});
    const auto chain = [](const auto& t) {
        return slice(unsqueeze(squeeze(unflatten(flatten<1>(t), 1, Shape{3, 1, 4}), 2), 0), 2, 1, 3);
    };
    CHECK(gradcheck(chain, strided(2, 3, 4)) < 1e-7);
    CHECK(shape_error([&] { squeeze(x, 1); }) == "squeeze: dimension 1 must have extent 1 (shape [2, 3, 1, 4])");
    CHECK(shape_error([&] { unflatten(x, 1, Shape{2, 2}); }) == "unflatten: 3 elements do not fill [2, 2]");
}

TEST_CASE("permute, transpose, movedim: places and gradients") {
    const auto x = test::wave<double>(Shape{2, 3, 4});
    const auto y = permute(x, {2, 0, -2});
    CHECK(y.shape() == Shape{4, 2, 3});
    CHECK(y(3, 1, 2) == x(1, 2, 3));
    CHECK(movedim(x, 0, 2).shape() == Shape{3, 4, 2});
    CHECK(movedim(x, 2, 0).shape() == Shape{4, 2, 3});
    CHECK(movedim(x, -1, 1)(1, 3, 2) == x(1, 2, 3));
    CHECK(transpose(x, 0, -1)(3, 2, 1) == x(1, 2, 3));
    CHECK(t(test::wave<double>(Shape{2, 3})).shape() == Shape{3, 2});
    const auto twice = [](const auto& t) { return permute(movedim(transpose(t, 0, 1), 2, 0), {1, 2, 0}); };
    CHECK(gradcheck(twice, x) < 1e-7);
    CHECK(gradcheck(twice, strided(3, 2, 5)) < 1e-7);
    // Two uses of one tensor: the second contribution is added to the first.
    CHECK(gradcheck([](const auto& t) { return cat({transpose(t, 0, 1), permute(t, {1, 0, 2})}, 2); }, x) < 1e-7);
    CHECK(value_error([&] {
              permute(x, {0, 0, 1});
          }) == "permute: each dimension must occur once but 0 occurs twice (shape [2, 3, 4])");
    CHECK(value_error([&] { transpose(x, 0, 3); }) == "transpose: dim must lie in [-3, 2] but is 3");
}

TEST_CASE("slice, select, narrow: places, clamping, gradients") {
    const auto x = test::wave<double>(Shape{4, 5, 3});
    const auto y = slice(x, 1, 1, -1, 2);
    CHECK(y.shape() == Shape{4, 2, 3});
    CHECK(y(2, 1, 0) == x(2, 3, 0));
    CHECK(slice(x, 0, 3, 1).shape() == Shape{0, 5, 3});
    CHECK(slice(x, 0, -100, 100).shape() == x.shape());
    CHECK(select(x, 1, -1)(3, 2) == x(3, 4, 2));
    CHECK(narrow(x, 2, -2, 2)(0, 0, 0) == x(0, 0, 1));
    CHECK(gradcheck([](const auto& t) { return slice(slice(t, 1, 1, 5, 2), 0, 1, 3); }, x) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return select(narrow(t, 2, 1, 2), 0, 1); }, strided(3, 2, 4)) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return slice(t, 1, 3, 3); }, x) < 1e-7);
    CHECK(value_error([&] { slice(x, 0, 0, 4, 0); }) == "slice: step must be at least 1 but is 0");
    CHECK(value_error([&] { select(x, 0, 4); }) == "select: index 4 is outside dimension 0 (shape [4, 5, 3])");
    CHECK(value_error([&] { narrow(x, 1, 3, 3); }) ==
          "narrow: elements 3 to 5 must lie in dimension 1 of extent 5 (shape [4, 5, 3])");
}

TEST_CASE("split, chunk, unbind: sizes and gradients") {
    const auto x = test::wave<double>(Shape{7, 2});
    const auto parts = split(x, 3);
    REQUIRE(parts.size() == 3);
    CHECK(parts[2].shape() == Shape{1, 2});
    CHECK(parts[1](2, 1) == x(5, 1));
    CHECK(split(x, {2, 5}, 0)[1].shape() == Shape{5, 2});
    CHECK(chunk(x, 4).size() == 4);
    CHECK(chunk(x, 5).size() == 4);
    CHECK(chunk(x, 9).size() == 7);
    CHECK(split(zeros<double>(Shape{0, 2}), 3).size() == 1);
    CHECK(unbind(x, 1)[1](6) == x(6, 1));
    const auto shuffle = [](const auto& t) {
        const auto p = split(t, 3);
        const auto u = unbind(t, 1);
        return cat({flatten(p[2]), flatten(p[0]), u[1]});
    };
    CHECK(gradcheck(shuffle, x) < 1e-7);
    CHECK(value_error([&] { split(x, 0); }) == "split: size must be at least 1 but is 0");
    CHECK(value_error([&] { chunk(x, 0); }) == "chunk: count must be at least 1 but is 0");
    CHECK(shape_error([&] { split(x, {2, 4}); }) == "split: sizes must add up to 7 but give 6 (shape [7, 2])");
}

TEST_CASE("diagonal: offsets of both signs, gradients") {
    const auto x = test::wave<double>(Shape{3, 4, 2});
    CHECK(diagonal(x).shape() == Shape{2, 3});
    CHECK(diagonal(x)(1, 2) == x(2, 2, 1));
    CHECK(diagonal(x, 1)(0, 2) == x(2, 3, 0));
    CHECK(diagonal(x, -1)(1, 0) == x(1, 0, 1));
    CHECK(diagonal(x, 5).shape() == Shape{2, 0});
    CHECK(diagonal(x, 0, 2, 0)(3, 1) == x(1, 3, 1));
    CHECK(gradcheck([](const auto& t) { return diagonal(t, 1, -1, 1); }, x) < 1e-7);
    CHECK(value_error([&] { diagonal(x, 0, 1, -2); }) == "diagonal: the two dimensions must differ but both are 1");
}

TEST_CASE("unfold: overlapping windows add their gradients") {
    const auto x = test::wave<double>(Shape{2, 7, 3});
    const auto y = unfold(x, 1, 3, 2);
    CHECK(y.shape() == Shape{2, 3, 3, 3});
    CHECK(y(1, 2, 0, 1) == x(1, 5, 0));
    CHECK(gradcheck([](const auto& t) { return unfold(t, 1, 3, 1); }, x) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return unfold(t, -1, 2, 2); }, strided(3, 2, 5)) < 1e-7);
    CHECK(value_error([&] { unfold(x, 0, 3, 1); }) ==
          "unfold: windows of 3, 1 apart, must fit dimension 0 of extent 2 (shape [2, 7, 3])");
}

TEST_CASE("expand, repeat, repeat_interleave: gradients are summed") {
    const auto x = test::wave<double>(Shape{3, 1});
    const auto y = expand(x, Shape{2, -1, 4});
    CHECK(y.shape() == Shape{2, 3, 4});
    CHECK(y(1, 2, 3) == x(2, 0));
    CHECK(expand(x, Shape{3, 0}).numel() == 0);
    CHECK(gradcheck([](const auto& t) { return expand(t, Shape{2, 3, 4}); }, x) < 1e-7);
    CHECK(gradcheck([](const auto& t) { return cat({expand(t, Shape{3, 4}), repeat(t, {1, 2})}, 1); }, x) < 1e-7);
    const auto r = repeat(test::wave<double>(Shape{2, 3}), {2, 3});
    CHECK(r.shape() == Shape{4, 9});
    CHECK(r(3, 7) == test::wave<double>(Shape{2, 3})(1, 1));
    CHECK(gradcheck([](const auto& t) { return tile(t, {2, 1, 3}); }, strided(2, 3, 2)) < 1e-7);
    CHECK(repeat(x, {0, 2}).shape() == Shape{0, 2});
    const auto i = repeat_interleave(test::wave<double>(Shape{2, 3}), 2, 1);
    CHECK(i(1, 5) == test::wave<double>(Shape{2, 3})(1, 2));
    CHECK(gradcheck([](const auto& t) { return repeat_interleave(t, 3, 1); }, strided(2, 3, 2)) < 1e-7);
    CHECK(shape_error([&] { expand(x, Shape{2, 4}); }) == "expand: extents must be equal or 1 ([3, 1] to [2, 4])");
    CHECK(value_error([&] {
              repeat(x, {-1, 1});
          }) == "repeat: repetitions must not be negative but are -1 in dimension 0");
}

TEST_CASE("cat, stack: places, gradients, errors") {
    const auto a = test::wave<double>(Shape{2, 3}), b = test::wave<double>(Shape{2, 1}, 1);
    const auto y = cat({a, b, a}, 1);
    CHECK(y.shape() == Shape{2, 7});
    CHECK(y(1, 3) == b(1, 0));
    CHECK(y(1, 6) == a(1, 2));
    CHECK(cat({a, zeros<double>(Shape{0, 3})}).shape() == a.shape());
    CHECK(stack({a, a}, 1).shape() == Shape{2, 2, 3});
    CHECK(stack({a, a}, -1)(1, 2, 1) == a(1, 2));
    CHECK(gradcheck([](const auto& s, const auto& t) { return cat({t, s, t}, -1); }, a, b) < 1e-7);
    CHECK(gradcheck(
              [](const auto& s, const auto& t) {
                  return cat({s, transpose(t, 0, 1)}, 0);
              },
              strided(2, 3, 4), test::wave<double>(Shape{3, 5, 4})) < 1e-7);
    CHECK(gradcheck([](const auto& s) { return stack({s, s}, 1); }, a) < 1e-7);
    CHECK(shape_error([&] { cat({a, b}, 0); }) == "cat: shapes must be equal but for dimension 0 ([2, 3] and [2, 1])");
    CHECK(shape_error([&] { stack({a, b}); }) == "stack: shapes must be equal ([2, 3] and [2, 1])");
    CHECK(value_error([&] { cat(std::vector<D2>{}); }) == "cat: there must be at least one tensor but there are 0");
}

TEST_CASE("flip, roll, tril, triu: places and gradients") {
    const auto x = test::wave<double>(Shape{3, 5});
    CHECK(flip(x, {0, -1})(0, 1) == x(2, 3));
    CHECK(roll(x, 2, 1)(2, 0) == x(2, 3));
    CHECK(roll(x, -6, 1)(1, 4) == x(1, 0));
    CHECK(roll(zeros<double>(Shape{0, 3}), 1, 0).numel() == 0);
    const auto none = autograd::leaf(zeros<double>(Shape{0, 3}));
    {
        autograd::Tape tape;
        tape.backward(sum(roll(none, 1, 0)) + sum(roll(none, 1, 1)));
    }
    CHECK(autograd::grad(none).numel() == 0);
    CHECK(flip(zeros<double>(Shape{0, 3}), {1}).numel() == 0);
    for (Index k : {-4, -1, 0, 1, 2, 7})
        for (Index i = 0; i < 3; ++i)
            for (Index j = 0; j < 5; ++j) {
                CHECK(tril(x, k)(i, j) == (j - i <= k ? x(i, j) : 0.0));
                CHECK(triu(x, k)(i, j) == (j - i >= k ? x(i, j) : 0.0));
            }
    CHECK(gradcheck([](const auto& t) { return roll(flip(t, {1, 2}), 2, 1); }, strided(2, 3, 4)) < 1e-7);
    CHECK(gradcheck(
              [](const auto& t) {
                  return cat({tril(t, -1), triu(t, 1), flip(t, {0}), roll(t, 1, 2)});
              },
              strided(2, 3, 4)) < 1e-7);
    CHECK(value_error([&] { flip(x, {2}); }) == "flip: dim must lie in [-2, 1] but is 2");
    CHECK(roll(arange<std::int64_t>(5), 1, 0)(0) == 4);
}

TEST_CASE("shape ops record nothing without a tape") {
    const auto x = autograd::leaf(test::wave<double>(Shape{3, 3, 2}));
    CHECK(!permute(x, {1, 0, 2}).grad_link());
    CHECK(!slice(x, 0, 0, 1).grad_link());
    CHECK(!unfold(x, 0, 2, 1).grad_link());
    CHECK(!expand(unsqueeze(x, 0), Shape{2, 3, 3, 2}).grad_link());
    CHECK(!repeat(x, {1, 2, 1}).grad_link());
    CHECK(!cat({x, x}).grad_link());
    CHECK(!flip(x, {0}).grad_link());
    CHECK(!roll(x, 1, 0).grad_link());
    CHECK(!tril(x).grad_link());
    CHECK(reshape(x, Shape{18}).grad_link() == x.grad_link());
}

TEST_CASE("rot90, tril_indices, triu_indices: places, gradients, errors") {
    const Tensor<float, 2> x{{1, 2, 3}, {4, 5, 6}};
    CHECK(test::bitwise_equal(contiguous(rot90(x)), Tensor<float, 2>{{3, 6}, {2, 5}, {1, 4}}));
    CHECK(test::bitwise_equal(rot90(x, 2), Tensor<float, 2>{{6, 5, 4}, {3, 2, 1}}));
    CHECK(test::bitwise_equal(contiguous(rot90(x, -1)), contiguous(rot90(x, 3))));
    CHECK(test::bitwise_equal(contiguous(rot90(x, 3)), Tensor<float, 2>{{4, 1}, {5, 2}, {6, 3}}));
    CHECK(test::bitwise_equal(rot90(x, 4), x));
    CHECK(test::bitwise_equal(contiguous(rot90(x, 1, 1, 0)), contiguous(rot90(x, -1))));
    CHECK(gradcheck([](const auto& t) { return rot90(t, 3, -1, 0); }, test::wave<double>(Shape{2, 3, 4})) < 1e-7);
    CHECK(test::message_of<ValueError>([&] { rot90(x, 1, 0, -2); }) ==
          "rot90: the two dimensions must differ but both are 0");
    CHECK(test::bitwise_equal(tril_indices(2, 3), Tensor<std::int64_t, 2>{{0, 1, 1}, {0, 0, 1}}));
    CHECK(test::bitwise_equal(tril_indices(3, 2, -1), Tensor<std::int64_t, 2>{{1, 2, 2}, {0, 0, 1}}));
    CHECK(test::bitwise_equal(triu_indices(2, 3, 1), Tensor<std::int64_t, 2>{{0, 0, 1}, {1, 2, 2}}));
    CHECK(triu_indices(0, 3).shape() == Shape{2, 0});
    CHECK(test::message_of<ValueError>([] { tril_indices(-1, 3); }) ==
          "tril_indices: extents must not be negative but are -1 and 3");
}

namespace {

/// Runs `f` on in.x with a tape and compares result and gradient with the case's.
template <int R, class F>
void check_case(const test::GoldenCase& c, F&& f) {
    const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
    autograd::Tape tape;
    const auto y = f(x);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
}

}  // namespace

TEST_CASE("shape ops: golden cases") {
    for (const auto& c : test::golden_cases("ops/flip_roll"))
        check_case<2>(c, [&](const auto& x) { return roll(flip(x, {c.integer("dim", 0)}), 2, c.integer("dim", 0)); });
    if (test::golden_root().empty()) return;
    const auto at = [](const char* name) { return test::GoldenCase(std::string("ops/index/") + name); };
    check_case<2>(at("slice_step"), [](const auto& x) { return slice(slice(x, 0, 1, x.dim(0)), 1, 0, x.dim(1), 2); });
    check_case<3>(at("permute_reshape"), [](const auto& x) {
        const auto y = permute(x, {2, 0, 1});
        return reshape(y, Shape{y.dim(0), -1});
    });
    check_case<2>(at("tril"), [](const auto& x) { return tril(x, -1) + triu(x, 1) * 2.0f; });
    const test::GoldenCase ranges("ops/linspace/linspace_arange");
    test::check_golden(ranges, "lin", linspace<float>(-1, 2, 9));
    test::check_golden(ranges, "ar", arange<float>(0.5f, 4, 0.9f));
    check_case<2>(at("repeat_interleave"), [](const auto& x) { return repeat_interleave(x, 3, 1); });
    check_case<2>(at("tile"), [](const auto& x) { return repeat(x, {2, 3}); });
    {
        const auto c = at("chunk_uneven");
        const auto x = autograd::leaf(c.tensor<float, 2>("in.x"));
        autograd::Tape tape;
        const auto parts = chunk(x, 3, 0);
        REQUIRE(parts.size() == 2);
        test::check_golden(c, "y0", parts[0]);
        test::check_golden(c, "y1", parts[1]);
        tape.backward(cat(parts), cat({c.tensor<float, 2>("r.y0"), c.tensor<float, 2>("r.y1")}));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
    const auto join = [&]<int R>(std::integral_constant<int, R>, const char* name, auto f, auto... inputs) {
        const auto c = at(name);
        const auto leaves = std::vector{autograd::leaf(c.tensor<float, R>(inputs))...};
        autograd::Tape tape;
        const auto y = f(leaves);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
        std::size_t i = 0;
        (test::check_golden_grad(c, inputs, autograd::grad(leaves[i++])), ...);
    };
    join(
        std::integral_constant<int, 3>{}, "cat_d1", [](const auto& parts) { return cat(parts, 1); }, "in.a", "in.b",
        "in.c");
    join(
        std::integral_constant<int, 2>{}, "stack_d1", [](const auto& parts) { return stack(parts, 1); }, "in.a",
        "in.b");
}
